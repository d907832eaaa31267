"""Rule packs that change while requests are served."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path

import pytest

from serving.guard.factory import GuardFactory
from serving.guard.settings import GuardSettings
from serving.identity.principal import Principal
from serving.protocol.call import Call
from tianjing.errors import TianjingError

PACK = """pack: own
title: 自有
rules:
- id: own.word
  title: 自有禁语
  topic: other
  source: 公司服务规范
  obligation: 不得说这个词。
  strength: internal
  effective_from: {since}
  severity: high
  verified: false
  action: {action}
  check: {{kind: phrase, patterns: ["{word}"]}}
"""
DAY = datetime.date(2026, 11, 30)


def pack(path: Path, word: str, action: str = "block", since: str = "2020-01-01") -> None:
    path.write_text(PACK.format(word=word, action=action, since=since), encoding="utf-8")


def ended(factory: GuardFactory, text: str) -> str | None:
    outlet = factory(Call("/v1/chat/completions", "m", (), {}), Principal("t", "k")).outlet(0)
    outlet.push(text)
    outlet.finish()
    return outlet.ended


def rules_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rules"]


def test_a_changed_pack_is_in_force_without_a_restart_but_not_for_requests_under_way(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    pack(path, "金苹果")
    factory = GuardFactory(GuardSettings(rule_packs=(path,), reload_s=0.0001), day=lambda: DAY)
    old = factory.policy
    assert ended(factory, "送您金苹果。") == "block" and ended(factory, "送您银香蕉。") is None
    under_way = factory(Call("/v1/chat/completions", "m", (), {}), Principal("t", "k"))
    pack(path, "银香蕉")
    ended(factory, "您好。")  # a request that comes after the change starts the work, and is not kept waiting
    for thread in rules_threads():
        thread.join(60)
    assert ended(factory, "送您金苹果。") is None and ended(factory, "送您银香蕉。") == "block"
    assert factory.policy != old and factory.problem == ""
    outlet = under_way.outlet(0)
    outlet.push("送您金苹果。")
    assert outlet.ended == "block" and under_way.policy == old


def test_a_broken_pack_keeps_the_last_good_rules_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    pack(path, "金苹果")
    factory = GuardFactory(GuardSettings(rule_packs=(path,)), day=lambda: DAY)
    old = factory.policy
    for broken in ("rules: [", PACK.format(word="x", action="shout", since="2020-01-01"), None):
        path.unlink() if broken is None else path.write_text(broken, encoding="utf-8")
        assert factory.reload() is False
        assert str(path) in factory.problem and factory.policy == old
        assert ended(factory, "送您金苹果。") == "block"
    pack(path, "银香蕉")
    assert factory.reload() is True and factory.problem == ""


def test_a_rule_holds_from_its_first_day(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    pack(path, "金苹果", since="2026-12-01")
    days = [DAY]
    factory = GuardFactory(GuardSettings(rule_packs=(path,)), day=lambda: days[-1])
    assert ended(factory, "送您金苹果。") is None
    before = factory.policy
    days.append(datetime.date(2026, 12, 1))
    assert ended(factory, "送您金苹果。") == "block" and factory.policy != before


def test_a_pack_that_is_wrong_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TianjingError, match="missing"):
        GuardFactory(GuardSettings(rule_packs=(tmp_path / "missing.yaml",)))


def test_the_policy_changes_with_the_words_of_a_pack(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    pack(path, "金苹果")
    factory = GuardFactory(GuardSettings(rule_packs=(path,)), day=lambda: DAY)
    old = factory.policy
    path.write_text(path.read_text(encoding="utf-8") + "part_of: {金苹果: 金苹果树}\n", encoding="utf-8")
    assert factory.reload() is True and factory.policy != old
    assert ended(factory, "送您金苹果树。") is None and ended(factory, "送您金苹果。") == "block"
