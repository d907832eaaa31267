from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.cli import app
from evals.config import EvalConfig
from evals.material import task_table
from evals.plan import add_control, build_requests, choose_items, choose_shots
from evals.records import Attempt, Item, RawAttempt
from evals.scoring import score_attempt
from evals.suites.definition import MAX_TOKENS, Definition
from evals.suites.figures import suite_figures
from evals.suites.load import load_suites, read_suite
from evals.suites.tables import records
from evals.suites.tasks import task_of
from tests.evals.suites.conftest import EXAM, Write, numbered
from tianjing.errors import TianjingError

YAML = """
id: collection_exam
title: 催收考试
kind: single_choice
data: exam.csv
licence: own
columns: {id: id}
"""


@pytest.fixture
def suite(write: Write) -> Path:
    write("exam.csv", numbered(30))
    return write("exam.yaml", YAML)


def test_a_suite_of_ones_own_becomes_rows_and_a_task(suite: Path) -> None:
    material = load_suites([suite])
    assert [len(material.train), len(material.test)] == [5, 25]
    assert not {row.id for row in material.train} & {row.id for row in material.test}
    assert material.tasks["collection_exam"].title == "催收考试"


def test_the_plan_of_an_evaluation_takes_suites_as_it_takes_datasets(suite: Path) -> None:
    material, config = load_suites([suite]), EvalConfig(items=10, stability_items=3, repeats=2)
    items = add_control(choose_items(material.test, config, material.tasks), material.train, config, material.tasks)
    requests = build_requests(items, choose_shots(material.train, config), config, material.tasks)
    assert len(items) == 10 and 0 < items[0].control < 0.6
    assert {request.condition for request in requests} == {"greedy", "sampled", "wording1", "wording2"}


def test_tasks_are_rebuilt_from_definitions_alone(suite: Path, tmp_path: Path) -> None:
    material = load_suites([suite])
    stored = json.loads(json.dumps(list(material.definitions)))
    row = material.test[0]
    suite.unlink()
    (tmp_path / "exam.csv").unlink()
    task = task_table(stored)["collection_exam"]
    assert task.render(row.fields) == row.messages[1].content
    assert task.read("答案：A", row.fields).answer == "A"
    assert "policy_qa" in task_table(stored)


def test_the_digest_is_of_the_content_and_not_of_the_files_form(suite: Path, write: Write) -> None:
    before = load_suites([suite]).digest
    text = (suite.parent / "exam.csv").read_text(encoding="utf-8")
    write("exam.csv", text.replace("第3题：逾期3天怎么办？", '"第3题：逾期3天怎么办？"') + "\n\n")
    assert load_suites([suite]).digest == before
    write("exam.csv", text.replace("第3题", "第三题"))
    assert load_suites([suite]).digest != before


def test_every_wording_asks_the_same_question_and_there_are_three() -> None:
    for kind in ("single_choice", "multiple_choice", "judgement", "numeric", "label", "keywords", "text"):
        task = task_of(Definition(id="x", kind=kind, labels=("甲", "乙")))
        fields = {"question": "逾期一天？", "options": ["联系", "失联"], "ids": ["A", "B"], "subject": "催收"}
        shown = [task.render(fields, wording) for wording in range(3)]
        assert len(set(shown)) == 3 and all("逾期一天？" in text for text in shown)


def test_kinds_whose_answer_is_written_are_not_closed() -> None:
    tasks = [
        task_of(Definition(id=kind, kind=kind, labels=("甲", "乙"), fields={"name": "text"})) for kind in MAX_TOKENS
    ]
    assert {task.id for task in tasks if not task.closed} == {"keywords", "text"}


def test_a_permutation_is_undone_in_the_answer() -> None:
    task = task_of(Definition(id="x", kind="multiple_choice"))
    fields = {"question": "哪些可以？", "options": ["甲方案", "乙方案", "丙方案"], "ids": ["A", "B", "C"]}
    turned = {**fields, "options": ["丙方案", "甲方案", "乙方案"], "ids": ["C", "A", "B"]}
    assert task.read("A、C", fields).answer == task.read("A、B", turned).answer == "AC"
    assert task.read("丙方案、甲方案", turned).answer == "AC"
    assert "A. 丙方案" in task.render(turned)


