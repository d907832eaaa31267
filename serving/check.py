"""The endpoint tried as its users will: through the OpenAI client, against the real engine."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serving.adapters.settings import AdapterSettings
from serving.adapters.state import Version
from serving.app import VERDICT_HEADER
from serving.audit.settings import AuditSettings
from serving.config import ServeConfig
from serving.errors import ServeError
from serving.handoff.sqlite import FILE_NAME, CaseQueue
from serving.identity.bootstrap import key_from
from serving.identity.settings import IdentitySettings
from serving.launch.endpoint import running
from serving.launch.plan import Endpoint
from serving.limits.settings import LimitSettings
from serving.upstreams.pool import Pool

QUESTION = "我这个月工资晚发，可以晚几天还款吗？"
MOBILE, ID_CARD = "13812345678", "11010519491231002X"
WITH_PII = f"我的手机号是{MOBILE}，身份证号是{ID_CARD}，请把手机号重复一遍。"
COMPLAINT = "你们的催收人员态度太差了，我要投诉你们！"
MAX_TOKENS = 48


@dataclass(frozen=True)
class Check:
    """One thing tried. `detail` says what was seen."""

    name: str
    ok: bool
    detail: str
    seconds: float


class RecordingPool(Pool):
    """Keeps the bytes that were sent to the engine, to see what a model really gets."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.sent: list[bytes] = []

    def encode(self, payload: dict[str, Any]) -> bytes:
        """The request body, which is also kept."""
        body = super().encode(payload)
        self.sent.append(body)
        return body


