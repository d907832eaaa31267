"""`tianjing data tag`: every turn and desktop event of a cleaned corpus with its act, and clusters of turns to label.

An act comes from a label, a teacher, the classifier or the lexicon, in this order of trust; a desktop event is an act
by the name of its activity.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field

from data_recipes.errors import DataError
from data_recipes.experience.tagging.aspects import aspects
from data_recipes.experience.tagging.classifier import Classifier, ClassifierConfig, Tagged
from data_recipes.experience.tagging.clusters import Cluster, find_clusters
from data_recipes.experience.tagging.labels import read_labels
from data_recipes.experience.tagging.teacher import NONE, Advice, TaggingTeacherConfig, ask_teacher, least_sure
from data_recipes.experience.tagging.turns import Side, Spoken, spoken_turns
from tianjing.acts import ACTS, tag
from tianjing.config import StrictModel
from tianjing.files import read_jsonl, write_jsonl
from tianjing.lineage import Manifest, artefact, is_artefact, read_manifest
from tianjing.records import Dialogue, Event

KIND = "acts"
Progress = Callable[[str], None]


class TagConfig(StrictModel):
    """`tianjing data tag`: how turns are tagged."""

    classifier: ClassifierConfig = ClassifierConfig()
    """How a few labels tag the rest."""
    clusters: Annotated[int, Field(ge=1)] = 60
    """Clusters of each side's turns: about three for each act that you expect."""
    max_clustered: Annotated[int, Field(ge=1)] = 20_000
    """Turns of each side that are clustered, evenly over the corpus."""
    teacher: TaggingTeacherConfig | None = None
    """A model that labels the agents' medoids and least sure turns; none without it."""
    acts: dict[str, str] = Field(default_factory=lambda: dict(ACTS))
    """Act -> what it means: what a teacher chooses from. Labels may name further ones."""