def attempt(item: Item, output: str, reason: str = "stop") -> Attempt:
    raw = RawAttempt(
        key=item.id, item=item.id, task=item.task, arm="tuned", condition="greedy", repeat=0, prompt="p", seed=1,
        temperature=0, output=output, finish_reason=reason,
    )  # fmt: skip
    return score_attempt(raw, item, task_of(KINDS[item.task]))


KINDS = {
    "several": Definition(id="several", kind="multiple_choice"),
    "proof": Definition(id="proof", kind="fields", fields={"name": "text", "income": "money"}),
    "mood": Definition(id="mood", kind="label", labels=("正面", "负面")),
}


def item(task: str, number: int, fields: dict[str, object], reference: dict[str, object]) -> Item:
    return Item(
        id=f"{task}{number}", task=task, group="g", kind="", stability=False, fields=fields, reference=reference
    )


def test_a_cut_answer_is_truncated_unless_it_was_final() -> None:
    choice = item("several", 0, {"question": "q", "options": ["甲乙", "丙丁"], "ids": ["A", "B"]}, {"answer": "AB"})
    assert attempt(choice, "答案：AB。解析：因为", "length").answer == "AB"
    cut = attempt(choice, "先看A项，它是", "length")
    assert (cut.answer, cut.rule, cut.score) == (None, "truncated", 0.0)
    assert attempt(choice, "先看A项，它是").rule.startswith("invalid")


def test_figures_of_the_kinds_by_hand() -> None:
    options: dict[str, object] = {"question": "q", "options": ["甲乙", "丙丁", "戊己"], "ids": ["A", "B", "C"]}
    proof: dict[str, object] = {"question": "材料"}
    items = [
        item("several", 0, options, {"answer": "AB"}),
        item("several", 1, options, {"answer": "C"}),
        item("proof", 0, proof, {"answer": "", "values": {"name": "李明", "income": "8000"}}),
        item("proof", 1, proof, {"answer": "", "values": {"name": "王芳", "income": None}}),
        item("mood", 0, {"question": "q"}, {"answer": "正面", "label": "正面"}),
        item("mood", 1, {"question": "q"}, {"answer": "负面", "label": "负面"}),
        item("mood", 2, {"question": "q"}, {"answer": "负面", "label": "负面"}),
    ]
    outputs = [
        "A",
        "C",
        '{"name":"李明","income":"80000"}',
        '{"name":"王芳","income":"5000"}',
        "正面",
        "负面",
        "不好说",
    ]
    attempts = [attempt(each, output) for each, output in zip(items, outputs, strict=True)]
    figures = suite_figures(items, attempts, {name: task_of(each) for name, each in KINDS.items()}, "tuned")
    assert figures["several"]["options_f1"] == pytest.approx((2 / 3 + 1) / 2)
    fields = figures["proof"]
    assert fields["exact_match"] == 0.5 and fields["precision"] == 0.5 and fields["recall"] == pytest.approx(2 / 3)
    assert fields["hallucination_rate"] == 1.0 and fields["document_exact"] == 0.0 and fields["parse_rate"] == 1.0
    mood = figures["mood"]
    assert mood["accuracy"] == pytest.approx(2 / 3) and mood["missing"] == pytest.approx(1 / 3)
    assert mood["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    # R_k by hand: c=2, s=3, p=(正1, 负1, none 1), t=(正1, 负2): (2·3 − (1+2)) / √((9−3)(9−5)).
    assert mood["mcc"] == pytest.approx(3 / (6 * 4) ** 0.5)


def test_the_format_only_control_of_a_choice_is_chance() -> None:
    task = task_of(Definition(id="x", kind="single_choice"))
    fields = {"question": "q", "options": ["甲乙", "丙丁", "戊己", "庚辛"], "ids": list("ABCD")}
    rng = random.Random(1)
    drawn = [task.read(task.format_only(fields, [{"answer": "A"}], rng), fields).answer for _ in range(400)]
    assert None not in drawn and 60 < drawn.count("A") < 140


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0,第0题": "1,第0题"}, r"exam.csv:3: id 'exam/1' stands at .*exam.csv:2 too"),
        ({"失联,A\n1,": "失联,\n1,"}, r"exam.csv:2, column 'answer': no right answer"),
        ({"失联,A\n1,": "失联,E\n1,"}, r"exam.csv:2, column 'answer': 'E' of 4 options"),
        ({"失联,A\n1,": "失联,AB\n1,"}, r"several letters 'AB' in a single choice"),
        (
            {"不理会,换号码,失联,A\n1,": ",换号码,失联,A\n1,"},
            r"exam.csv:2, column 'B': empty option before a filled one",
        ),
        ({"联系机构,不理会,换号码,失联,A\n1,": "联系机构,,,,A\n1,"}, r"exam.csv:2, column 'A': 1 option"),
        ({"第0题：逾期0天怎么办？": ""}, r"exam.csv:2, column 'question': empty"),
        (
            {"不理会,换号码,失联,A\n1,": "联系机构,换号码,失联,A\n1,"},
            r"exam.csv:2: options A and B are the same, '联系机构'",
        ),
        (
            {"1,第1题：逾期1天怎么办？,联系机构,不理会": "1,第0题：逾期0天怎么办？,不理会,联系机构"},
            r"exam.csv:3: the same item as .*exam.csv:2 with another right answer",
        ),
    ],
)
def test_bad_rows_are_named_with_file_line_and_column(
    suite: Path, write: Write, change: dict[str, str], message: str
) -> None:
    text = (suite.parent / "exam.csv").read_text(encoding="utf-8")
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    write("exam.csv", text)
    with pytest.raises(TianjingError, match=message):
        load_suites([suite])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (YAML.replace("kind: single_choice", "kind: single"), r"exam.yaml:4: 'kind'"),
        (YAML.replace("licence", "license"), "did you mean 'licence'"),
        (YAML.replace("{id: id}", "{id: id, question: 题干}"), r"column '题干': no such column"),
        (YAML.replace("collection_exam", "intent"), "is a task of tianjing.tasks"),
        (YAML + "prompts: ['{question} {answer}']\n", "unknown place {answer}"),
        (YAML.replace("data: exam.csv", "data: none.csv"), "none.csv: no such file"),
        ("reader: finance\npath: .\n", "unknown reader"),
        ("data: exam.csv\n", "no kind, reader or task"),
    ],
)
def test_a_wrong_suite_file_says_what_is_wrong(suite: Path, write: Write, text: str, message: str) -> None:
    with pytest.raises(TianjingError, match=message):
        load_suites([write("exam.yaml", text)])