@dataclass
class Trial:
    """A running endpoint and a client that knows its key.

    Each try returns what was seen and raises AssertionError, or the client's own error, when it is not as it should be.
    """

    client: Any
    base_url: str
    model: str
    pool: RecordingPool
    queue: CaseQueue

    def ask(self, text: str, **more: Any) -> tuple[Any, str]:
        """The completion (or stream) and the verdict header."""
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.model,
            messages=[{"role": "user", "content": text}],
            max_tokens=MAX_TOKENS,
            temperature=0,
            **more,
        )
        return raw.parse(), raw.headers.get(VERDICT_HEADER, "")

    def models(self) -> str:
        """The one model is listed under its served name."""
        listed = [model.id for model in self.client.models.list()]
        _require(listed == [self.model], f"expected [{self.model}], got {listed}")
        return f"models: {', '.join(listed)}"

    def plain(self) -> str:
        """A question gets an answer."""
        answer, verdict = self.ask(QUESTION)
        tokens, text = answer.usage.completion_tokens, answer.choices[0].message.content
        _require(tokens > 0, "no token was generated")
        _require(verdict in ("allow", "mask"), f"verdict {verdict}")
        return f"{tokens} tokens, verdict {verdict}: {_short(text)}"

    def stream(self) -> str:
        """The same in pieces, with one finish reason and the usage at the end."""
        stream, verdict = self.ask(QUESTION, stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        text = "".join(choice.delta.content or "" for choice in choices)
        reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
        usage = chunks[-1].usage
        _require(len(reasons) == 1, f"expected one finish reason, got {reasons}")
        _require(usage is not None and usage.completion_tokens > 0, "no usage in the last chunk")
        return f"{len(chunks)} chunks, {usage.completion_tokens} tokens, verdict {verdict}: {_short(text)}"

    def pii(self) -> str:
        """Neither the engine nor the answer holds the customer's numbers."""
        before = len(self.pool.sent)
        answer, verdict = self.ask(WITH_PII)
        text, sent = answer.choices[0].message.content, b"".join(self.pool.sent[before:]).decode()
        _require(bool(sent), "the engine was not asked")
        for digits in (MOBILE, ID_CARD):
            _require(digits not in sent, "the engine saw the customer's number")
            _require(digits not in text, "the answer holds the customer's number")
        _require(verdict == "mask", f"verdict {verdict}, expected mask")
        bound = json.loads(sent)["messages"][-1]["content"]
        return f"the engine saw: {_short(bound)} — the answer: {_short(text)}"

    def handoff(self) -> str:
        """A complaint goes to the queue, not to the model."""
        before = len(self.pool.sent)
        answer, verdict = self.ask(COMPLAINT)
        _require(verdict == "handoff", f"verdict {verdict}, expected handoff")
        _require(len(self.pool.sent) == before, "the model was asked")
        case_id = answer.model_extra["tianjing"]["case_id"]
        _require(case_id in answer.choices[0].message.content, "the answer does not name the case")
        cases = {case.id: case for case in self.queue.cases()}
        _require(case_id in cases, f"case {case_id} is not in the queue")
        return f"case {case_id}: {', '.join(cases[case_id].reasons)}"

    def no_key(self) -> str:
        """A wrong key is refused."""
        import openai

        stranger = openai.OpenAI(base_url=self.base_url, api_key="wrong", max_retries=0)
        try:
            stranger.models.list()
        except openai.AuthenticationError as error:
            return f"refused with {error.status_code}"
        raise AssertionError("a wrong key was accepted")


def run_checks(
    model: Path,
    config: ServeConfig,
    weights: Version | None,
    release: str,
    log_folder: Path,
    on_progress: Callable[[str], None],
) -> list[Check]:
    """Start the endpoint on a free port, try everything, stop it.

    Raises:
        EngineError: the endpoint does not start. ServeError: the OpenAI client is not installed.
    """
    began = time.monotonic()
    with _trial(model, config, weights, release, log_folder, on_progress) as trial:
        checks = [Check("start", True, "engine and gateway answer", round(time.monotonic() - began, 2))]
        tries = {
            "models": trial.models,
            "plain": trial.plain,
            "stream": trial.stream,
            "pii": trial.pii,
            "handoff": trial.handoff,
            "no_key": trial.no_key,
        }
        for name, attempt in tries.items():
            on_progress(f"trying: {name}")
            checks.append(_timed(name, attempt))
    return checks


def _timed(name: str, attempt: Callable[[], str]) -> Check:
    began = time.monotonic()
    try:
        ok, detail = True, attempt()
    except Exception as error:  # any failure is a result to report, and the others are still tried
        ok, detail = False, f"{type(error).__name__}: {error}"
    return Check(name, ok, detail, round(time.monotonic() - began, 2))


@contextmanager
def _trial(
    model: Path,
    config: ServeConfig,
    weights: Version | None,
    release: str,
    log_folder: Path,
    on_progress: Callable[[str], None],
) -> Iterator[Trial]:
    try:
        import openai
    except ImportError:
        raise ServeError("the OpenAI client is not installed", "install this project's extra 'cpu' or 'gpu'") from None
    own = {"handoff": config.handoff.model_copy(update={"postgres": None}), "adapters": AdapterSettings()}
    own |= {"identity": IdentitySettings(), "limits": LimitSettings(), "audit": AuditSettings()}
    here = {"host": "127.0.0.1", "port": 0, "engine": "managed", "upstreams": ()}
    local = config.model_copy(update={**own, **here})
    secret = secrets.token_urlsafe(24)
    # The trial's callers are no customers: keys, counts, cases and account are its own and end with it.
    with tempfile.TemporaryDirectory() as folder:
        endpoint = Endpoint(model, local, Path(folder), key_from(secret), weights, release, log_folder)
        with running(endpoint, on_progress, RecordingPool) as up:
            assert isinstance(up.pool, RecordingPool)
            client = openai.OpenAI(
                base_url=up.base_url, api_key=secret, max_retries=0, timeout=config.upstream_timeout_s
            )
            yield Trial(client, up.base_url, config.served_name, up.pool, CaseQueue(endpoint.state / FILE_NAME))


def write_checks(folder: Path, checks: list[Check]) -> None:
    """check.json: a list of {name, ok, detail, seconds}."""
    rows = [asdict(check) for check in checks]
    (folder / "check.json").write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _short(text: str | None, length: int = 60) -> str:
    flat = " ".join((text or "").split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
