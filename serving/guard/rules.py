"""The rules of one day, compiled: shared by all requests, and never changed once made."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from serving.errors import ServeError
from serving.guard import injection
from serving.guard.disclosures import Owed
from serving.guard.learned import Learned, shipped
from serving.guard.settings import Disclosure, GuardSettings
from serving.guard.wordings import DISCLOSURES, REWRITES
from tianjing.guard import RulebookDetector
from tianjing.rulebook import PhraseMatcher, Rulebook
from tianjing.rulebook.packs import parse_pack, read_pack, shipped_packs
from tianjing.rulebook.schema import DisclosureCheck, Override, Pack, PhraseCheck

UNLAWFUL = "unlawful."
_OWN_PACK = "unlawful.yaml"


@dataclass(frozen=True)
class RuleSet:
    """What holds on one day.

    Attributes:
        said: what the model must not say.
        asked: what a customer must not be helped with: the shipped families, and the company's own customer rules.
        owed: disclosures, by the ids of their rules.
        learned: the models that find what no pattern foresaw.
        policy: SHA-256 of the settings, the rules, the patterns and the models' weights.
    """

    said: RulebookDetector
    asked: PhraseMatcher
    owed: Mapping[str, Owed]
    learned: Learned
    policy: str


class Book:
    """The rule packs as they were read at one time.

    Raises:
        RulebookError: a pack is wrong; it names the file, the rule, the field and a remedy.
        ServeError: the settings give words to a rule that does not exist or has no use for them, or leave one without;
            or the weights of the learned models are broken.
    """

    def __init__(self, settings: GuardSettings):
        self._settings = settings
        self._learned = shipped()
        self._rewrites = {rule: words for rule, words in {**REWRITES, **settings.output.rewrites}.items() if words}
        own = [(str(path), read_pack(path)) for path in settings.rule_packs]
        packs = [*shipped_packs(), (f"shipped:{_OWN_PACK}", _unlawful_pack()), *own]
        whole = Rulebook.of(packs)
        self._known(whole)
        scope = Rulebook.of([*packs, ("guard", self._without_words(whole))])
        self._words = [pack.model_dump(mode="json", include={"vocabulary", "part_of"}) for _, pack in packs]
        self._book = scope.within(settings.institution, settings.product, settings.channel)
        theirs = {rule.id for _, pack in own for rule in pack.rules}
        self._asked = frozenset(rule.id for rule in whole if rule.id.startswith(UNLAWFUL) or rule.id in theirs)
        self._made: dict[tuple[str, ...], RuleSet] = {}
        self._days: dict[date, RuleSet] = {}
        self._making = threading.Lock()

    @property
    def spoken(self) -> Rulebook:
        """What holds for what this institution says in a chat, on any day."""
        return self._book

    def on(self, day: date) -> RuleSet:
        """The rules in force on `day`; days on which the same rules hold share one set."""
        if (known := self._days.get(day)) is not None:
            return known
        book = self._book.on(day)
        key = tuple(rule.id for rule in book)
        if key not in self._made:
            with self._making:  # two who ask at once need it compiled once
                self._made[key] = self._made.get(key) or self._compiled(book)
        self._days = {day: self._made[key]}  # one day is asked for again and again
        return self._days[day]

    def _compiled(self, book: Rulebook) -> RuleSet:
        said = RulebookDetector(book.matcher(), self._rewrites)
        for rule, words in self._rewrites.items():
            if broken := [hit.rule.id for hit in said.matcher.find(words) if hit.rule.action != "warn"]:
                raise ServeError(
                    f"output.rewrites.{rule}: the words break rule '{broken[0]}' themselves", "choose other words"
                )
        asked = book.only(lambda rule: rule.id in self._asked).matcher("customer")
        owed = {rule.id: self._owed(book, rule.id) for rule, _ in book.having(DisclosureCheck)}
        return RuleSet(said, asked, owed, self._learned, self._digest(book))

    def _owed(self, book: Rulebook, rule_id: str) -> Owed:
        rule = book.rule(rule_id)
        assert isinstance(rule.check, DisclosureCheck)
        wording = self._wordings().get(rule_id)
        if wording is None and rule.action in ("block", "rewrite"):
            raise ServeError(
                f"output.disclosures: rule '{rule_id}' is to be met by rewriting, and has no words",
                f"add its words under output.disclosures.{rule_id}.text, or set the rule's action to warn",
            )
        require = book.phrases(rule, "require")
        if wording is not None and not require.find(wording.text):
            raise ServeError(
                f"output.disclosures.{rule_id}.text does not meet its own rule",
                f"it must say one of: {'; '.join(rule.check.require)[:200]}",
            )
        return Owed(rule, rule.check, book.phrases(rule, "when"), require, wording)

    def _wordings(self) -> dict[str, Disclosure]:
        return {**DISCLOSURES, **self._settings.output.disclosures}

    def _known(self, book: Rulebook) -> None:
        checks = {rule.id: type(rule.check) for rule in book}
        output = self._settings.output
        for field, ids, kind in (
            ("rewrites", output.rewrites, PhraseCheck),
            ("disclosures", output.disclosures, DisclosureCheck),
        ):
            for rule_id in ids:
                if checks.get(rule_id) is not kind:
                    raise ServeError(
                        f"output.{field}.{rule_id}: no rule of this id takes words here",
                        "`tianjing rules list` shows ids and kinds: rewrites need a phrase, disclosures a disclosure",
                    )

    def _without_words(self, book: Rulebook) -> Pack:
        """A phrase that should be rewritten, with nothing to put in its place, ends the answer."""
        silent = [
            Override(rule=rule.id, action="block")
            for rule, check in book.having(PhraseCheck)
            if rule.action == "rewrite" and check.speaker == "agent" and rule.id not in self._rewrites
        ]
        return Pack(pack="guard", title="without words", overrides=tuple(silent))

    def _digest(self, book: Rulebook) -> str:
        held: list[Any] = [
            self._settings.model_dump(mode="json", exclude={"rule_packs", "reload_s"}),
            [rule.model_dump(mode="json", exclude={"examples"}) for rule in book],
            self._words,
            self._rewrites,
            {rule: wording.model_dump() for rule, wording in self._wordings().items()},
            injection.PATTERNS_SHA256,
            self._learned.sha256,
        ]
        return hashlib.sha256(json.dumps(held, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _unlawful_pack() -> Pack:
    file = resources.files("serving.guard") / "packs" / _OWN_PACK
    return parse_pack(file.read_text(encoding="utf-8"), _OWN_PACK)


def stamps(paths: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """What tells that a file has changed; (0, 0) for one that is not there."""
    found = []
    for path in paths:
        try:
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found)
