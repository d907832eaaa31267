"""Each reader on a fixture in the layout that its set documents."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evals.errors import EvalError
from evals.suites.load import Loaded, read_suite
from evals.suites.readers import READERS, recognise
from tests.evals.suites.conftest import CARD, EXAM, LOAN, Write, numbered


def tasks(path: Path) -> dict[str, Loaded]:
    return {loaded.task.id: loaded for loaded in read_suite(path)}


def test_financeiq(write: Write, tmp_path: Path) -> None:
    head = ",Question,A,B,C,D,Answer\n"
    write("dev/税务师.csv", head + "0,示例题,甲,乙,丙,丁,C\n")
    write("test/税务师.csv", head + '0,"增值税是（）, 请选择",流转税,所得税,财产税,行为税,A\n')
    found = tasks(tmp_path)["financeiq"]
    row = found.test[0]
    assert (found.reader, found.licence) == ("financeiq", "CC BY-NC-SA 4.0")
    assert [len(found.train), len(found.test)] == [1, 1]
    assert row.fields["subject"] == "税务师" and row.reference == {"answer": "A"}
    shown = row.messages[1].content
    assert "税务师" in shown and "\n题目：增值税是（）, 请选择\nA. 流转税\n" in shown and shown.endswith("答案是: ")
    assert row.messages[2].content == "A"


def test_cflue_knowledge_reads_its_options_as_text_and_never_runs_them(write: Write, tmp_path: Path) -> None:
    write(
        "knowledge.json",
        [
            {
                "名称": "银行",
                "task": form,
                "question": f"第{n}题",
                "choices": choices,
                "answer": answer,
                "analysis": None,
            }
            for n in range(6)
            for form, choices, answer in (
                ("单项选择题", "{'A': '甲', 'B': \"乙's\"}", "B"),
                ("多项选择题", "{'A': '甲', 'B': '乙', 'C': '丙'}", "CA"),
                ("判断题", "{'A': '对', 'B': '错'}", "B"),
            )
        ],
    )
    found = tasks(tmp_path)
    assert sorted(found) == ["cflue_judgement", "cflue_multiple", "cflue_single"]
    several = found["cflue_multiple"]
    assert several.test[0].reference == {"answer": "AC"}  # the order of published letters does not matter
    judge = found["cflue_judgement"]
    assert judge.task.read("该说法错误", judge.test[0].fields).answer == "B"
    assert judge.task.read("B", judge.test[0].fields).answer == "B"
    evil = "__import__('os').system('true')"
    write("knowledge.json", [{"名称": "x", "task": "单项选择题", "question": "q", "choices": evil, "answer": "A"}])
    with pytest.raises(EvalError, match=r"knowledge.json:1, column 'choices'"):
        read_suite(tmp_path)


def test_cflue_application_takes_the_labels_that_the_instruction_quotes(write: Write, tmp_path: Path) -> None:
    rows = [
        {
            "task": "金融文本分类",
            "sub_task": "意图",
            "instruction": f"类别：['查账', '还款']。第{n}条",
            "input": "",
            "output": "还款",
        }
        for n in range(7)
    ] + [
        {"task": "金融咨询", "sub_task": "问答", "instruction": f"第{n}问", "input": "", "output": "可以"}
        for n in range(7)
    ]
    write("application.json", rows)
    found = tasks(tmp_path)
    label = found["cflue_application_label"]
    assert label.test[0].fields["labels"] == ["查账", "还款"]
    assert label.task.read("属于“还款”类", label.test[0].fields).answer == "还款"
    assert found["cflue_application_text"].definition is not None


def test_fineval_uses_val_and_leaves_the_blind_test_out(write: Write, tmp_path: Path) -> None:
    name = "banking_practitioner_qualification_certificate"
    write(f"dev/{name}_dev.csv", "id,question,A,B,C,D,answer,explanation\n0,示例,甲,乙,丙,丁,D,理由\n")
    write(f"val/{name}_val.csv", EXAM + LOAN + CARD)
    write(f"test/{name}_test.csv", "id,question,A,B,C,D\n0,盲题,甲,乙,丙,丁\n")
    write("subject_map.json", {name: {"ch": "银行从业资格"}})
    found = tasks(tmp_path)["fineval"]
    assert [len(found.train), len(found.test)] == [1, 2]
    assert "银行从业资格" in found.test[0].messages[1].content


def test_c_eval_style_and_its_test_split_without_answers(write: Write, tmp_path: Path) -> None:
    write("val/accountant_val.csv", numbered(8))
    assert recognise(tmp_path).name == "ceval"
    assert len(tasks(tmp_path)["ceval"].test) == 3  # five of eight are held out
    alone = tmp_path / "only_test"
    write("only_test/val/none.txt", "")
    write("only_test/law_test.csv", "id,question,A,B,C,D\n0,盲题,甲,乙,丙,丁\n")
    with pytest.raises(EvalError, match="without answers: give the folder that has val"):
        list(READERS["ceval"].read(alone))


def test_fineval_security_drops_the_letter_that_options_repeat(write: Write, tmp_path: Path) -> None:
    rows = "".join(f"u{n},问题{n},A: 一,B: 二,C: 三,D: 四,C\n" for n in range(7))
    write("security/cryptography_val.csv", EXAM + rows)
    found = tasks(tmp_path)["fineval_security"]
    assert found.test[0].fields["options"] == ["一", "二", "三", "四"]


def test_fineval_rigor_compares_numbers_with_their_unit(write: Write, tmp_path: Path) -> None:
    head = "序号,类型,端到端query,基座query,标准答案,题目答案计算逻辑\n"
    rows = "".join(f'{n},数值计算,短问,"材料{n}\n请计算",{n}.5万元,\n' for n in range(1, 8))
    write("Financial Rigor Test_Numerical Calculation.csv", head + rows)
    found = tasks(tmp_path)["fineval_rigor"]
    row = found.test[0]
    amount = float(str(row.reference["answer"]).removesuffix("万元")) * 10000
    reading = found.task.read(f"结果是{amount:,.0f}元", row.fields)
    assert found.task.score(reading, row.reference, row.fields) == 1.0
    assert found.task.score(found.task.read("1元", row.fields), row.reference, row.fields) == 0.0


def test_fin_eva_counts_the_blind_rows_of_a_file(write: Write, tmp_path: Path) -> None:
    write("data/Ant/金融知识/银行从业资格考试.csv", "\ufeff" + numbered(8) + "8,盲题,甲,乙,丙,丁,\n")
    write(
        "data/Ant/安全合规/金融事实性.csv",
        "id,question,answer\n" + "".join(f"{n},说法{n},{'是否'[n % 2]}\n" for n in range(8)),
    )
    write("data/SUFE/dev/finance_dev.csv", EXAM + LOAN)
    write("data/SUFE/val/finance_val.csv", EXAM + CARD)
    found = tasks(tmp_path / "data")
    assert sorted(found) == ["fineva_ant", "fineva_ant_judgement", "fineva_sufe"]
    assert found["fineva_ant"].blind == 1
    judge = found["fineva_ant_judgement"]
    assert judge.test[0].messages[2].content in "是否"
    assert judge.task.read("否，不符合事实", judge.test[0].fields).answer == "错"


def test_openfindata_choices_and_keywords(write: Write, tmp_path: Path) -> None:
    choices = [{"id": str(n), "question": f"题{n}", "A": "甲", "B": "乙", "C": "丙", "answer": "B"} for n in range(7)]
    words = [{"id": str(n), "question": f"识别{n}", "answer": "晨舟公司、远山银行"} for n in range(7)]
    write("release/emotion_identification.json", choices)
    write("release/entity_recognition.json", words)
    found = tasks(tmp_path)
    row, task = found["openfindata_keywords"].test[0], found["openfindata_keywords"].task
    assert task.score(task.read("有远山银行和晨舟公司", row.fields), row.reference, row.fields) == 1.0
    assert task.score(task.read("远山银行", row.fields), row.reference, row.fields) == 0.0
    assert len(found["openfindata"].test[0].fields["options"]) == 3


def test_general_mcq_in_csv_and_json_lines_single_and_multiple(write: Write, tmp_path: Path) -> None:
    head = "id,category,question,A,B,answer,explanation\n"
    write("bank_val.csv", head + "".join(f"{n},银行,题{n},甲,乙,B,略\n" for n in range(7)))
    lines = [
        f'{{"id": "{n}", "question": "多选{n}", "A": "甲", "B": "乙", "C": "丙", "answer": ["C", "A"]}}'
        for n in range(7)
    ]
    write("loan_val.jsonl", "\n".join(lines))
    found = tasks(tmp_path)
    assert found["general_mcq_multiple"].test[0].reference == {"answer": "AC"}
    assert found["general_mcq"].test[0].fields["subject"] == "银行"
    write("bank_val.csv", head + "1,物理,声速？,343 m/s,299,792 km/s,A,略\n")
    with pytest.raises(EvalError, match=r"bank_val.csv:2: 8 cells where the header has 7"):
        read_suite(tmp_path)


def test_flare_zh_parquet_by_choices_or_text(tmp_path: Path) -> None:
    folder = tmp_path / "flare-zh-afqmc"
    folder.mkdir()
    rows = [
        {
            "id": f"a{n}",
            "query": f"两句话意思一样吗{n}",
            "answer": "不同",
            "text": "",
            "choices": ["相同", "不同"],
            "gold": 1,
        }
        for n in range(7)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "test-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:2]), folder / "train-00000-of-00001.parquet")
    found = tasks(folder)["flare_zh_afqmc_label"]
    assert [len(found.train), len(found.test)] == [2, 7]
    assert found.test[0].messages[1].content == "两句话意思一样吗0"  # the query as it is
    assert found.task.read("答案：不同", found.test[0].fields).answer == "不同"


def test_disc_finllm_takes_the_result_behind_the_last_equals_sign(write: Write, tmp_path: Path) -> None:
    rows = [{"instruction": f"问{n}", "input": "", "output": "4183.25-1394.04＝2789.21亿元"} for n in range(7)]
    write("computing_eval.json", rows)
    found = tasks(tmp_path)["disc_finllm_computing"]
    row = found.test[0]
    assert row.reference == {"answer": "2789.21亿元"}
    for said in ("答案：2789.21亿元", "答案：2789.21", "4183.25-1394.04=2789.21"):
        assert found.task.score(found.task.read(said, row.fields), row.reference, row.fields) == 1.0


def test_statutes_ask_for_the_source_without_naming_it(write: Write, tmp_path: Path) -> None:
    for name in ("甲法", "乙法", "丙法", "丁法", "戊法"):
        articles = "".join(
            f"第{n}条 {name}所称机构应当按照规定办理业务，不得损害消费者的合法权益，违反的依法承担责任{n}。\n\n"
            for n in "一二三"
        )
        write(f"{name}.md", f"# {name}\n\n<!-- INFO END -->\n\n## 第一章\n\n{articles}")
    found = tasks(tmp_path)["statutes"]
    groups = {row.group for row in found.test}
    assert len(groups) + len({row.group for row in found.train}) == 5  # whole statutes are held out
    row = found.test[0]
    right = row.fields["options"]["ABCD".index(str(row.reference["answer"]))]
    assert right in row.group and right not in row.fields["question"]


def test_every_reader_says_what_it_was_checked_against() -> None:
    unseen = {name for name, reader in READERS.items() if not reader.seen}
    assert unseen == {"openfindata", "ceval", "flare_zh"}
    assert all(reader.licence for reader in READERS.values())


def test_an_unknown_layout_names_the_ways_out(write: Write) -> None:
    with pytest.raises(EvalError, match="the layout is none that is known"):
        recognise(write("notes.txt", "x"))
