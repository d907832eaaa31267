"""What training sees is what serving will see, and a template that parts them is found before a step is trained."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tianjing.dataset import write_examples
from tianjing.lineage import artefact
from tianjing.models.tiny import CHATML
from tianjing.records import Example, Message
from training.cli import app
from training.errors import TrainingError
from training.parity.check import check_parity, check_row, require_parity, sample
from training.parity.served import check_server
from training.rows import IGNORED, TokenRow, stop_tokens

THINKING = "<think>\n先看逾期天数\n</think>\n\n"


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model, local_files_only=True)


@pytest.fixture
def stops(tokenizer: Any, tiny_model: Path) -> frozenset[int]:
    return stop_tokens(tokenizer, tiny_model)


def talk(*answers: str, number: int = 0) -> Example:
    """A conversation with these answers."""
    messages = [Message(role="system", content="你是客服。")]
    for turn, answer in enumerate(answers):
        messages += [
            Message(role="user", content=f"我第{turn + 1}期还不上了"),
            Message(role="assistant", content=answer),
        ]
    return Example(
        id=f"talk-{number}", task="talk", group="g", split="train", messages=tuple(messages), fields={}, reference={}
    )


TALK = talk("请问是什么原因？", "可以申请延期。", "已为您登记。")


def whole_conversation(example: Example, tokenizer: Any) -> TokenRow:
    """A row as other trainers make it: the conversation at once, with a loss on every answer up to the next message."""
    ids: list[int] = []
    labels: list[int] = []
    text = tokenizer.apply_chat_template([m.model_dump() for m in example.messages], tokenize=False)
    for part in text.split("<|im_start|>")[1:]:
        opening = f"<|im_start|>{part.splitlines()[0]}\n"
        head = tokenizer(opening, add_special_tokens=False)["input_ids"]
        rest = tokenizer(f"<|im_start|>{part}"[len(opening) :], add_special_tokens=False)["input_ids"]
        ids += head + rest
        labels += [IGNORED] * len(head) + (rest if part.startswith("assistant") else [IGNORED] * len(rest))
    assert tokenizer.decode(ids) == text
    return TokenRow(example.id, ids, labels, [1.0] * len(ids))


def without_newlines(row: TokenRow, newline: int) -> TokenRow:
    """`row` without a loss on the line break after a stop token."""
    labels = [IGNORED if label == newline and after == IGNORED else label
              for label, after in zip(row.labels, [*row.labels[1:], IGNORED], strict=True)]  # fmt: skip
    return TokenRow(row.id, row.input_ids, labels, row.loss_weights)


def test_a_good_template_agrees_at_every_answer(tokenizer: Any, stops: frozenset[int]) -> None:
    parity = check_parity([TALK, talk("好的。", number=1)], tokenizer, stops)
    assert parity.differences == () and parity.rewritten == ()
    assert (parity.rows, parity.answers) == (2, 4)


def test_a_space_more_is_found_and_shown_in_its_place(tokenizer: Any, tiny_model: Path, stops: frozenset[int]) -> None:
    tokenizer.chat_template = CHATML.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant \\n' }}")
    assert tokenizer.chat_template != CHATML
    parity = check_parity([TALK], tokenizer, stops)
    assert [difference.answer for difference in parity.differences] == [1, 2, 3]
    first = parity.differences[0]
    assert first.problem == "the prompt differs"
    assert "ssistant⟦ ⟧" in first.served and "ssistant⟦\\n⟧请问" in first.trained
    with pytest.raises(TrainingError, match="row talk-0, answer 1: the prompt differs"):
        require_parity([TALK], tokenizer, tiny_model)


def test_a_date_in_the_template_is_found(tokenizer: Any, stops: frozenset[int]) -> None:
    tokenizer.chat_template = (
        "{{ '<|im_start|>system\\nToday is ' + strftime_now('%d %b %Y') + '<|im_end|>\\n' }}" + CHATML
    )
    (difference,) = check_parity([talk("好的。")], tokenizer, stops).differences
    assert "writes the date" in difference.problem
    assert "2001" in difference.trained and "2034" in difference.served


def test_a_loss_on_the_line_break_after_the_stop_token_is_found(tokenizer: Any, stops: frozenset[int]) -> None:
    newline = tokenizer.encode("\n")[0]
    row = whole_conversation(TALK, tokenizer)
    differences = check_row(TALK, row, tokenizer, stops)
    assert [difference.answer for difference in differences] == [1, 2, 3]
    assert all(d.problem == "tokens after the stop token carry a loss" for d in differences)
    assert "<|im_end|>⟦\\n⟧" in differences[0].trained and "⟦end⟧" in differences[0].served
    assert check_row(TALK, without_newlines(row, newline), tokenizer, stops) == []


def test_a_template_without_the_models_stop_token_is_found(tokenizer: Any, stops: frozenset[int]) -> None:
    tokenizer.chat_template = CHATML.replace("message.content + '<|im_end|>\\n'", "message.content + '\\n\\n'")
    (difference,) = check_parity([talk("好的。")], tokenizer, stops).differences
    assert "without a token at which the model stops" in difference.problem


def test_the_prompt_and_a_late_start_of_the_loss_are_found(tokenizer: Any, stops: frozenset[int]) -> None:
    example = talk("可以申请延期。")
    row = without_newlines(whole_conversation(example, tokenizer), tokenizer.encode("\n")[0])
    start = next(at for at, label in enumerate(row.labels) if label != IGNORED)
    early = [*row.labels[: start - 1], *row.input_ids[start - 1 : start], *row.labels[start:]]
    late = [*row.labels[:start], IGNORED, *row.labels[start + 1 :]]
    for labels in (early, late):
        (difference,) = check_row(example, TokenRow("r", row.input_ids, labels, []), tokenizer, stops)
        assert difference.problem == "the loss does not begin where the answer does"


def test_a_stop_token_without_a_loss_is_found(tokenizer: Any, stops: frozenset[int]) -> None:
    example = talk("可以申请延期。")
    row = without_newlines(whole_conversation(example, tokenizer), tokenizer.encode("\n")[0])
    last = max(at for at, label in enumerate(row.labels) if label != IGNORED)
    labels = [*row.labels[:last], IGNORED, *row.labels[last + 1 :]]
    (difference,) = check_row(example, TokenRow("r", row.input_ids, labels, []), tokenizer, stops)
    assert difference.problem == "the answer differs" and "⟦<|im_end|>⟧" in difference.served


def reasoning_template() -> str:
    """Qwen3's own, which drops reasoning from the history."""
    from trl.chat_template_utils import qwen3_chat_template

    return str(qwen3_chat_template)


