"""Presidio's analyzer and anonymizer over HTTP, as its container images serve them, for serving_litellm.py.

Runs in the environment that holds `presidio-analyzer` and `presidio-anonymizer`, whose wheels hold no server. The
language model is an empty Chinese spaCy pipeline (it cuts characters), the recognisers are Presidio's own patterns: the
cheapest configuration there is, in the peer's favour.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile

import spacy
import uvicorn
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpEngineProvider
from presidio_anonymizer import AnonymizerEngine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

LANGUAGE = "zh"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        spacy.blank(LANGUAGE).to_disk(folder)
        models = [{"lang_code": LANGUAGE, "model_name": folder}]
        nlp = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
    registry = RecognizerRegistry(supported_languages=[LANGUAGE])
    registry.load_predefined_recognizers(languages=[LANGUAGE], nlp_engine=nlp)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=[LANGUAGE])
    anonymizer = AnonymizerEngine()

    async def analyze(request: Request) -> JSONResponse:
        asked = await request.json()
        found = await asyncio.to_thread(
            analyzer.analyze, asked["text"], LANGUAGE, entities=asked.get("entities"), return_decision_process=False
        )
        return JSONResponse([result.to_dict() for result in found])

    async def anonymize(request: Request) -> JSONResponse:
        asked = await request.json()
        found = [
            RecognizerResult(one["entity_type"], one["start"], one["end"], one["score"])
            for one in asked["analyzer_results"]
        ]
        return JSONResponse(json.loads(anonymizer.anonymize(asked["text"], found).to_json()))

    routes = [
        Route("/health", lambda request: JSONResponse({})),
        Route("/analyze", analyze, methods=["POST"]),
        Route("/anonymize", anonymize, methods=["POST"]),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
