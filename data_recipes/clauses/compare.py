"""Two versions of one document, clause by clause: what stayed, moved, changed, came, went, was split or merged.

Articles are matched by their text and not by their number, so that one inserted article does not change all behind it.
Similarity is the Dice coefficient of character bigrams, 2·|A∩B| / (|A|+|B|) over multisets.
"""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from data_recipes.clauses.parse import ParsedDocument
from tianjing.records import Clause, Modality, Quantity
from tianjing.text import compact

Kind = Literal["same", "renumbered", "changed", "added", "removed", "split", "merged"]

# Below, two clauses are two rules; one under its old number may have been rewritten further.
_SIMILAR, _SIMILAR_SAME_NUMBER = 0.5, 0.35
# Share of a clause's bigrams that another one has to spare, from which it counts as split off or merged into it.
_HELD = 0.6
# Agreement of fewer characters between two edits is chance: 不超过 and 不低于 share 不.
_MIN_EQUAL_CHARS = 2


@dataclass(frozen=True)
class Edit:
    """`old` at character `old_start` of the old text became `new` at `new_start` of the new; either may be empty."""

    old: str
    new: str
    old_start: int
    new_start: int


@dataclass(frozen=True)
class ClauseChange:
    """What became of a clause.

    `old` and `new` hold one clause each; no old one for added, no new one for removed, several for split and merged.
    `similarity` is in [0, 1]. `modality` is (old, new) where the demand changed. `parts` are the changes below an
    article (款, 项, 目) whose own text, without its lead-in sentence, is not the same.
    """

    kind: Kind
    old: tuple[Clause, ...]
    new: tuple[Clause, ...]
    similarity: float
    edits: tuple[Edit, ...] = ()
    modality: tuple[Modality, Modality] | None = None
    quantities_removed: tuple[Quantity, ...] = ()
    quantities_added: tuple[Quantity, ...] = ()
    parts: tuple[ClauseChange, ...] = ()

    @property
    def is_renumbered(self) -> bool:
        """Whether the clause stands under another number than before, whatever else changed."""
        return bool(self.old and self.new) and _number(self.old[0]) != _number(self.new[0])


def compare(old: Iterable[Clause], new: Iterable[Clause]) -> list[ClauseChange]:
    """Changes from `old` to `new`, one per article, in the order of `new`; what went stands where it stood."""
    before, after = _Version(old), _Version(new)
    changes = _match(before.articles, after.articles)
    return [
        replace(change, parts=_parts(before, after, change)) if change.kind == "changed" else change
        for change in changes
    ]


def same_law(one: ParsedDocument, other: ParsedDocument) -> bool:
    """Two versions of one document: the same title, or half of the articles of the shorter one word for word."""
    if one.document == other.document:
        return True
    mine, theirs = ({clause.text for clause in parsed.clauses} for parsed in (one, other))
    return 2 * len(mine & theirs) > min(len(mine), len(theirs))


class _Version:
    """The articles of one version and, by article, its parts."""

    def __init__(self, clauses: Iterable[Clause]):
        self.articles: list[Clause] = []
        self.parts: dict[str, list[Clause]] = defaultdict(list)
        for clause in clauses:
            if clause.path[-1] == clause.article:
                self.articles.append(clause)
            else:
                self.parts[clause.article].append(clause)

    def leaves(self, article: Clause) -> list[Clause]:
        """The finest parts of an article; itself where it has none."""
        parts = self.parts.get(article.article, [])
        above = {part.path[:-1] for part in parts}
        return [part for part in parts if part.path not in above] or [article]


def _parts(before: _Version, after: _Version, change: ClauseChange) -> tuple[ClauseChange, ...]:
    old, new = before.leaves(change.old[0]), after.leaves(change.new[0])
    if len(old) == len(new) == 1:
        return ()
    return tuple(part for part in _match(old, new) if part.kind != "same")


def _match(old: Sequence[Clause], new: Sequence[Clause]) -> list[ClauseChange]:
    pairs = _equal(old, new)
    pairs |= _alike(old, new, pairs)
    taken = set(pairs.values())
    extra_new = _held([j for j in range(len(new)) if j not in taken], new, old, pairs)
    extra_old = _held([i for i in range(len(old)) if i not in pairs], old, new, {j: i for i, j in pairs.items()})
    found: list[tuple[float, ClauseChange]] = []
    for i, j in pairs.items():
        split = [k for k, host in extra_new.items() if host == i]
        merged = [k for k, host in extra_old.items() if host == j]
        if split:
            made = _change("split", old[i : i + 1], [new[k] for k in sorted([j, *split])])
        elif merged:
            made = _change("merged", [old[k] for k in sorted([i, *merged])], new[j : j + 1])
        else:
            made = _pair(old[i], new[j])
        found.append((float(j), made))
    found += [
        (float(j), _change("added", (), new[j : j + 1])) for j in range(len(new)) if j not in taken | set(extra_new)
    ]
    here = -1.0
    for i in range(len(old)):
        here = float(pairs[i]) if i in pairs else here
        if i not in pairs and i not in extra_old:
            found.append((here + 0.5, _change("removed", old[i : i + 1], ())))
    return [change for _, change in sorted(found, key=lambda one: one[0])]