def test_reasoning_that_leaves_the_history_is_no_difference_for_the_last_answer(
    tokenizer: Any, stops: frozenset[int]
) -> None:
    tokenizer.chat_template = reasoning_template()
    thought = talk(THINKING + "请问是什么原因？", THINKING + "可以申请延期。")
    plain = talk("请问是什么原因？", "可以申请延期。", number=1)
    parity = check_parity([thought, plain], tokenizer, stops)
    assert parity.differences == ()
    assert parity.rewritten == ("talk-0", "talk-1")


@pytest.mark.parametrize("thinking", [THINKING, ""])
def test_a_loss_on_every_answer_under_a_template_that_drops_reasoning_is_found(
    tokenizer: Any, stops: frozenset[int], thinking: str
) -> None:
    tokenizer.chat_template = reasoning_template()
    example = talk(thinking + "请问是什么原因？", thinking + "可以申请延期。")
    row = without_newlines(whole_conversation(example, tokenizer), tokenizer.encode("\n")[0])
    (difference,) = check_row(example, row, tokenizer, stops)
    assert (difference.answer, difference.problem) == (1, "the answer differs")
    assert "think" in difference.served and "think" not in difference.trained


def test_a_template_that_drops_the_reasoning_it_should_teach_is_found(tokenizer: Any, stops: frozenset[int]) -> None:
    tokenizer.chat_template = CHATML.replace("message.content", "message.content.split('</think>')[-1]")
    differences = check_parity([talk(THINKING + "可以申请延期。")], tokenizer, stops).differences
    assert ["drops or changes words" in difference.problem for difference in differences] == [True]