def test_two_suites_of_one_name_and_a_file_that_is_not_utf8(suite: Path, write: Write) -> None:
    other = write("other.yaml", YAML)
    with pytest.raises(TianjingError, match="two suites are named"):
        load_suites([suite, other])
    (suite.parent / "exam.csv").write_bytes((EXAM + "0,题,甲,乙,丙,丁,A\n").encode("gb18030"))
    with pytest.raises(TianjingError, match=r"not UTF-8.*\n.*iconv"):
        load_suites([suite])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_spreadsheets_unicode_text_is_read_or_named_for_what_it_is(suite: Path, encoding: str) -> None:
    before = load_suites([suite]).digest
    file = suite.parent / "exam.csv"
    text = file.read_text(encoding="utf-8")
    file.write_bytes(text.encode(encoding))
    if encoding == "utf-16":
        assert load_suites([suite]).digest == before
        file.write_bytes(text.encode(encoding)[:-1])
        with pytest.raises(TianjingError, match=r"not UTF-16.*\n.*cut off"):
            load_suites([suite])
        return
    with pytest.raises(
        TianjingError, match=rf"UTF-16 without its byte order mark\n.*iconv -f {encoding.upper().replace('6-', '6')}"
    ):
        load_suites([suite])


@pytest.mark.parametrize("written", ["Ａ", "ａ", "Ａ．", "（Ａ）", "a"])
def test_a_full_width_letter_is_a_letter(suite: Path, write: Write, written: str) -> None:
    text = (suite.parent / "exam.csv").read_text(encoding="utf-8")
    write("exam.csv", text.replace(",A\n", f",{written}\n"))
    assert {row.reference["answer"] for row in load_suites([suite]).test} == {"A"}
    write(
        "exam.csv", text.replace("联系机构,不理会,换号码,失联,A", "Ａ．联系机构,Ｂ．不理会,Ｃ．换号码,Ｄ．失联,ａ，ｂ")
    )
    write("exam.yaml", YAML.replace("single_choice", "multiple_choice"))
    row = load_suites([suite]).test[0]
    assert row.reference["answer"] == "AB" and row.fields["options"][0] == "联系机构"


