"""The guard of one request: personal data is masked both ways, and what must not pass ends the answer."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from serving.guard import injection, unlawful
from serving.guard.base import REFUSAL, Admission, GuardFailure, Outlet, Verdict
from serving.guard.canary import CanaryDetector
from serving.guard.corrections import Correction
from serving.guard.disclosures import missing
from serving.guard.jsontext import Encoder, Readable, Restorer, readable
from serving.guard.leak import LeakDetector
from serving.guard.learned import Kind, Reading
from serving.guard.outlet import Dropped, JsonOutlet, RequestOutlet
from serving.guard.personal import Personal
from serving.guard.rules import RuleSet
from serving.guard.settings import GuardSettings, InputAction
from serving.protocol.call import Channel, Extension, Piece
from tianjing import guard as core
from tianjing.guard.verdicts import WITHHELD
from tianjing.rulebook.schema import Rule

_RANK: Mapping[Verdict, int] = {"allow": 0, "mask": 1, "rewrite": 2, "block": 3, "handoff": 4}
GUARD_ERROR = "guard_error"


class RequestGuard:
    """Guards one request: placeholders are the same in question and answer.

    Args:
        detectors: judge every channel beside the built-in ones; compiled once and shared by all requests of a day.
        rules: the rules of the day; None leaves out what customers must not be helped with, and disclosures.
        extension: what the application says of the customer.
        structured: the answer is JSON: it is read as JSON, and nothing may be added to it.
        faults: counts what failed, by rail and kind of error, over all requests.
    """

    def __init__(
        self,
        detectors: Sequence[core.Detector | core.Incremental] = (),
        settings: GuardSettings | None = None,
        rules: RuleSet | None = None,
        extension: Extension | None = None,
        *,
        structured: bool = False,
        faults: Counter[str] | None = None,
    ) -> None:
        self.output: Counter[str] = Counter()
        self.cpu_ns = 0
        self.policy = rules.policy if rules else ""
        self._settings = settings or GuardSettings()
        self._budget_ns = int(self._settings.cpu_ms * 1e6)
        self._rules = rules
        self._extension = extension or Extension()
        self._structured = structured
        self._faults = Counter() if faults is None else faults
        self._more = tuple(detectors)
        self._personal = Personal(self._extension.known)
        self._reasons: dict[str, Verdict] = {}
        self._prompt = ""
        self._answers: tuple[str, ...] = ()
        self._core: core.Guard | None = None
        self._opened = 0

    def admit(self, pieces: Sequence[Piece]) -> Admission:
        """Judge what the model would read.

        Raises:
            GuardFailure: nothing may be passed on.
        """
        begun = time.thread_time_ns()
        try:
            texts = () if self._is_long(pieces) else self._admitted(pieces)
            self.spent(time.thread_time_ns() - begun)
        except GuardFailure:
            raise
        except Exception as error:
            raise self.failed("admit", type(error).__name__) from error
        report = self.report()
        return Admission(report["verdict"], texts, tuple(report["reasons"]))

    def outlet(self, choice: int, channel: Channel = "content") -> Outlet:
        """The way out of one choice's channel; choices number their new placeholders independently."""
        output = self._settings.output
        if channel == "reasoning" and output.reasoning == "drop":
            return Dropped()
        self._core = self._core or core.Guard(
            self._detectors(),
            max_held_chars=output.held_chars,
            max_held_ms=output.held_ms,
            on_cap=output.on_cap,
        )
        self._opened += 1
        stream = self._core.open(choice, f"{channel}.{self._opened}")
        restores = {"arguments": output.restore_arguments, "content": output.restore_content}.get(channel, False)
        owes = channel == "content" and self._rules is not None and bool(self._rules.owed)
        closing = self._closing if owes else None
        if channel == "arguments" or (channel == "content" and self._structured):
            return JsonOutlet(stream, self, Encoder(self._personal.values if restores else {}), closing)
        return RequestOutlet(stream, self, Restorer(self._personal.values) if restores else None, closing)

    def block(self, reason: str) -> None:
        """Record that text was withheld."""
        self._reasons[reason] = "block"

    def refusal(self) -> str:
        """What the caller reads in place of what was withheld."""
        refusals = self._settings.refusals
        for reason, verdict in self._reasons.items():
            if verdict == "block" and reason != GUARD_ERROR:
                return str(getattr(refusals, reason.split(".")[0], refusals.other))
        return refusals.other if self._reasons else REFUSAL

    def report(self) -> dict[str, Any]:
        """The `tianjing` object of an answer: verdict, reasons and counts of entity kinds, never the entities."""
        found = self._personal.found
        personal: dict[str, Verdict] = {
            name: "mask" for name, some in (("pii_input", found), ("pii_output", self.output)) if some
        }
        reasons = {**self._reasons, **personal}
        verdict = max(reasons.values(), key=_RANK.__getitem__, default="allow")
        entities = {"input": dict(sorted(found.items())), "output": dict(sorted(self.output.items()))}
        ordered = sorted(reasons, key=lambda reason: -_RANK[reasons[reason]])
        return {"verdict": verdict, "reasons": ordered, "entities": entities}

    def noted(self, verdict: core.Verdict) -> None:
        """Take note of a decision about what the model writes."""
        if verdict.detector == core.PrivacyDetector.name:
            self.output[verdict.kind] += 1
            return
        prefix = {core.RulebookDetector.name: "rule:", CanaryDetector.name: "canary:"}.get(verdict.detector, "")
        self._note(prefix + verdict.kind, verdict.action)

    def spent(self, nanoseconds: int) -> None:
        """Count processor time.

        Raises:
            GuardFailure: the request has taken more than its budget.
        """
        self.cpu_ns += nanoseconds
        if self.cpu_ns > self._budget_ns:
            raise self.failed("cpu_ms", "over the budget")

    def failed(self, rail: str, error: str) -> GuardFailure:
        """Take note of a fault; gives what to raise. Neither holds any text."""
        self._faults[f"{rail}: {error}"] += 1
        self.block(GUARD_ERROR)
        return GuardFailure(f"{rail}: {error}")

    def _note(self, reason: str, verdict: Verdict) -> None:
        if _RANK[verdict] >= _RANK[self._reasons.get(reason, "allow")]:
            self._reasons[reason] = verdict

    def _is_long(self, pieces: Sequence[Piece]) -> bool:
        limits = self._settings.input
        sizes = [len(piece.text) for piece in pieces]
        for reason, size, most in (
            ("length.pieces", len(sizes), limits.pieces),
            ("length.piece", max(sizes, default=0), limits.piece_chars),
            ("length.total", sum(sizes), limits.total_chars),
        ):
            if size > most:
                self.block(reason)
                return True
        return False

    def _admitted(self, pieces: Sequence[Piece]) -> tuple[str, ...]:
        read = [readable(piece.text, as_json=piece.channel == "arguments") for piece in pieces]
        texts = self._personal.mask([(piece.speaker, text) for piece, text in zip(pieces, read, strict=True)])
        answered = max((at for at, piece in enumerate(pieces) if piece.speaker == "assistant"), default=-1)
        for at, piece in enumerate(pieces):
            if piece.speaker not in ("user", "tool"):
                continue
            for reason, action in self._faulted(piece, read[at]):
                if action in ("block", "handoff") and at < answered:
                    # It was refused when it was new: the model does not see it, and the conversation goes on.
                    texts[at], action = WITHHELD, "mask"
                self._note(reason, action)
        self._prompt = "\n".join(text for piece, text in zip(pieces, texts, strict=True) if piece.speaker == "system")
        self._answers = tuple(p.text for p in pieces if (p.speaker, p.channel) == ("assistant", "content"))
        return tuple(texts)

    def _faulted(self, piece: Piece, read: Readable) -> list[tuple[str, Verdict]]:
        """Why this piece must not be answered, and what that causes."""
        # What escapes hide is a family of its own.
        families = injection.families(piece.text, tool=piece.speaker == "tool")
        actions = self._settings.input.injection
        found = [(f"injection.{name}", getattr(actions, name)) for name in families]
        judged = [(reason, _verdict(action)) for reason, action in found if action != "off"]
        if self._rules is None:
            return judged
        asked = unlawful.requests(self._rules.asked, read.plain) if piece.speaker == "user" else []
        found = [self._asked_for(rule) for rule in asked]
        # Who claims to be somebody has done nothing yet: the model says whether the rest of the text does. Every other
        # family has an action of its own, which the model does not overrule; a tool's result asks for no help.
        reading = self._rules.learned.read(read.plain)
        if not set(families) - {"authority"}:
            found += self._learned(self._rules, "injection", reading)
        if piece.speaker == "user" and not asked:
            found += self._learned(self._rules, "unlawful", reading)
        is_material = self._extension.task in self._settings.input.staff_tasks
        return judged + [
            (reason, "allow" if is_material else _verdict(action)) for reason, action in found if action != "off"
        ]

    def _asked_for(self, rule: Rule) -> tuple[str, str]:
        kind = unlawful.family(rule)
        return (
            (f"unlawful.{kind}", getattr(self._settings.input.unlawful, kind))
            if kind
            else (f"rule:{rule.id}", rule.action)
        )

    def _learned(self, rules: RuleSet, kind: Kind, reading: Reading) -> list[tuple[str, str]]:
        """What the model finds where the patterns found nothing."""
        limits = self._settings.input
        action: InputAction = getattr(limits, kind).learned
        if action == "off" or not rules.learned.finds(kind, reading, getattr(limits.learned, kind)):
            return []
        return [(f"{kind}.learned", action)]

    def _detectors(self) -> list[core.Detector | core.Incremental]:
        output = self._settings.output
        detectors: list[core.Detector | core.Incremental] = [core.PrivacyDetector(self._personal.session)]
        if self._rules is not None:
            detectors.append(self._rules.said)
        if self._prompt and output.prompt_leak != "off":
            detectors.append(_leaks(self._prompt, output.leak_chars, output.prompt_leak))
        if output.canaries:
            detectors.append(CanaryDetector(output.canaries, output.canary))
        if (facts := self._extension.facts) is not None and output.wrong_number != "off":
            rewrites = output.wrong_number == "rewrite"
            action: core.Action = "block" if output.wrong_number == "rewrite" else output.wrong_number
            detectors.append(core.StatementDetector(facts, {"wrong": action}, Correction(facts) if rewrites else None))
        return [*detectors, *self._more]

    def _closing(self, answer: str) -> str:
        """The disclosures that this answer owes and does not make."""
        assert self._rules is not None
        if not answer.strip():
            return ""
        added = ""
        for one in missing(list(self._rules.owed.values()), frozenset(self._extension.require), answer, self._answers):
            if one.wording is None or self._structured:
                self._note(f"disclosure:{one.rule.id}", "allow")
                continue
            added += f"\n{one.words(self._extension.facts)}"
            self._note(f"disclosure:{one.rule.id}", "rewrite")
        return added


def _verdict(action: str) -> Verdict:
    """What an action on a request makes of it; a company's rule that masks, rewrites or warns only marks."""
    return "block" if action == "block" else "handoff" if action == "handoff" else "allow"


@functools.lru_cache(maxsize=64)
def _leaks(prompt: str, least_chars: int, action: core.Action) -> LeakDetector:
    # A company has few system prompts, and what stands here is masked.
    return LeakDetector(prompt, least_chars, action)