def _equal(old: Sequence[Clause], new: Sequence[Clause]) -> dict[int, int]:
    """Clauses that stayed word for word, under their own number first."""
    waiting: dict[str, list[int]] = defaultdict(list)
    for j, clause in enumerate(new):
        waiting[_own(clause)].append(j)
    pairs: dict[int, int] = {}
    for same_number in (True, False):
        for i, clause in enumerate(old):
            if i in pairs:
                continue
            choices = waiting[_own(clause)]
            fitting = [j for j in choices if not same_number or _number(new[j]) == _number(clause)]
            if fitting:
                pairs[i] = fitting[0]
                choices.remove(fitting[0])
    return pairs


def _alike(old: Sequence[Clause], new: Sequence[Clause], pairs: dict[int, int]) -> dict[int, int]:
    """The most similar of the others, greedily; equal similarity goes to the same number, then to the order."""
    taken = set(pairs.values())
    grams_old = {i: _bigrams(clause) for i, clause in enumerate(old) if i not in pairs}
    grams_new = {j: _bigrams(clause) for j, clause in enumerate(new) if j not in taken}
    holders: dict[str, list[int]] = defaultdict(list)
    for j, grams in grams_new.items():
        for gram in grams:
            holders[gram].append(j)
    scored = []
    for i, grams in grams_old.items():
        shared: Counter[int] = Counter()
        for gram, count in grams.items():
            for j in holders.get(gram, ()):
                shared[j] += min(count, grams_new[j][gram])
        for j, common in shared.items():
            dice = 2 * common / (grams.total() + grams_new[j].total())
            same = _number(old[i]) == _number(new[j])
            if dice >= (_SIMILAR_SAME_NUMBER if same else _SIMILAR):
                scored.append((-dice, not same, i, j))
    found: dict[int, int] = {}
    for _, _, i, j in sorted(scored):
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def _held(
    left: Sequence[int], clauses: Sequence[Clause], others: Sequence[Clause], matched: dict[int, int]
) -> dict[int, int]:
    """Of the clauses `left` without a counterpart, those whose words a clause of the other version had to spare.

    Args:
        matched: position in `others` to its counterpart in `clauses`; to spare is what the counterpart does not hold.
    """
    hosts = {
        host: _bigrams(others[host]) - _bigrams(clauses[counterpart])
        for host, counterpart in (matched.items() if left else ())
    }
    found = {}
    for position in left:
        grams = _bigrams(clauses[position])
        if grams.total() < 8:
            continue
        best, share = -1, 0.0
        for host, held in hosts.items():
            common = (grams & held).total() / grams.total()
            if common > share:
                best, share = host, common
        if share >= _HELD:
            found[position] = best
    return found


def _pair(old: Clause, new: Clause) -> ClauseChange:
    if _own(old) == _own(new):
        kind: Kind = "same" if _number(old) == _number(new) else "renumbered"
        return ClauseChange(kind, (old,), (new,), 1.0)
    return _change("changed", (old,), (new,))


def _change(kind: Kind, old: Sequence[Clause], new: Sequence[Clause]) -> ClauseChange:
    removed, added = _quantities(old), _quantities(new)
    kept = Counter(map(_bound, removed)) & Counter(map(_bound, added))
    before, after = (sum((_bigrams(clause) for clause in clauses), Counter[str]()) for clauses in (old, new))
    total = before.total() + after.total()
    one_each = len(old) == len(new) == 1
    return ClauseChange(
        kind=kind,
        old=tuple(old),
        new=tuple(new),
        similarity=round(2 * (before & after).total() / total, 4) if total else 0.0,
        edits=edits(_text(old[0]), _text(new[0])) if one_each else (),
        modality=(old[0].modality, new[0].modality) if one_each and old[0].modality != new[0].modality else None,
        quantities_removed=_without(removed, kept),
        quantities_added=_without(added, kept),
    )


def edits(old: str, new: str) -> tuple[Edit, ...]:
    """The character diff from `old` to `new`; agreement of a single character between two edits is not kept apart."""
    found: list[Edit] = []
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if found:
            last = found[-1]
            between = old[last.old_start + len(last.old) : i]
            if len(between) < _MIN_EQUAL_CHARS:
                found[-1] = replace(last, old=last.old + between + old[i:i_end], new=last.new + between + new[j:j_end])
                continue
        found.append(Edit(old[i:i_end], new[j:j_end], i, j))
    return tuple(found)


def _own(clause: Clause) -> str:
    return compact(_text(clause))


def _text(clause: Clause) -> str:
    """Its own words: an item without the sentence it shares with its neighbours."""
    return clause.text[clause.lead_in_chars :]


def _number(clause: Clause) -> tuple[str, ...]:
    """第八条, or 第八条 第一款 （二）: where it stands, without the headings above."""
    return clause.path[clause.path.index(clause.article) :]


def _bigrams(clause: Clause) -> Counter[str]:
    text = _own(clause)
    return Counter(text[i : i + 2] for i in range(len(text) - 1))


def _quantities(clauses: Sequence[Clause]) -> list[Quantity]:
    return [one for clause in clauses for one in clause.quantities if one.start >= clause.lead_in_chars]


def _bound(quantity: Quantity) -> tuple[float, str, str, str, float | None]:
    return quantity.value, quantity.unit, quantity.comparator, quantity.period, quantity.until


def _without(
    quantities: Sequence[Quantity], kept: Counter[tuple[float, str, str, str, float | None]]
) -> tuple[Quantity, ...]:
    left, found = Counter(kept), []
    for one in quantities:
        if left[_bound(one)] > 0:
            left[_bound(one)] -= 1
        else:
            found.append(one)
    return tuple(found)