def test_the_sample_is_even_over_tasks_and_leaves_out_rows_without_an_answer() -> None:
    rows = [talk("好的。", number=n) for n in range(20)]
    rows += [talk("好的。", number=100 + n).model_copy(update={"task": "other"}) for n in range(20)]
    unanswered = rows[0].model_copy(update={"id": "open", "messages": rows[0].messages[:-1]})
    chosen = sample([*rows, unanswered], 10)
    assert sorted(row.task for row in chosen) == ["other"] * 5 + ["talk"] * 5
    assert unanswered not in sample([unanswered, *rows], 1000)


def test_the_command_exits_1_on_a_difference_and_says_where(
    tiny_model: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # the command sets it for its process; undone after the test
    with artefact(tmp_path / "dataset", kind="dataset") as work:
        write_examples(work.dir / "train.parquet", [TALK, talk("好的。", number=1)])
    tokenizer.chat_template = CHATML.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant \\n' }}")
    tokenizer.save_pretrained(tmp_path / "bad")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "bad" / name).symlink_to(tiny_model / name)

    def command(model: Path) -> Any:
        return CliRunner().invoke(app, ["parity", str(tmp_path / "dataset"), "--model", str(model)])

    good = command(tiny_model)
    assert good.exit_code == 0, good.output
    assert "2 rows, 4 answers" in good.output and "no difference" in good.output
    bad = command(tmp_path / "bad")
    assert bad.exit_code == 1
    assert "row talk-0, answer 1: the prompt differs" in bad.output and "4 differences" in bad.output


def test_a_server_that_closes_tokenize_is_told_with_what_to_ask_instead(tokenizer: Any) -> None:
    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(200, {"data": [{"id": "served"}]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.answer(404, {"error": {"message": "not found"}})

        def answer(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(TrainingError, match=r"/tokenize: HTTP 404") as refusal:
            check_server([TALK], tokenizer, f"http://127.0.0.1:{server.server_port}/v1")
        server.shutdown()
    assert "vllm serve" in refusal.value.remedy


@pytest.mark.slow
def test_a_running_vllm_renders_the_prompts_of_training(
    tiny_model: Path, tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tianjing.engine import Engine, EngineConfig
    from tianjing.engine.command import arguments

    def without_allow_list(*given: Any) -> list[str]:
        """vLLM as anybody starts it, /tokenize open."""
        call = arguments(*given)
        bolt = call.index("--middleware")
        return call[:bolt] + call[bolt + 2 :]

    examples = [TALK, talk("好的。", number=1)]
    config = EngineConfig(model=tiny_model, max_model_len=256, kv_cache_gib=0.1)
    monkeypatch.setattr("tianjing.engine.server.arguments", without_allow_list)
    with Engine(config, tmp_path / "engine.log") as engine:
        assert check_server(examples, tokenizer, engine.base_url, engine.api_key) == []
        tokenizer.chat_template = CHATML.replace("'<|im_start|>assistant\\n' }}", "'<|im_start|>assistant \\n' }}")
        differences = check_server(examples, tokenizer, engine.base_url, engine.api_key)
    assert [(difference.row, difference.answer) for difference in differences] == [
        ("talk-0", 1), ("talk-0", 2), ("talk-0", 3), ("talk-1", 1),
    ]  # fmt: skip
    assert "ssistant⟦ ⟧" in differences[0].trained and "ssistant⟦\\n⟧" in differences[0].served