def test_the_same_question_is_one_group_and_the_same_item_no_second_one(suite: Path, write: Write) -> None:
    again = EXAM + "".join(f"{n},第{n // 3}题？,甲,乙,丙{n % 3},丁,A\n" for n in range(30))
    write("exam.csv", again)
    material = load_suites([suite])
    assert len({row.group for row in (*material.train, *material.test)}) == 10
    assert not {row.group for row in material.train} & {row.group for row in material.test}
    write("exam.csv", again + "30,第0题？,乙,甲,丙0,丁,B\n")  # the options turned, and the same one right
    assert len(load_suites([suite]).test) + len(load_suites([suite]).train) == 31
    write("shots.csv", EXAM + "0,第0题？,甲,乙,丙0,丁,A\n")
    write("exam.yaml", YAML + "shots: shots.csv\n")
    with pytest.raises(TianjingError, match=r"exam.csv:2: the same item as .*shots.csv:2, once tested and once"):
        load_suites([suite])


def test_what_is_doubtful_in_a_published_set_is_told_and_its_rows_stay(write: Write, tmp_path: Path) -> None:
    rows = numbered(8) + "8,第0题：逾期0天怎么办？,联系机构,不理会,换号码,失联,B\n9,重复？,甲,甲,乙,丙,C\n"
    write("set/loan_val.csv", rows)
    done = CliRunner().invoke(app, ["suite", "check", str(tmp_path / "set"), "--show", "0"])
    assert done.exit_code == 0
    told = done.output.replace("\n", "")
    assert "loan_val.csv:10: the same item as" in told and "loan_val.csv:11: options A and B are the same, '甲'" in told
    (loaded,) = read_suite(tmp_path / "set")
    assert len(loaded.test) + len(loaded.train) == 10


def test_half_a_character_is_named_with_its_line(write: Write) -> None:
    with pytest.raises(TianjingError, match=r"rows.jsonl:2: holds half a character"):
        list(records(write("rows.jsonl", '{"id": 1}\n{"id": 2, "question": "\\ud83d"}\n')))


def test_rows_for_a_task_of_the_project(write: Write) -> None:
    rows = [
        {
            "id": n,
            "group": f"客户{n}",
            "fields": {
                "intents": [{"id": "a", "title": "还款"}, {"id": "b", "title": "投诉"}],
                "turns": [{"speaker": "customer", "text": f"我要还{n}元"}],
            },
            "reference": {"intent": "a", "title": "还款"},
        }
        for n in range(8)
    ]
    write("rows.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    loaded = read_suite(write("suite.yaml", "task: intent\ndata: rows.jsonl\nheld_out: 2\n"))
    assert [len(loaded[0].train), len(loaded[0].test), loaded[0].definition] == [2, 6, None]
    rows[3]["fields"] = {"turns": []}
    write("rows.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    with pytest.raises(TianjingError, match=r"rows.jsonl:4, column 'fields': not what the task 'intent' needs"):
        read_suite(write("suite.yaml", "task: intent\ndata: rows.jsonl\n"))


def test_customers_of_one_name_are_one_group_across_suites(suite: Path, write: Write) -> None:
    groups = []
    for name in ("first", "second"):
        header, *lines = numbered(12).splitlines()
        write(f"{name}.csv", "\n".join([f"{header},who", *(f"{line},客户{n % 6}" for n, line in enumerate(lines))]))
        yaml = YAML.replace("exam.csv", f"{name}.csv").replace("collection_exam", name)
        (loaded,) = read_suite(write(f"{name}.yaml", yaml.replace("{id: id}", "{id: id, group: who}")))
        groups.append({row.group for row in (*loaded.train, *loaded.test)})
    assert groups[0] == groups[1] == {f"客户{n}" for n in range(6)}


def test_check_prints_counts_and_items_and_fails_on_a_bad_file(suite: Path, write: Write) -> None:
    done = CliRunner().invoke(app, ["suite", "check", str(suite), "--show", "1"])
    assert done.exit_code == 0 and "collection_exam" in done.output and "答案：" in done.output
    write("exam.csv", EXAM + "0,题,甲,乙,丙,丁,Z\n")
    assert CliRunner().invoke(app, ["suite", "check", str(suite)]).exit_code != 0
