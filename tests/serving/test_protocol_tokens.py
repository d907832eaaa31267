"""The most tokens of a prompt, held against a tokenizer: what limits reserve must be enough, and not far too much."""

from __future__ import annotations

import json
import timeit
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.config import ServeConfig
from serving.protocol.chat import parse_chat
from serving.protocol.tokens import most_tokens

DATA = Path(__file__).parents[1] / "data"
# What the tokenizer and template of Qwen2.5 make of the prompts below and of the labelled set, one by one.
COUNTED = json.loads((DATA / "prompt_tokens.json").read_text(encoding="utf-8"))
USER = {"role": "user", "content": "我这个月工资晚发，可以晚几天还款吗？"}
SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "string", "description": "借款号", "enum": ["A1", "B2"], "maxLength": 32}},
    "required": ["number"],
}
TOOLS = [
    {"type": "function", "function": {"name": f"look_up_{i}", "description": "查询客户的借款", "parameters": SCHEMA}}
    for i in range(64)
]
BARE = [{"type": "function", "function": {"name": "f"}}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": "1"}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "好"}


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def reserved(messages: list[Any], tools: Any = None) -> int:
    body = {"model": "tianjing", "messages": messages, **({"tools": tools} if tools else {})}
    return parse_chat(json.dumps(body).encode(), ServeConfig()).prompt_tokens


def test_a_byte_of_anything_but_common_chinese_counts_one() -> None:
    assert most_tokens("2026-01-05") == 10 and most_tokens("您好，") == 3
    assert most_tokens("龘") == 3 and most_tokens("α") == 2 and most_tokens("😀") == 4
    assert most_tokens("") == 0
    for mixed in ("α您", "·您好·α", "éa您"):
        assert len(mixed) <= most_tokens(mixed) <= len(mixed.encode())


def test_marks_of_messages_and_schemas_of_tools_count() -> None:
    assert reserved(said("a") * 256) - reserved(said("a")) >= 255 * 6
    assert reserved(said("a"), TOOLS) - reserved(said("a"), TOOLS[:1]) >= 63 * len(json.dumps(SCHEMA)) / 2


def test_the_texts_of_a_tool_count_once() -> None:
    def described(text: str) -> int:
        return reserved([USER], [{"type": "function", "function": {"name": "f", "description": text}}])

    assert described("查" * 1000) - described("查") == 999


def test_counting_is_no_work() -> None:
    text = "您好，我叫李敏，这个月工资晚发，可以晚几天还款吗？共1200.50元。" * 1000
    assert min(timeit.repeat(lambda: most_tokens(text), number=1, repeat=5)) < 0.05


PROMPTS: list[tuple[list[Any], Any]] = [
    ([USER], None),
    (said("a") * 256, None),
    (said("1 2 3 4 5 6 7 8 9 0 " * 50), None),
    (said("2026-01-05,1234.56;" * 80), None),
    (said("?!" * 400), None),
    (said("您好请问本月应还多少" * 50), None),
    (said("您好，請問這個月應還多少錢？" * 10), None),
    (said("龘靐齉爩" * 100), None),
    (said("αβγδ" * 100 + "Ёж" * 100), None),
    (said("😀" * 100), None),
    ([USER], TOOLS),
    (said("a"), BARE),
    ([USER, CALLED, RESULT] * 20, BARE),
    ([USER, {**CALLED, "tool_calls": [CALL] * 60}, *[RESULT] * 60], BARE),
]


@pytest.mark.parametrize(("prompt", "tokens"), list(zip(PROMPTS, COUNTED["prompts"], strict=True)))
def test_no_prompt_has_more_tokens_than_are_reserved(prompt: tuple[list[Any], Any], tokens: int) -> None:
    assert tokens <= reserved(*prompt)


def test_what_customers_write_is_reserved_with_little_to_spare() -> None:
    texts = list(written())
    tokens = COUNTED["customers"]
    most = [reserved(said(text)) for text in texts]
    assert all(used <= bound for used, bound in zip(tokens, most, strict=True))
    frames = reserved(said("")) * len(texts)
    assert sum(most) - frames < 1.6 * (sum(tokens) - COUNTED["empty"] * len(texts))


def written() -> Iterator[str]:
    """Messages of customers from the labelled set."""
    with open(DATA / "handoff_signals.jsonl", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]
