"""Replacements: consistent under one key, unlinkable under another, never real; and the scan of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tianjing.errors import TianjingError
from tianjing.privacy import Pseudonym, Session, Surrogate, find, mask, stars
from tianjing.privacy.checks import is_credit_code, is_landline, is_luhn, is_mobile, is_resident_id
from tianjing.privacy.cli import app
from tianjing.privacy.reidentify import link
from tianjing.privacy.scan import scan

KEY, OTHER_KEY = b"0123456789abcdef", b"fedcba9876543210"
TEXTS = [
    "我叫王建国，电话13812345678",
    "身份证号11010519491231002X",
    "卡号是6222020200112230",
    "座机010-88886666",
    "统一社会信用代码91350100M000100Y43",
    "我的护照号是E12345678",
    "港澳通行证C12345678",
    "永久居留证FRA310078010203",
    "车牌京A12345",
    "邮箱a.b@mail.example.com",
    "我QQ12345678",
    "微信号是wxid_abc123",
    "我住在北京市朝阳区建国路88号院3号楼2单元501室",
    "我是1990年3月5日出生的",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("act", [Pseudonym(KEY), Surrogate(KEY), stars, None])
def test_no_act_leaves_a_finding_in_the_text(text: str, act: object) -> None:
    findings = find(text)
    assert findings
    replaced = Session(act=act).mask(text).text  # type: ignore[arg-type]
    assert not any(finding.text in replaced for finding in findings)


def test_one_person_has_one_pseudonym_under_one_key() -> None:
    def pseudonym(text: str, key: bytes) -> str:
        return Session(act=Pseudonym(key)).mask(text).text

    assert pseudonym("13812345678", KEY) == pseudonym("幺三八幺二三四五六七八", KEY)
    assert pseudonym("13812345678", KEY) != pseudonym("13812345678", OTHER_KEY)
    assert pseudonym("13812345678", KEY) != pseudonym("13812345679", KEY)
    session = Session({"name": "王建国"}, act=Pseudonym(KEY))
    assert len({session.mask(text).text.strip("老先生") for text in ("王先生", "建国", "老王", "王建国")}) == 1


def test_a_pseudonym_follows_the_person_where_the_person_is_known() -> None:
    def pseudonym(person: str) -> str:
        return Session({"name": "王伟"}, act=Pseudonym(KEY), person=person).mask("王伟").text

    assert pseudonym("c1") == pseudonym("c1") != pseudonym("c2")


@given(number=st.integers(0, 10**8 - 1))
def test_a_surrogate_has_the_shape_of_the_value_and_can_never_be_real(number: int) -> None:
    act = Surrogate(KEY)
    mobile = act("mobile", f"138{number:08}", "")
    assert len(mobile) == 11 and mobile.isdigit() and not is_mobile(mobile)
    card = act("id_card", f"1101051949{number:08}", "")
    assert len(card) == 18 and not is_resident_id(card, checksum=False)
    bank = act("bank_card", f"62220202{number:08}", "")
    assert len(bank) == 16 and bank.isdigit() and not is_luhn(bank) and bank[0] == "0"
    line = act("landline", f"010{number:08}", "")
    assert len(line) == 11 and line.startswith("010") and not is_landline(line)
    code = act("credit_code", f"9135010{number:08}ABC", "")
    assert len(code) == 18 and not is_credit_code(code)
    assert act("qq", f"{number + 10**8}", "")[0] == "0"
    assert act("email", f"a{number}@x.cn", "").endswith(".invalid")
    assert act("name", "王建国", "王建国")[0] == "某"
    assert len(act("passport", f"E{number:08}", "")) == 9


@pytest.mark.parametrize("text", TEXTS)
def test_surrogates_are_not_found_as_personal_data_again(text: str) -> None:
    assert find(Session(act=Surrogate(KEY)).mask(text).text) == ()


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("act", [Pseudonym(KEY), None])
def test_replacing_twice_changes_nothing(text: str, act: object) -> None:
    once = Session(act=act).mask(text).text  # type: ignore[arg-type]
    assert mask(once).text == once


def test_a_short_key_is_refused() -> None:
    with pytest.raises(TianjingError, match="16"):
        Pseudonym(b"short")


CUSTOMERS = {
    "c1": {"name": "王建国", "mobile": "13812345678"},
    "c2": {"name": "李晓梅", "mobile": "13900001111"},
    "c3": {"name": "王伟", "mobile": "13700002222"},
}


def test_the_attacker_links_by_what_is_left() -> None:
    raw = [("c1", "我是王建国"), ("c2", "幺三九零零零零幺幺幺幺"), ("c3", "尾号2222"), ("c3", "好的")]
    assert (link(raw, CUSTOMERS).right, link(raw, CUSTOMERS).rate) == (3, 0.75)
    masked = [(customer, mask(text).text) for customer, text in raw[:2]]
    assert link(masked, CUSTOMERS).right == 0


def test_texts_that_share_a_pseudonym_are_linked_together() -> None:
    texts = [("c1", "〔姓名·abc〕的尾号5678"), ("c1", "〔姓名·abc〕说好的"), ("c2", "〔姓名·bcd〕说好的")]
    assert link(texts, CUSTOMERS).right == 2


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_scan_writes_a_masked_file_a_report_and_the_rate(tmp_path: Path) -> None:
    turns = [{"speaker": "agent", "text": "王先生您好"}, {"speaker": "customer", "text": "打13812345678"}]
    raw = _write(tmp_path / "dialogues.jsonl", [{"id": "d1", "customer": "c1", "turns": turns}])
    table = _write(tmp_path / "customers.jsonl", [{"customer": key} | value for key, value in CUSTOMERS.items()])
    out, report = tmp_path / "masked.jsonl", tmp_path / "r.html"
    options = ["scan", str(raw), "--customers", str(table), "--out", str(out), "--report", str(report)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert "100.00% of 1 before, 0.00% after" in result.output.replace("\n", " ")
    row = json.loads(out.read_text(encoding="utf-8"))
    assert [turn["text"] for turn in row["turns"]] == ["〔姓名1〕先生您好", "打〔手机1〕"]
    assert row["id"] == "d1" and row["customer"] != "c1"
    html = report.read_text(encoding="utf-8")
    assert "去标识化" in html and "13812345678" not in html + result.output


def test_scan_reads_plain_text_and_names_a_bad_line(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("电话13812345678\n好的\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["scan", str(text)])
    assert result.exit_code == 0 and "mobile" in result.output
    bad = _write(tmp_path / "bad.jsonl", [{"text": "好"}, {"words": "好"}])
    with pytest.raises(TianjingError, match=r"bad.jsonl:2"):
        CliRunner().invoke(app, ["scan", str(bad)], catch_exceptions=False)


def test_scan_names_the_line_that_is_not_utf_8_and_a_target_that_is_a_folder(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_bytes("好的\n".encode() + "电话".encode("gb18030"))
    with pytest.raises(TianjingError, match=r"a.txt:2: not UTF-8") as caught:
        scan(text)
    assert "iconv" in caught.value.remedy
    with pytest.raises(TianjingError, match="is a folder"):
        scan(text, out=tmp_path)


def test_an_act_with_a_key_asks_for_it(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("好\n", encoding="utf-8")
    with pytest.raises(TianjingError, match="needs a key"):
        CliRunner().invoke(app, ["scan", str(text), "--act", "pseudonym"], catch_exceptions=False)


def test_presidio_gets_our_entities() -> None:
    pytest.importorskip("presidio_analyzer")
    from tianjing.privacy.presidio import TianjingRecognizer

    results = TianjingRecognizer().analyze("电话幺三八幺二三四五六七八", [])
    assert [(result.entity_type, result.start, result.end) for result in results] == [("PHONE_NUMBER", 2, 13)]