@dataclass
class _Side:
    """The turns of one side, and where the act of each comes from."""

    spoken: Sequence[Spoken]
    labels: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Index -> (act, source `label` or `teacher`)."""
    clusters: Sequence[Cluster] = ()
    clustered: Sequence[int] = ()
    """Index of each clustered turn."""


def tag_corpus(
    folder: Path, out: Path, config: TagConfig, labels: Path | None = None, progress: Progress = lambda step: None
) -> Manifest:
    """Write acts.jsonl and clusters.jsonl, and answers.jsonl of a teacher, to the artefact `out`.

    Args:
        folder: what `data clean` or `data extract` wrote: personal data is masked there, and clusters show turns.
        labels: a few labels a class (`labels.Label`); without any, only lexicon, log and teacher tag.

    Raises:
        DataError: no cleaned dialogues, a bad label (with file and line), or a teacher that does not answer.
    """
    folder, out = Path(folder), Path(out)
    if not is_artefact(folder) or not (folder / "dialogues.jsonl").is_file():
        raise DataError(
            f"{folder}: no cleaned dialogues (a manifest.json and dialogues.jsonl)",
            "clean or extract first: tianjing data clean RAW --out CLEAN",
        )
    dialogues = list(read_jsonl(folder / "dialogues.jsonl", Dialogue))
    events = list(read_jsonl(folder / "events.jsonl", Event)) if (folder / "events.jsonl").is_file() else []
    given = read_labels(labels, dialogues) if labels else None
    # Beside the artefact until it is written, so that a killed run asks only for the rest.
    answers = out.with_name(f".{out.name}.answers.jsonl")
    inputs = [folder, *([Path(labels)] if labels else [])]
    with artefact(out, KIND, inputs, {"config": config.model_dump(mode="json")}) as work:
        rows: list[dict[str, Any]] = []
        clusters: list[dict[str, Any]] = []
        for name in get_args(Side):
            progress(f"clustering the turns of the {name}")
            side = _side(dialogues, events, name, given.by_place if given else {}, config)
            classifier = None
            if len({act for act, _ in side.labels.values()}) > 1:
                progress(f"learning the acts of the {name}")
                classifier = _classifier(side, config)
            if config.teacher is not None and name == "agent":
                progress("asking the teacher")
                advice = _teach(side, classifier, config, config.teacher, answers)
                if answers.exists():
                    shutil.copyfile(answers, work.dir / "answers.jsonl")
                for reason, count in sorted(advice.counts.items()):
                    work.count(reason, count)
                if len({act for act, _ in side.labels.values()}) > 1:
                    classifier = _classifier(side, config)
            tags = classifier.tag([one.utterance for one in side.spoken]) if classifier else None
            rows.extend(_rows(side, tags, name))
            clusters.extend(_cluster_rows(side, name))
            if classifier is not None:
                work.count(f"{name}_labels", len(side.labels))
                work.count(
                    f"{name}_labels_right_in_cross_validation_permille", round(1000 * classifier.cross_validated)
                )
        rows.extend({"dialogue": e.case, "at": e.at.isoformat(), "act": e.activity, "source": "log"} for e in events)
        for source, count in sorted(Counter(row["source"] for row in rows).items()):
            work.count(f"acts_from_{source}", count)
        turns_tagged = len({(row["dialogue"], row["turn"]) for row in rows if "turn" in row})
        work.count("turns", sum(turn.speaker != "system" for dialogue in dialogues for turn in dialogue.turns))
        work.count("turns_with_an_act", turns_tagged)
        if given:
            work.count("labels_of_words_that_nobody_says", given.unsaid)
        write_jsonl(work.dir / "acts.jsonl", rows)
        write_jsonl(work.dir / "clusters.jsonl", clusters)
    answers.unlink(missing_ok=True)
    return read_manifest(out)


def _side(
    dialogues: Sequence[Dialogue],
    events: Iterable[Event],
    name: Side,
    given: Mapping[tuple[str, int], str],
    config: TagConfig,
) -> _Side:
    spoken = spoken_turns(dialogues, events, name)
    labels = {i: (given[one.place], "label") for i, one in enumerate(spoken) if one.place in given}
    step = max(1, -(-len(spoken) // config.max_clustered))
    clustered = range(0, len(spoken), step)
    found = find_clusters([spoken[index].utterance.text for index in clustered], config.clusters)
    return _Side(spoken, labels, found, clustered)


def _classifier(side: _Side, config: TagConfig) -> Classifier:
    labels = {index: act for index, (act, _) in side.labels.items()}
    return Classifier([one.utterance for one in side.spoken], labels, config.classifier)


def _teach(
    side: _Side, classifier: Classifier | None, config: TagConfig, teacher: TaggingTeacherConfig, answers: Path
) -> Advice:
    """Put the teacher's labels among the side's; a person's label stands."""
    asked = {side.clustered[cluster.medoid] for cluster in side.clusters}
    if classifier is not None:
        tags = classifier.tag([one.utterance for one in side.spoken])
        asked |= set(least_sure({index: one.margin for index, one in enumerate(tags)}, teacher.least_sure))
    acts = {**{act: act for act, _ in side.labels.values() if act != NONE}, **config.acts}
    wanted = {index: side.spoken[index].utterance for index in asked if index not in side.labels}
    advice = ask_teacher(wanted, acts, teacher, answers)
    side.labels.update({index: (act, "teacher") for index, act in advice.labels.items()})
    return advice


def _rows(side: _Side, tags: Sequence[Tagged] | None, name: Side) -> Iterable[dict[str, Any]]:
    """One row for each act of each turn, from the most trusted source that names it."""
    for index, one in enumerate(side.spoken):
        found: dict[str, tuple[float, str]] = {}
        likely = tags[index] if tags is not None else None
        if index in side.labels:
            labelled, source = side.labels[index]
            found[labelled] = (1.0, source)
        elif likely is not None and likely.label is not None:
            found[likely.label] = (likely.probability, "classifier")
        for act in tag(one.utterance.text) if name == "agent" else aspects(one.utterance.text):
            found.setdefault(act, (1.0, "lexicon"))
        dialogue, turn = one.place
        for act, (probability, source) in found.items():
            if act != NONE:
                yield {"dialogue": dialogue, "turn": turn, "act": act, "probability": probability, "source": source}


def _cluster_rows(side: _Side, name: Side) -> Iterable[dict[str, Any]]:
    for cluster in side.clusters:
        medoid = side.spoken[side.clustered[cluster.medoid]]
        yield {
            "speaker": name,
            "cluster": cluster.number,
            "size": len(cluster.members),
            "text": medoid.utterance.text,
            "words": cluster.words,
            "dialogue": medoid.place[0],
            "turn": medoid.place[1],
        }
