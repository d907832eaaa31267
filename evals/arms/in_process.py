"""A model run by transformers in this process: for where no server can be, and as the reference for servers."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tianjing.engine import ChatRequest, Completion, EngineError
from tianjing.models.precision import precision


class InProcess:
    """Answers one request at a time, each from a seed of its own: no answer hangs on what is asked beside it."""

    def __init__(self, model: Path, adapter: Path | None, max_model_len: int):
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = getattr(torch, precision(self._device == "cuda"))
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model, local_files_only=True)
        network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=dtype, local_files_only=True)
        ends = network.generation_config.eos_token_id
        if adapter is not None:
            from peft import PeftModel

            network = PeftModel.from_pretrained(network, adapter)
        self._model = network.to(self._device).eval()
        self._max_model_len = max_model_len
        self._ends = sorted({*(ends if isinstance(ends, list) else [ends]), self._tokenizer.eos_token_id} - {None})
        pad = self._tokenizer.pad_token_id
        # The folder's own sampling defaults would otherwise fill what a request leaves at its default.
        self._model.generation_config = GenerationConfig(
            eos_token_id=self._ends, pad_token_id=self._ends[0] if pad is None else pad
        )
        self._turn = threading.Lock()

    async def __aenter__(self) -> InProcess:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        return None

    async def chat(self, request: ChatRequest) -> Completion:
        """Raises EngineError: the prompt leaves no room, or memory ran out."""
        return await asyncio.to_thread(self._in_turn, request)

    def _in_turn(self, request: ChatRequest) -> Completion:
        with self._turn:  # the seed is the process's own
            return self._generate(request)

    def _generate(self, request: ChatRequest) -> Completion:
        began = time.monotonic()
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        encoded = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self._device)
        size = encoded["input_ids"].shape[1]
        if size + request.max_tokens > self._max_model_len:
            raise EngineError(
                f"{size} tokens of prompt and {request.max_tokens} of answer; max_model_len is {self._max_model_len}",
                kind="context_length",
            )
        sampling: dict[str, Any] = {"do_sample": False}
        if request.temperature > 0:
            sampling = {"do_sample": True, "temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
            torch.manual_seed(request.seed or 0)
        try:
            with torch.inference_mode():
                made = self._model.generate(**encoded, max_new_tokens=request.max_tokens, **sampling)
        except torch.OutOfMemoryError as error:
            raise EngineError(f"out of memory: {error}", kind="server") from None
        answer = made[0, size:].tolist()
        return Completion(
            self._tokenizer.decode(answer, skip_special_tokens=True),
            "stop" if answer and answer[-1] in self._ends else "length",
            size,
            len(answer),
            time.monotonic() - began,
        )
