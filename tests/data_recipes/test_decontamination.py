"""Copies of evaluation items are found in rows and dialogues, also when changed; other texts are left alone."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_recipes.cleaning.decontamination import (
    Contamination,
    EvaluationSet,
    dialogue_text,
    hits_by_set,
    row_text,
)
from data_recipes.errors import DataError
from tianjing.privacy import mask
from tianjing.records import Dialogue

ROOT = Path(__file__).parents[2]
QUESTION = (
    "客户王丽华于3月5日借款12,000元，分12期偿还，年化利率18%。"
    "她因为住院治疗连续两期没有按时还款，现在向客服申请把剩余的款项延后处理。"
    "请说明坐席应当先核实哪些证明材料，再按照公司的困难客户政策给出哪一种方案。"
)
ANSWER = "应先核实住院证明和收入变化证明，确认属于困难客户之后，可以为她登记延期三十天的申请，并告知逾期记录如何处理。"
SHORT = "提前还清要收违约金吗？"
DIALOGUES = [
    Dialogue.model_validate_json(line)
    for line in (ROOT / "examples/raw/dialogues.jsonl").read_text(encoding="utf-8").splitlines()
]
DIALOGUE = dialogue_text(DIALOGUES[0])


def _write(folder: Path, rows: list[dict[str, str]], name: str = "set.jsonl") -> EvaluationSet:
    (folder / name).write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return EvaluationSet(name="hardship", path=name)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Contamination:
    folder = tmp_path_factory.mktemp("sets")
    rows = [{"question": QUESTION, "answer": ANSWER}, {"question": SHORT, "answer": "不收"}, {"question": "在吗"}]
    return Contamination([_write(folder, rows)], folder)


CHANGED = {
    "verbatim": QUESTION,
    "name": QUESTION.replace("王丽华", "欧阳建国"),
    "redacted": mask(QUESTION).text,
    "numbers": QUESTION.replace("3月5日", "11月28日").replace("12,000元", "三万五千元").replace("18%", "百分之九点六"),
    "name, numbers and amounts": QUESTION.replace("王丽华", "李强")
    .replace("3月5日", "十二月一日")
    .replace("12,000", "800")
    .replace("12期", "二十四期"),
    "sentences reordered": "".join(f"{part}。" for part in reversed(QUESTION.removesuffix("。").split("。"))),
    "without punctuation": "".join(c for c in QUESTION if c.isalnum()),
    "wide": "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in QUESTION),
    "answer alone": ANSWER,
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_copy_is_found_in_a_longer_dialogue(index: Contamination, change: str) -> None:
    (hit,) = index.find_many([f"{DIALOGUE}\n{CHANGED[change]}\n{DIALOGUE}"])
    assert hit is not None
    assert (hit.set, hit.item) == ("hardship", 0)
    assert hit.share >= 0.2
    assert QUESTION.startswith(hit.text)


def test_a_short_question_is_found_as_a_line_and_not_inside_of_one(index: Contamination) -> None:
    held, inside, greeting = index.find_many(
        [f"您好\n{SHORT}\n是的", f"我想问一下{SHORT}还有别的费用没有", "您好\n在吗\n在的"]
    )
    assert held is not None and (held.item, held.share) == (1, 1.0)
    assert inside is None
    assert greeting is None
    assert index.counts["hardship"].too_short == 1


def test_the_sample_dialogues_hold_nothing_of_a_set_of_their_own_domain(index: Contamination) -> None:
    assert hits_by_set(index.find_many([dialogue_text(dialogue) for dialogue in DIALOGUES])) == {}


def test_a_row_of_the_test_split_is_found_in_training(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "你是消费金融公司的助手，只依据给出的条款回答客户的问题，不得编造。"},
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
    ]
    pq.write_table(pa.Table.from_pylist([{"id": "1", "messages": messages}]), tmp_path / "test.parquet")
    index = Contamination([EvaluationSet(name="own", path="test.parquet")], tmp_path)
    other = [messages[0], {"role": "user", "content": "怎么开发票？"}, {"role": "assistant", "content": "在线申请。"}]
    hits = index.find_many([row_text(messages), row_text(other)])
    assert hits_by_set(hits) == {"own": 1}
    assert hits[0] is not None and hits[0].share == 1.0


def test_the_wording_of_a_prompt_that_all_items_share_is_no_copy(tmp_path: Path) -> None:
    prompt = "请作为消费金融公司的资深质检员仔细阅读下面这段通话并且指出其中有没有违反规定的地方："
    topics = "利息 罚息 征信 合同 发票 退款 账单 授权 保险 额度 期数 结清".split()
    rows = [{"question": f"{prompt}坐席向客户解释了{topic}怎样计算以及在什么时候收取{topic}"} for topic in topics]
    index = Contamination([_write(tmp_path, rows)], tmp_path)
    other = f"{prompt}客户说自己从来没有收到过短信，坐席答应核对手机号码之后再发一次"
    assert index.find_many([other]) == [None]
    assert all(index.find_many([row["question"] for row in rows]))


@given(st.permutations(range(6)))
def test_what_is_found_does_not_depend_on_what_else_is_asked(order: list[int]) -> None:
    texts = [DIALOGUE, QUESTION, "", ANSWER, SHORT, DIALOGUE + QUESTION]
    index = _INDEX[0]
    alone = [index.find_many([text])[0] for text in texts]
    assert index.find_many([texts[i] for i in order]) == [alone[i] for i in order]


_INDEX: list[Contamination] = []


@pytest.fixture(scope="module", autouse=True)
def _shared(index: Contamination) -> None:
    _INDEX.append(index)


def test_every_format_gives_the_same_items(tmp_path: Path) -> None:
    rows = [{"instruction": QUESTION, "input": "", "output": ANSWER}]
    _write(tmp_path, rows, "a.jsonl")
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with open(tmp_path / "a.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for suffix in ("jsonl", "json", "csv", "parquet"):
        index = Contamination([EvaluationSet(name=suffix, path=f"a.{suffix}")], tmp_path)
        assert [hit and (hit.set, hit.share) for hit in index.find_many([QUESTION, DIALOGUE])] == [(suffix, 1.0), None]


def test_a_missing_or_foreign_set_is_an_error_that_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such evaluation set"):
        Contamination([EvaluationSet(name="x", path="absent.jsonl")], tmp_path)
    source = _write(tmp_path, [{"q": QUESTION}])
    with pytest.raises(DataError, match=r"set\.jsonl:1: .*no field of a question; the record has q"):
        Contamination([source], tmp_path)
    (tmp_path / "set.jsonl").write_text('{"question": "a"}\n{"question"', encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        Contamination([source], tmp_path)
    named = source.model_copy(update={"question_fields": ("q",)})
    _write(tmp_path, [{"q": QUESTION}])
    assert Contamination([named], tmp_path).find_many([QUESTION])[0] is not None


def test_no_sets_find_nothing() -> None:
    assert Contamination([]).find_many([QUESTION, ""]) == [None, None]
