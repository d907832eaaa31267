"""Rows are rendered as they will be served, and supervised on the answer alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tianjing.records import Example, Message
from tianjing.tasks import TASKS, conversation
from training.errors import TrainingError
from training.rows import IGNORED, choose, stop_tokens, tokenize


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)


def example(number: int, task: str = "next_reply") -> Example:
    fields = {"turns": [{"speaker": "customer", "text": f"我上个月失业了，第{number}次了。"}]}
    reference = {"situation": "失业", "act": "offer_deferral", "reply": "您可以申请延期还款。"}
    return Example(
        id=f"row-{number}",
        task=task,
        group=f"customer-{number}",
        split="train",
        messages=conversation(TASKS["next_reply"], fields, reference),
        fields=fields,
        reference=reference,
    )


def test_supervision_covers_the_answer_and_its_stop_token_only(tokenizer: Any) -> None:
    (row,) = tokenize([example(1)], tokenizer, 512).rows
    supervised = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(supervised[:-1]) == "【失业：延期】您可以申请延期还款。"
    assert supervised[-1] == tokenizer.eos_token_id


def test_the_prompt_is_token_for_token_what_the_server_renders(tokenizer: Any) -> None:
    item = example(1)
    (row,) = tokenize([item], tokenizer, 512).rows
    served = tokenizer.apply_chat_template(
        [message.model_dump() for message in item.messages[:-1]], add_generation_prompt=True, return_dict=False
    )
    assert row.input_ids[: len(served)] == served
    assert row.labels[: len(served)] == [IGNORED] * len(served)


def test_the_decision_is_weighed_and_the_wording_is_not(tokenizer: Any) -> None:
    item = example(1).model_copy(update={"weight": 0.5})
    (row,) = tokenize([item], tokenizer, 512, decision_weight=6).rows
    heavy = [token for token, weight in zip(row.input_ids, row.loss_weights, strict=True) if weight == 3.0]
    assert tokenizer.decode(heavy) == "失业：延期" + tokenizer.eos_token
    assert {weight for weight in row.loss_weights} == {0.5, 3.0}


def with_template(model: Path, content: str) -> Any:
    """The tokenizer with a template that renders `content` where its own has the message's text."""
    from transformers import AutoTokenizer

    changed = AutoTokenizer.from_pretrained(model, local_files_only=True)
    changed.chat_template = changed.chat_template.replace("message.content", content)
    return changed


def answering(answer: str) -> Example:
    item = example(1)
    return item.model_copy(update={"messages": (*item.messages[:-1], Message(role="assistant", content=answer))})


def test_the_decision_is_weighed_where_the_template_trims_the_answer(tiny_model: Path) -> None:
    trims = with_template(tiny_model, "(message.content | trim)")
    (row,) = tokenize([answering("【失业：延期】您可以申请延期还款。\n")], trims, 512, decision_weight=6).rows
    heavy = [token for token, weight in zip(row.input_ids, row.loss_weights, strict=True) if weight == 6.0]
    assert trims.decode(heavy) == "失业：延期" + trims.eos_token


def test_a_template_that_changes_the_decision_is_refused_with_the_row(tiny_model: Path) -> None:
    rewrites = with_template(tiny_model, "(message.content | replace('：', ':'))")
    with pytest.raises(TrainingError, match=r"row row-1: the chat template changes the answer(.|\n)*chat_template"):
        tokenize([example(1)], rewrites, 512, decision_weight=6)


def test_a_row_that_is_too_long_is_left_out_by_id_and_never_cut(tokenizer: Any) -> None:
    result = tokenize([example(1), example(2)], tokenizer, 20)
    assert result.rows == []
    assert result.dropped == {"too_long": ["row-1", "row-2"]}


def test_rows_are_chosen_evenly_over_tasks_and_reproducibly() -> None:
    rows = [example(number) for number in range(30)] + [example(100 + n, "policy_qa") for n in range(5)]
    chosen = choose(rows, 4, seed=1)
    assert sorted(row.task for row in chosen) == ["next_reply"] * 4 + ["policy_qa"] * 4
    assert [row.id for row in chosen] == [row.id for row in choose(list(reversed(rows)), 4, seed=1)]
    assert [row.id for row in chosen] != [row.id for row in choose(rows, 4, seed=2)]
    assert len(choose(rows, {"next_reply": 7}, seed=1)) == 7 + 5  # a task that is not named keeps all its rows


def test_a_row_less_in_the_dataset_leaves_the_draw_of_the_others() -> None:
    rows = [example(number) for number in range(300)]
    chosen = {row.id for row in choose(rows, 120, seed=0)}
    assert len(chosen & {row.id for row in choose(rows[1:], 120, seed=0)}) >= 119


def test_an_answer_ends_at_any_token_at_which_the_model_stops(tiny_model: Path) -> None:
    """As base models have it whose tokenizer ends texts with another token than their template ends turns with."""
    from transformers import AutoTokenizer

    usual = AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)
    (expected,) = tokenize([example(1)], usual, 512).rows
    other = AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)
    other.eos_token = "<|endoftext|>"
    stops = stop_tokens(other, tiny_model)
    assert stops == set(usual.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"]))
    assert tokenize([example(1)], other, 512, stops=stops).rows == [expected]

    # A template without any: nothing is cut, and parity names it.
    (whole,) = tokenize([example(1)], other, 512).rows
    assert usual.decode(whole.input_ids).endswith("您可以申请延期还款。<|im_end|>\n")
    assert whole.labels[-len(expected.labels) :] != expected.labels and whole.supervised == expected.supervised + 1
