"""Operation logs in XES: case, activity, time, actor and typed attributes; hostile and broken logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_recipes.errors import DataError
from data_recipes.readers.raw import read_raw
from data_recipes.readers.xes import read_xes

LOG = """<?xml version="1.0" encoding="{encoding}"?>
<log xes.version="1849.2016" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <global scope="event"><string key="concept:name" value="默认"/></global>
  <string key="concept:name" value="贷后日志"/>
  <trace>
    <string key="concept:name" value="P0001"/>
    <event>
      <string key="concept:name" value="登记逾期原因"/>
      <date key="time:timestamp" value="2026-03-01T09:00:00+08:00"/>
      <string key="org:resource" value="A1"/>
      <string key="reason" value="失业"><string key="source" value="客户自述"/></string>
      <int key="turn" value="6"/>
      <float key="score" value="0.5"/>
      <boolean key="ok" value="true"/>
      <list key="rules"><values><string key="rule" value="Q01"/><string key="rule" value="Q02"/></values></list>
    </event>
    <event><date key="time:timestamp" value="2026-03-01T09:01Z"/><string key="concept:name" value="发送短信"/></event>
  </trace>
  <trace><event><string key="concept:name" value="无案件"/></event></trace>
</log>
"""


def _write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "events.xes"
    path.write_bytes(text.replace("{encoding}", encoding).encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_case_activity_time_actor_and_typed_attributes(tmp_path: Path, encoding: str) -> None:
    _write(tmp_path, LOG, encoding)
    raw = read_raw(tmp_path, "skip")
    assert raw.read == {"events": 2}
    first, second = raw.events
    assert (first.case, first.activity, first.actor) == ("P0001", "登记逾期原因", "A1")
    assert first.at.isoformat() == "2026-03-01T09:00:00+08:00"
    assert first.attributes == {
        "reason": "失业",
        "reason/source": "客户自述",
        "turn": 6,
        "score": 0.5,
        "ok": True,
        "rules": ["Q01", "Q02"],
    }
    assert (second.activity, second.actor, second.attributes) == ("发送短信", "", {})
    (reject,) = raw.rejected
    assert reject["line"] == 20 and reject["error"] == "the event's trace has no concept:name"
    assert "无案件" in reject["text"]


def test_the_place_of_an_event_leads_back_to_it(tmp_path: Path) -> None:
    data = _write(tmp_path, LOG).read_bytes()
    row = next(read_xes(tmp_path / "events.xes"))
    assert row.line == 8 and data[row.offset : row.offset + row.bytes].startswith(b"<event>")


def test_a_document_type_is_refused_before_an_entity_can_grow(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE log [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    _write(tmp_path, LOG.replace("<log", bomb + "<log", 1))
    with pytest.raises(DataError, match=r"events\.xes:2: a document type \(DOCTYPE\) is refused"):
        read_raw(tmp_path)


def test_a_log_that_breaks_off_keeps_the_events_before(tmp_path: Path) -> None:
    _write(tmp_path, LOG[: LOG.index("发送短信")])
    raw = read_raw(tmp_path, "skip")
    assert [event.activity for event in raw.events] == ["登记逾期原因"]
    assert raw.rejected[0]["line"] == 18 and raw.rejected[0]["error"].startswith("broken XML: ")


def test_a_long_log_is_read_in_pieces(tmp_path: Path) -> None:
    time = '<date key="time:timestamp" value="2026-03-01T09:00:00Z"/>'
    body = "".join(f'<event><string key="concept:name" value="步骤{n}"/>{time}</event>\n' for n in range(5_000))
    _write(tmp_path, f'<log><trace><string key="concept:name" value="C"/>{body}</trace></log>')
    assert [event.activity for event in read_raw(tmp_path).events] == [f"步骤{n}" for n in range(5_000)]
