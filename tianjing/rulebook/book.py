"""The rulebook: packs put together, cut down to a day and a scope, and turned into matchers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar, cast

from tianjing.records import Speaker
from tianjing.rulebook.errors import RulebookError
from tianjing.rulebook.matcher import PhraseMatcher
from tianjing.rulebook.packs import nearest, read_pack, shipped_packs
from tianjing.rulebook.patterns import Beside, Pattern, beside, parse
from tianjing.rulebook.schema import DisclosureCheck, Institution, Pack, PhraseCheck, Rate, Rule

_Parsed = dict[tuple[str, str], list[Pattern]]
Made = TypeVar("Made")
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Rulebook:
    """Rules in the order of their packs. Immutable; `on` and `within` give smaller books."""

    rules: tuple[Rule, ...]
    lpr: tuple[Rate, ...] = ()
    _patterns: _Parsed = field(default_factory=dict, repr=False)
    _part_of: dict[str, tuple[Beside, ...]] = field(default_factory=dict, repr=False)
    _matchers: dict[str, PhraseMatcher] = field(default_factory=dict, repr=False, compare=False)
    # Smaller books by the ids of their rules: dialogues of one day and scope share one book, and so its matchers.
    _smaller: dict[tuple[str, ...], Rulebook] = field(default_factory=dict, repr=False, compare=False)
    _having: dict[type, object] = field(default_factory=dict, repr=False, compare=False)
    _prepared: dict[Callable[[Rulebook], object], object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, packs: Sequence[Path] = ()) -> Rulebook:
        """The shipped packs, then `packs` in the given order (a company's own last).

        Raises:
            RulebookError: a pack is wrong; it names the file, the rule, the field and a remedy.
        """
        return cls.of([*shipped_packs(), *((str(path), read_pack(path)) for path in packs)])

    @classmethod
    def of(cls, packs: Sequence[tuple[str, Pack]]) -> Rulebook:
        """A book of packs that are already read, each with the name its errors carry."""
        rules: dict[str, Rule] = {}
        parsed: _Parsed = {}
        vocabulary: dict[str, tuple[str, ...]] = {}
        part_of: dict[str, tuple[Beside, ...]] = {}
        lpr: tuple[Rate, ...] = ()
        for where, pack in packs:
            for name, words in pack.vocabulary.items():
                if name in vocabulary:
                    raise RulebookError(
                        f"{where}: field 'vocabulary.{name}': the set exists already",
                        "choose another name: a pack cannot change the words of another",
                    )
                vocabulary[name] = words
            lpr = pack.lpr or lpr
            for rule in pack.rules:
                if rule.id in rules:
                    raise RulebookError(
                        f"{where}: rule '{rule.id}': field 'id': a rule with this id exists already",
                        "give it another id; to change severity or action of a rule, list it under 'overrides'",
                    )
                rules[rule.id] = rule
                parsed.update(_parse(rule, vocabulary, where))
            for word, sides in _parts(pack, parsed, vocabulary, where).items():
                part_of[word] = part_of.get(word, ()) + sides
            for override in pack.overrides:
                if override.rule not in rules:
                    raise RulebookError(
                        f"{where}: override of '{override.rule}': field 'rule': there is no such rule"
                        f"{nearest(override.rule, list(rules))}",
                        "`tianjing rules list` shows the ids",
                    )
                changed = override.model_dump(exclude={"rule"}, exclude_none=True)
                rules[override.rule] = rules[override.rule].model_copy(update=changed)
        return cls(tuple(rules.values()), tuple(sorted(lpr, key=lambda rate: rate.effective_from)), parsed, part_of)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def rule(self, rule_id: str) -> Rule:
        """The rule with this id.

        Raises:
            RulebookError: there is none.
        """
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise RulebookError(
            f"no rule '{rule_id}'{nearest(rule_id, [rule.id for rule in self.rules])}",
            "`tianjing rules list` shows the ids",
        )

    def on(self, day: date) -> Rulebook:
        """The rules in force on `day`: a dialogue of 2024 is not judged by a rule of 2026."""
        return self.only(lambda rule: rule.in_force(day))

    def within(
        self, institution: Institution | None = None, product: str | None = None, channel: str | None = None
    ) -> Rulebook:
        """The rules whose scope includes these; None does not narrow."""
        wanted = {"institution": institution, "product": product, "channel": channel}

        def applies(rule: Rule) -> bool:
            named = ((getattr(rule.scope, name), value) for name, value in wanted.items())
            return all(value is None or not scope or value in scope for scope, value in named)

        return self.only(applies)

    def only(self, wanted: Callable[[Rule], bool]) -> Rulebook:
        """The rules for which `wanted` is true."""
        rules = tuple(rule for rule in self.rules if wanted(rule))
        if len(rules) == len(self.rules):
            return self
        key = tuple(rule.id for rule in rules)
        if key not in self._smaller:
            self._smaller[key] = Rulebook(rules, self.lpr, self._patterns, self._part_of)
        return self._smaller[key]

    def having(self, kind: type[Kind]) -> tuple[tuple[Rule, Kind], ...]:
        """The rules with this kind of check, each with its check."""
        if kind not in self._having:
            self._having[kind] = tuple((rule, rule.check) for rule in self.rules if isinstance(rule.check, kind))
        return cast(tuple[tuple[Rule, Kind], ...], self._having[kind])

    def matcher(self, speaker: Speaker = "agent") -> PhraseMatcher:
        """One matcher for all phrase rules about this speaker's words; made once per book."""
        if speaker not in self._matchers:
            mine = [
                (rule, rule.check, self._patterns[rule.id, "patterns"])
                for rule in self.rules
                if isinstance(rule.check, PhraseCheck) and rule.check.speaker == speaker
            ]
            self._matchers[speaker] = PhraseMatcher(mine, self._part_of)
        return self._matchers[speaker]

    def phrases(self, rule: Rule, name: str) -> PhraseMatcher:
        """A matcher for one field ('when' or 'require') of a disclosure rule."""
        key = f"{rule.id}/{name}"
        if key not in self._matchers:
            check = PhraseCheck(kind="phrase", patterns=("x",), deniable=name == "when")
            self._matchers[key] = PhraseMatcher([(rule, check, self._patterns[rule.id, name])], self._part_of)
        return self._matchers[key]

    def prepared(self, make: Callable[[Rulebook], Made]) -> Made:
        """`make(self)`, made once per book: what is prepared from a book to check many texts."""
        if make not in self._prepared:
            self._prepared[make] = make(self)
        return cast(Made, self._prepared[make])

    def lpr_on(self, day: date) -> float | None:
        """One-year LPR in percent on `day`, or None before the first entry of the table."""
        known = [rate.percent for rate in self.lpr if rate.effective_from <= day]
        return known[-1] if known else None


def _parts(
    pack: Pack, parsed: _Parsed, vocabulary: dict[str, tuple[str, ...]], where: str
) -> dict[str, tuple[Beside, ...]]:
    """What stands beside the words of the phrases in the longer forms that the pack lists."""
    if not pack.part_of:
        return {}
    known = {
        word for patterns in parsed.values() for pattern in patterns for step in pattern.steps for word in step.words
    }
    found = {}
    for word, forms in pack.part_of.items():
        if word not in known:
            raise RulebookError(
                f"{where}: field 'part_of.{word}': no phrase has this word{nearest(word, sorted(known))}",
                "remove it, or write the word as the phrase has it",
            )
        try:
            found[word] = beside(word, forms, vocabulary)
        except ValueError as error:
            raise RulebookError(
                f"{where}: field 'part_of.{word}': {error}",
                "list longer words that hold the word; their language is described in tianjing/rulebook/patterns.py",
            ) from None
    return found


def _parse(rule: Rule, vocabulary: dict[str, tuple[str, ...]], where: str) -> _Parsed:
    names: tuple[str, ...] = ()
    if isinstance(rule.check, PhraseCheck):
        names = ("patterns",)
    elif isinstance(rule.check, DisclosureCheck):
        names = ("when", "require")
    parsed: _Parsed = {}
    for name in names:
        found: list[Pattern] = []
        for position, source in enumerate(getattr(rule.check, name)):
            try:
                found += parse(source, vocabulary)
            except ValueError as error:
                raise RulebookError(
                    f"{where}: rule '{rule.id}': field 'check.{name}.{position}': {error}",
                    f"mend the phrase {source!r}; its language is described in tianjing/rulebook/patterns.py",
                ) from None
        parsed[rule.id, name] = found
    return parsed
