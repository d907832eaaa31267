"""Labels of AI-generated content: in headers, in the answer, in files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from serving.errors import ServeError
from serving.guard.base import REFUSAL
from serving.labels.aigc import METADATA_HEADER, closing, headers, in_report, metadata, opening
from serving.labels.files import label_file
from serving.labels.outlet import labelled
from serving.labels.settings import LabelSettings
from serving.protocol.call import Call, ChoiceText
from serving.protocol.forms import form_of
from serving.streams.choices import GuardedChoice
from serving.streams.guarded import GuardedStream
from serving.streams.whole import guarded_choices
from tests.serving.stream_parts import CHAT, IDENTITY, REPORT, PlainGuard, Read, Word, called, delta

PRODUCER = "某某消费金融有限公司"
SETTINGS = LabelSettings(producer=PRODUCER, notice="suffix")
LABEL = metadata(SETTINGS, "r1")
assert LABEL is not None
FIELDS = ["Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2"]


def test_the_metadata_has_the_seven_fields_of_the_standard() -> None:
    assert LABEL is not None
    assert list(LABEL["AIGC"]) == FIELDS
    assert LABEL["AIGC"]["Label"] == "1" and LABEL["AIGC"]["ProduceID"] == "r1"
    assert LABEL["AIGC"]["ContentPropagator"] == LABEL["AIGC"]["PropagateID"] == ""


def test_the_header_is_ascii_and_reads_back() -> None:
    value = headers(SETTINGS, LABEL)[METADATA_HEADER]
    assert value.isascii() and "\n" not in value
    assert json.loads(value) == LABEL
    assert in_report({"verdict": "allow"}, LABEL) == {"verdict": "allow", **(LABEL or {})}


def test_without_a_producer_there_is_no_label() -> None:
    nobody = LabelSettings(notice="suffix")
    assert metadata(nobody, "r1") is None and headers(nobody, None) == {}
    assert closing(nobody, free_text=True) == "" and in_report({"verdict": "allow"}, None) == {"verdict": "allow"}


def test_the_notice_stands_where_it_is_asked_and_never_in_json() -> None:
    assert (opening(SETTINGS, True), closing(SETTINGS, True)) == ("", SETTINGS.text)
    assert closing(SETTINGS, free_text=False) == ""
    before = SETTINGS.model_copy(update={"notice": "prefix"})
    assert (opening(before, True), closing(before, True)) == (SETTINGS.text, "")
    client = SETTINGS.model_copy(update={"notice": "client"})
    assert opening(client, True) == closing(client, True) == ""
    assert headers(client, LABEL)["x-aigc-notice"] == "client"


def answer(settings: LabelSettings, *texts: str) -> ChoiceText:
    """A whole answer that says these texts, in one go each, as a stream gives them out."""
    choice = GuardedChoice(labelled(PlainGuard(Word("坐牢")), Call("", "m", (), {}), settings), 0, frozenset(), "r")
    for text in texts:
        list(choice.take({"content": text}))
        if choice.ended:
            return choice.whole("content_filter")
    list(choice.finish())
    return choice.whole("content_filter" if choice.ended else "stop")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["您本月应还1200元。", "请按时还款。"], "您本月应还1200元。请按时还款。"),
        (["您本月应还1200元。", "再不还就让你坐牢，请放心。"], "您本月应还1200元。再不还就让你"),
        (["您本月应还1200元。再不还就让你坐牢"], "您本月应还1200元。再不还就让你"),
        (["您本月应还1200元。再不还就让你坐", "牢"], "您本月应还1200元。再不还就让你"),
    ],
)
def test_an_answer_that_is_cut_off_carries_the_notice_too(texts: list[str], said: str) -> None:
    before = SETTINGS.model_copy(update={"notice": "prefix"})
    assert answer(SETTINGS, *texts).content == said + SETTINGS.text
    assert answer(before, *texts).content == SETTINGS.text + said


def labelled_stream(word: Word, choices: int = 1) -> GuardedStream:
    guard = labelled(PlainGuard(word), Call("", "m", (), {}), SETTINGS)
    return GuardedStream(guard, form_of(CHAT, dict(IDENTITY)), choices, False, tools=frozenset(("pay",)))


def test_a_choice_that_another_one_ends_carries_the_notice_too() -> None:
    stream = labelled_stream(Word("不想活", "handoff"), choices=3)
    sent = stream.feed(delta(1, content="请稍等。好的") + delta(0, content="您说不想活了，"))
    read = Read(sent + stream.close({**REPORT, "verdict": "handoff"}, "同事马上联系您。"))
    assert read.texts[1, "content"] == "请稍等。" + SETTINGS.text
    assert read.texts[0, "content"] == "您说" + SETTINGS.text + "同事马上联系您。"
    assert read.texts[2, "content"] == ""


@pytest.mark.parametrize("end", [called(name="pay", arguments='{"to": "坐牢"}'), called(name="transfer")])
def test_an_answer_that_a_call_of_a_tool_ends_carries_the_notice_too(end: bytes) -> None:
    stream = labelled_stream(Word("坐牢"))
    read = Read(stream.feed(delta(content="我来办。好") + end + delta(reason="tool_calls")) + stream.close(REPORT))
    assert read.texts[0, "content"] == "我来办。" + SETTINGS.text and read.ends == {0: "content_filter"}


def test_an_answer_that_is_cut_off_in_another_channel_carries_the_notice_in_a_whole_answer_too() -> None:
    call = Call("", "m", (), {})
    item = {"index": 0, "finish_reason": "stop", "message": {"content": "我来办。好", "refusal": "再不还就坐牢，请还"}}
    (choice,) = guarded_choices(labelled(PlainGuard(Word("坐牢")), call, SETTINGS), call, {"choices": [item]})
    assert choice.content == "我来办。" + SETTINGS.text


def test_an_answer_whose_guard_fails_carries_the_notice_behind_what_was_read() -> None:
    stream = labelled_stream(Word("x"), choices=2)
    sent = stream.feed(delta(0, content="前文。") + delta(1, content="前文。") + delta(0, content="秘密在这里。"))
    read = Read(sent + stream.close(REPORT))
    assert [read.texts[index, "content"] for index in (0, 1)] == ["前文。" + SETTINGS.text + REFUSAL] * 2


def test_a_structured_answer_stays_json() -> None:
    call = Call("", "m", (), {}, structured=True)
    for notice in ("prefix", "suffix"):
        settings = SETTINGS.model_copy(update={"notice": notice})
        choice = GuardedChoice(labelled(PlainGuard(), call, settings), 0, frozenset(), "r")
        list(choice.take({"content": "{}"})), list(choice.finish())
        assert choice.whole("stop").content == "{}"


def test_where_nothing_generated_was_released_there_is_no_notice() -> None:
    assert answer(SETTINGS, "坐牢").content == answer(SETTINGS, "").content == ""


def test_a_notice_must_say_what_it_is_for() -> None:
    with pytest.raises(ValueError, match="人工智能"):
        LabelSettings(text="仅供参考")


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_json_and_markdown_carry_the_label_inside(tmp_path: Path) -> None:
    assert LABEL is not None
    file = put(tmp_path / "a.json", b'{"text": "x"}')
    assert label_file(file, LABEL) == file
    assert json.loads(file.read_bytes()) == {**LABEL, "text": "x"}
    note = put(tmp_path / "a.md", "# 题\n".encode())
    label_file(note, LABEL)
    _, front, text = note.read_text(encoding="utf-8").split("---\n")
    assert yaml.safe_load(front) == LABEL and text == "\n# 题\n"
    titled = put(tmp_path / "b.md", "---\ntitle: 题\n---\n正文\n".encode())
    label_file(titled, LABEL)
    _, front, text = titled.read_text(encoding="utf-8").split("---\n")
    assert yaml.safe_load(front) == {**LABEL, "title": "题"} and text == "正文\n"


def test_a_png_carries_it_as_xmp_and_stays_the_same_picture(tmp_path: Path) -> None:
    assert LABEL is not None
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(buffer, "PNG")
    file = put(tmp_path / "a.png", buffer.getvalue())
    label_file(file, LABEL)
    with Image.open(file) as picture:
        picture.load()
        assert picture.getpixel((2, 2)) == (255, 0, 0)
        assert "http://www.tc260.org.cn/ns/AIGC/1.0/" in picture.info["XML:com.adobe.xmp"]
        assert PRODUCER in picture.info["XML:com.adobe.xmp"]


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "rows.json"])
def test_other_files_get_it_beside_them(tmp_path: Path, name: str) -> None:
    assert LABEL is not None
    file = put(tmp_path / name, b"[1, 2]")
    beside = label_file(file, LABEL)
    assert beside == tmp_path / f"{name}.aigc.json"
    assert json.loads(beside.read_bytes()) == LABEL and file.read_bytes() == b"[1, 2]"


@pytest.mark.parametrize("name", ["a.json", "a.md", "a.png", "a.txt"])
def test_a_label_is_never_replaced(tmp_path: Path, name: str) -> None:
    assert LABEL is not None
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(buffer, "PNG")
    file = put(tmp_path / name, {"a.json": b"{}", "a.png": buffer.getvalue()}.get(name, b"x\n"))
    label_file(file, LABEL)
    content = file.read_bytes()
    other = metadata(LabelSettings(producer="别人"), "r2")
    assert other is not None
    with pytest.raises(ServeError, match="carries a label already"):
        label_file(file, other)
    assert file.read_bytes() == content


def test_a_file_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    assert LABEL is not None
    for name in ("a.json", "a.png"):
        with pytest.raises(ServeError, match="not "):
            label_file(put(tmp_path / name, b"{not"), LABEL)
