"""The adapter on its base in transformers, in float32: what training made, and the judge of how close a choice was.

Shapes: B prompts of a batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.errors import EvalError
from evals.parity.compare import ENDED, bfloat16_step
from evals.parity.records import Gap, Scored
from tianjing.records import Message


class Prompts:
    """Conversations as token ids, by the tokenizer and chat template of the base."""

    def __init__(self, base: Path):
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the answer begins."""
        said = [{"role": message.role, "content": message.content} for message in messages]
        ids = self.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=True, return_dict=False)
        return [int(token) for token in ids]

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        """Text of token ids; `special` shows the special ones too."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=not special))


def ids_digest(ids: Sequence[int]) -> str:
    """SHA-256 of token ids, as 64 hex digits."""
    return hashlib.sha256(array("q", ids).tobytes()).hexdigest()


class Reference:
    """Base and adapter in this process.

    Raises:
        EvalError: transformers or peft cannot load them.
    """

    def __init__(self, base: Path, adapter: Path):
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, DynamicCache

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
            model = PeftModel.from_pretrained(model, str(adapter))
        except (OSError, ValueError, RuntimeError) as error:
            raise EvalError(
                f"{adapter} on {base}: {error}", "give the base that the adapter was trained on, and a LoRA adapter"
            ) from None
        self.model = model.eval().to(self._device)
        self.prompts = Prompts(base)
        self._stops = self._end_tokens()
        # Layers that keep a window or a state cannot be cut back to where two prompts part.
        kinds = getattr(self.model.config, "layer_types", None) or ["full_attention"]
        self._takes_over = set(kinds) == {"full_attention"}
        self._new_cache = DynamicCache if self._takes_over else lambda: None
        self._cache: Any = None
        self._seen: list[int] = []
        # The model folder's own defaults (a repetition penalty, a temperature) are not asked of vLLM either, and
        # transformers would fill them into any setting that is left at its default.
        self.model.generation_config = self._settings(1)

    def generate(self, prompts_T: Sequence[Sequence[int]], max_tokens: int) -> list[list[int]]:
        """Greedy answers of one batch, padded on the left; each with its end token unless `max_tokens` cut it short."""
        torch = self._torch
        longest = max(map(len, prompts_T))
        padding = self._stops[0]
        ids_BT = torch.full((len(prompts_T), longest), padding, dtype=torch.long)
        mask_BT = torch.zeros_like(ids_BT)
        for row, prompt in enumerate(prompts_T):
            ids_BT[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask_BT[row, longest - len(prompt) :] = 1
        with torch.inference_mode():
            out_BT = self.model.generate(
                input_ids=ids_BT.to(self._device),
                attention_mask=mask_BT.to(self._device),
                generation_config=self._settings(max_tokens),
            )
        return [self._until_end(row) for row in out_BT[:, longest:].tolist()]

    def ends(self, tokens: Sequence[int]) -> bool:
        """Whether the answer ended by itself."""
        return bool(tokens) and tokens[-1] in self._stops

    def gap(self, prompt: Sequence[int], before: Sequence[int], chosen: Sequence[int]) -> Gap:
        """How the logits stand after `prompt` and `before`, and how far the lesser of the `chosen` tokens is behind.

        An answer that ended without an end token counts as the likeliest end token.
        """
        logits_V = self._logits([*prompt, *before], 1)[-1]
        (best, second), (token, _) = logits_V.topk(2)
        ends = max(float(logits_V[stop]) for stop in self._stops)
        least = min(ends if token_id == ENDED else float(logits_V[token_id]) for token_id in chosen)
        return Gap(
            best=int(token),
            top2=float(best - second),
            behind=float(best) - least,
            step=bfloat16_step(float(best)),
        )

    def score(self, prompt: Sequence[int], tokens: Sequence[int]) -> Scored:
        """The log-probability of each of `tokens` after `prompt` and those before it, in one pass."""
        torch = self._torch
        logits_TV = self._logits([*prompt, *tokens[:-1]], len(tokens))
        with torch.inference_mode():
            chosen_T = torch.tensor(tokens, device=self._device)
            all_TV = logits_TV.log_softmax(-1)
            logprobs_T = all_TV.gather(1, chosen_T[:, None])[:, 0]
            chosen_p_T = logprobs_T.exp()
            # An error e in every logit, independent of one another, moves the chosen token's log-probability by
            # e_chosen − Σ p e: by this much as often as e itself has.
            spread_T = ((1 - chosen_p_T) ** 2 + (all_TV * 2).exp().sum(-1) - chosen_p_T**2).clamp(min=0).sqrt()
            best_T, token_T = logits_TV.max(-1)
        steps = [bfloat16_step(best) * spread for best, spread in zip(best_T.tolist(), spread_T.tolist(), strict=True)]
        return Scored(logprobs=logprobs_T.tolist(), best=token_T.tolist(), steps=steps)

    def _logits(self, ids: list[int], keep: int) -> Any:
        """Logits after each of the last `keep` of `ids`.

        Keys and values of what `ids` share with the sequence before are taken over: the prompts of a task begin alike,
        and the answers to an item share its prompt.
        """
        torch = self._torch
        most = min(len(ids) - keep, len(self._seen)) if self._takes_over else 0
        shared = next((place for place in range(most) if ids[place] != self._seen[place]), most)
        with torch.inference_mode():
            if shared:
                self._cache.crop(shared - len(self._seen))
            else:
                self._cache = self._new_cache()
            self._seen = ids
            new_BT = torch.tensor([ids[shared:]], device=self._device)
            return self.model(
                input_ids=new_BT, past_key_values=self._cache, use_cache=True, logits_to_keep=keep
            ).logits[0].float()  # fmt: skip

    def close(self) -> None:
        """Give the memory back: an engine is started next."""
        import gc

        del self.model
        self._cache = None
        gc.collect()
        if self._device == "cuda":
            self._torch.cuda.empty_cache()

    def _end_tokens(self) -> tuple[int, ...]:
        """As vLLM finds them: the tokenizer's, and those of generation_config.json."""
        listed = self.model.generation_config.eos_token_id
        found = [self.prompts.tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])]
        ends = tuple(dict.fromkeys(token for token in found if token is not None))
        if not ends:
            raise EvalError("the tokenizer names no end token", "set eos_token in tokenizer_config.json")
        return ends

    def _settings(self, max_tokens: int) -> Any:
        from transformers import GenerationConfig

        stops = self._stops
        return GenerationConfig(
            do_sample=False, max_new_tokens=max_tokens, eos_token_id=list(stops), pad_token_id=stops[0]
        )

    def _until_end(self, tokens: list[int]) -> list[int]:
        for position, token in enumerate(tokens):
            if token in self._stops:
                return tokens[: position + 1]
        return tokens
