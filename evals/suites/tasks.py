"""The tasks of suites, by kind of answer: rendered, read through `evals.extract`, scored."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from evals.extract import (
    Found,
    Quantity,
    compare,
    find_choice,
    find_fields,
    find_items,
    find_judgement,
    find_label,
    find_number,
    has_all,
    quantities,
    same_quantity,
    verdict_of,
)
from evals.suites.definition import MAX_TOKENS, Definition
from tianjing.files import canonical_json
from tianjing.tasks.base import Fields, Reading, Reference
from tianjing.tasks.finance_qa import rouge_l
from tianjing.text import compact


class SuiteTask(ABC):
    """A task made from a definition. fields: question, and optionally context and subject; more by kind.

    A `Reading` says in `details["final"]` whether it stands even if the output was cut off behind it.
    """

    closed = True

    def __init__(self, definition: Definition):
        self.definition = definition
        self.id = definition.id
        self.title = definition.title or definition.id
        self.max_tokens = definition.max_tokens or MAX_TOKENS[definition.kind]

    def system(self) -> str:
        return self.definition.system

    def render(self, fields: Fields, wording: int = 0) -> str:
        subject, context = str(fields.get("subject", "")), str(fields.get("context", ""))
        wordings = self.definition.wordings
        return wordings[wording % len(wordings)].format(
            question=fields["question"],
            subject=subject,
            about=f"关于{subject}的" if subject else "",
            context=f"{context}\n" if context else "",
            **self.places(fields),
        )

    def places(self, fields: Fields) -> dict[str, str]:
        """What stands in the places of the prompt that belong to the kind."""
        labels = "、".join(fields.get("labels") or self.definition.labels)
        return {"options": "", "labels": labels, "fields": "、".join(self.definition.fields)}

    def target(self, reference: Reference) -> str:
        return str(reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return ""

    @abstractmethod
    def read(self, text: str, fields: Fields) -> Reading:
        """The answer in an output, as the kind reads it."""

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer is not None and reading.answer == reference["answer"])

    def measures(self, reading: Reading, reference: Reference, fields: Fields) -> Mapping[str, float]:
        """Counts beside the score that are summed over items, see `evals.suites.figures`."""
        return {}

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return self.target(rng.choice(list(references)))


class ChoiceTask(SuiteTask):
    """fields: options (texts as shown), ids (the original letter of each); reference: answer (original letters).

    The canonical answer is in original letters, so that a permutation of the options changes fields alone.
    """

    def __init__(self, definition: Definition):
        super().__init__(definition)
        self.multiple = definition.kind == "multiple_choice"

    def places(self, fields: Fields) -> dict[str, str]:
        lines = [f"{_letter(place)}. {text}" for place, text in enumerate(fields["options"])]
        return {**super().places(fields), "options": "\n".join(lines)}

    def decisive(self, reference: Reference) -> str:
        return str(reference["answer"])

    def read(self, text: str, fields: Fields) -> Reading:
        options = [str(option) for option in fields["options"]]
        if len(options) == 2 and {verdict_of(option) for option in options} == {"对", "错"}:
            found = find_judgement(text, options, str(fields["question"]))
            shown = _letter([verdict_of(option) for option in options].index(found.answer)) if found.answer else ""
        else:
            found = find_choice(text, options, self.multiple, str(fields["question"]))
            shown = found.answer or ""
        original = "".join(sorted(fields["ids"][ord(letter) - ord("A")] for letter in shown))
        return _reading(original or None, found, shown=shown)

    def measures(self, reading: Reading, reference: Reference, fields: Fields) -> Mapping[str, float]:
        if not self.multiple:
            return {}
        said, truth = set(reading.answer or ""), set(reference["answer"])
        return {"options_f1": 2 * len(said & truth) / (len(said) + len(truth)), "items": 1.0}

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        letters = [_letter(place) for place in range(len(fields["options"]))]
        count = len(rng.choice(list(references))["answer"]) if self.multiple and references else 1
        return "".join(sorted(rng.sample(letters, min(count, len(letters)))))


class JudgementTask(SuiteTask):
    """fields: options (the two words asked for, 对 first); reference: answer 对 or 错."""

    def places(self, fields: Fields) -> dict[str, str]:
        return {**super().places(fields), "options": "”或“".join(self._words(fields))}

    def target(self, reference: Reference) -> str:
        return str(reference.get("word") or reference["answer"])

    def decisive(self, reference: Reference) -> str:
        return self.target(reference)

    def read(self, text: str, fields: Fields) -> Reading:
        found = find_judgement(text, (), str(fields["question"]))
        return _reading(found.answer, found)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return rng.choice(self._words(fields))

    def _words(self, fields: Fields) -> list[str]:
        return [str(word) for word in fields.get("options") or ("对", "错")]


class NumericTask(SuiteTask):
    """reference: answer, as written (71.28元, 3.65%)."""

    def target(self, reference: Reference) -> str:
        return f"答案：{reference['answer']}"

    def decisive(self, reference: Reference) -> str:
        return str(reference["answer"])

    def read(self, text: str, fields: Fields) -> Reading:
        quantity, found = find_number(text)
        if quantity is None:
            return _reading(None, found)
        told = {
            "written": str(quantity.written),
            "value": str(quantity.value),
            "percent": quantity.percent,
            "unit": quantity.unit,
        }
        return _reading(str(quantity), found, **told)

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        if reading.answer is None:
            return 0.0
        told = reading.details
        said = Quantity(Decimal(told["written"]), Decimal(told["value"]), told["percent"], told["unit"])
        truth = quantities(str(reference["answer"]))[-1]
        return float(same_quantity(said, truth, self.definition.relative_tolerance, self.definition.absolute_tolerance))


class LabelTask(SuiteTask):
    """fields: labels, where a row has its own; reference: answer, and label (the same, by which items are balanced)."""

    def decisive(self, reference: Reference) -> str:
        return str(reference["answer"])

    def read(self, text: str, fields: Fields) -> Reading:
        found = find_label(text, list(fields.get("labels") or self.definition.labels))
        return _reading(found.answer, found)

    def format_only(self, fields: Fields, references: Sequence[Reference], rng: random.Random) -> str:
        return rng.choice(list(fields.get("labels") or self.definition.labels))


class KeywordsTask(SuiteTask):
    """reference: answer, keywords; right when the output has every keyword."""

    closed = False

    def read(self, text: str, fields: Fields) -> Reading:
        items, found = find_items(text)
        return _reading("、".join(items) or None, found, text=text)

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return float(reading.answer is not None and all(has_all(reading.details["text"], reference["keywords"])))

    def measures(self, reading: Reading, reference: Reference, fields: Fields) -> Mapping[str, float]:
        hits = has_all(reading.details.get("text", ""), reference["keywords"])
        return {"keywords_found": sum(hits) / len(hits), "items": 1.0}


class FieldsTask(SuiteTask):
    """reference: answer (canonical JSON), values (field → normalised value or None). Score: share of right fields."""

    def read(self, text: str, fields: Fields) -> Reading:
        values, found = find_fields(text, self.definition.fields)
        return _reading(found.answer, found, values=values)

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        if reading.answer is None:
            return 0.0
        counts = compare(reading.details["values"], reference["values"])
        return counts["right"] / counts["fields"]

    def measures(self, reading: Reading, reference: Reference, fields: Fields) -> Mapping[str, float]:
        counts = compare(reading.details.get("values", {}), reference["values"])
        return {
            **counts,
            "exact": counts["exact"] if reading.valid else 0.0,
            "parsed": float(reading.valid),
            "items": 1.0,
        }


class TextTask(SuiteTask):
    """reference: answer. Score: character ROUGE-L F1 with it."""

    closed = False

    def read(self, text: str, fields: Fields) -> Reading:
        said = compact(text)
        return Reading(said, "text", {"final": True}) if said else Reading(None, "invalid_empty", {"final": False})

    def score(self, reading: Reading, reference: Reference, fields: Fields) -> float:
        return rouge_l(reading.answer, compact(str(reference["answer"]))) if reading.answer else 0.0


def task_of(definition: Definition) -> SuiteTask:
    """The task that a definition describes."""
    return _TASKS[definition.kind](definition)


def reference_of(
    answer: str, definition: Definition, values: Mapping[str, str | None] | None = None
) -> dict[str, object]:
    """A reference in the form of the kind, from a published answer."""
    if definition.kind == "label":
        return {"answer": answer, "label": answer}
    if definition.kind == "fields":
        return {"answer": canonical_json(values), "values": dict(values or {})}
    return {"answer": answer}


def _letter(place: int) -> str:
    return chr(ord("A") + place)


def _reading(answer: str | None, found: Found, **details: object) -> Reading:
    return Reading(answer, found.rule, {"final": found.final, **details})


_TASKS: Mapping[str, Callable[[Definition], SuiteTask]] = {
    "single_choice": ChoiceTask,
    "multiple_choice": ChoiceTask,
    "judgement": JudgementTask,
    "numeric": NumericTask,
    "label": LabelTask,
    "keywords": KeywordsTask,
    "fields": FieldsTask,
    "text": TextTask,
}
