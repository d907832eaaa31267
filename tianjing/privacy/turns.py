"""A whole dialogue: names heard anywhere are known everywhere, and numbers read out over several turns are joined.

    客户：幺三八      坐席：一三八，对，后面呢
    客户：一二三四    坐席：一二三四      客户：五六七八

Each piece alone is three or four digits that could be anything; joined, they are a mobile number, so every piece and
every echo of it is a finding. A bare answer is read with the question before it (`answers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tianjing.privacy import dates
from tianjing.privacy.answers import LIKELY_ASKED, TURNS_BACK, answered, asked_by
from tianjing.privacy.checks import is_card_prefix, is_landline, is_luhn, is_mobile, is_permit_id, is_resident_id
from tianjing.privacy.codes import kind_of_code
from tianjing.privacy.digits import ANY_DIGIT, SEPARATORS, Window, read_digits
from tianjing.privacy.engine import Masked, Session
from tianjing.privacy.findings import Finding, Match, View, findings_of, fold
from tianjing.privacy.hints import Places, places

# A piece belongs to what was read out at most so many turns before.
_MAX_TURNS_APART: Final = 4
_MAX_PIECES: Final = 16
_NUMBER_CHARS: Final = 19
_ASKED: Final = re.compile(
    r"电话|手机|号码|身份证|证件|卡号|账号|报一下|念一下|报给|前.位|后.位|中间.位|尾号|几位|座机|固话|区号"
)
# Labels of orders and the like: what is read out behind them is no number of a person.
_OTHER: Final = re.compile(
    r"订单|单号|流水|编号|运单|工单|合同|保单|交易号|验证码|查询码|预约码|取件码|金额|发票|案号|密码"
)
_QQ: Final = re.compile(r"qq|扣扣|企鹅", re.IGNORECASE)
_TAIWAN: Final = re.compile(r"台胞证|台湾")
_LETTERED: Final = re.compile(
    r"护照|通行证|回乡证|返乡证|台胞证|永居|居留|代码|税号|执照|识别号|passport", re.IGNORECASE
)
# Part of each of these words: much cheaper to look for.
_LETTERED_CUE: Final = re.compile("[照通乡胞居码税识pP]")
_BIRTH: Final = re.compile(r"出生|生日|生辰|哪年生|dob", re.IGNORECASE)
_QUANTITIES: Final = "元块期天日号月年岁笔次人个万千百亿件%％‰点分折成倍"
_DIGIT: Final = re.compile(f"[{ANY_DIGIT}]")
_LETTER_OR_DIGIT: Final = re.compile(f"[A-Za-z{ANY_DIGIT}]")


class _Piece(NamedTuple):
    turn: int
    speaker: str
    start: int
    end: int
    digits: str


class Clues(NamedTuple):
    """What a first look says of each turn of a dialogue, so that most need no second one."""

    folded: Sequence[str]
    places: Sequence[Places | None]
    """Where something may begin in it; None: nowhere."""
    asks: Sequence[tuple[int, ...] | None]
    """What it asks for (`answers.asked_by`); None: nothing, and it does not speak of papers with letters in their
    numbers or of a birth either."""
    digits: Sequence[bool]
    """Whether two digits of one number that is no quantity may stand in it."""


_NOWHERE: Final = Places([], [])
# For RE2: every turn for which `Clues.asks` must not be None, or `Clues.digits` must be true.
LIKELY_ASKS: Final = f"{LIKELY_ASKED}|{_LETTERED.pattern}|{_BIRTH.pattern}"
# A quantity (2699元) ends its digits with its unit; 号 also ends other numbers, and 年份 or 月日 may lead on to more.
_UNITS: Final = "".join(char for char in _QUANTITIES if char not in "号年月")
_APART: Final = re.escape("".join(sorted(SEPARATORS)))
LIKELY_DIGITS: Final = (
    rf"(?s)[{ANY_DIGIT}](?:[{_APART}]{{0,3}}|个)[{ANY_DIGIT}](?:[^{ANY_DIGIT}{_UNITS}]|\z)"
    rf"|[{ANY_DIGIT}{_APART}个]{{20}}"
)


def find_turns(session: Session, turns: Sequence[tuple[str, str]]) -> list[tuple[Finding, ...]]:
    """Personal data of each turn (speaker, text); the session then knows the names of the whole dialogue."""
    matches = turn_matches(session, turns, _every_clue(turns))
    return [findings_of(text, found) for (_, text), found in zip(turns, matches, strict=True)]


def mask_turns(session: Session, turns: Sequence[tuple[str, str]]) -> list[Masked]:
    """The turns (speaker, text) with personal data replaced; each piece of a number stands for the whole number.

    For many dialogues `tianjing.privacy.mask_dialogues` does the same faster.
    """
    matches = turn_matches(session, turns, _every_clue(turns))
    return session.replaced(turns, matches)


def _every_clue(turns: Sequence[tuple[str, str]]) -> Clues:
    folded = [fold(text) for _, text in turns]
    return Clues(folded, [places(text) for text in folded], [asked_by(text) for _, text in turns], [True] * len(turns))


def turn_matches(session: Session, turns: Sequence[tuple[str, str]], clues: Clues) -> list[list[tuple[int, Match]]]:
    """(start, match) pairs of each turn, in order; the session then knows the names of the whole dialogue."""
    scanner = session.scanner
    found: list[list[tuple[int, Match]]] = []
    asks = clues.asks
    asking = [index for index in range(len(turns)) if asks[index] is not None]
    asked = _asked(turns, asks, asking)
    answers: dict[int, list[tuple[int, Match]]] = {}
    names = scanner.learned()
    knew: list[frozenset[str]] = []
    quiet = "\0".join([text for text, where in zip(clues.folded, clues.places, strict=True) if where is None])
    known = bool(names) or scanner.holds(quiet)  # whether any but the places may hold something
    for index in range(len(turns)):
        text, where = clues.folded[index], clues.places[index]
        knew.append(names)
        if where is not None or (known and scanner.holds(text)):
            found.append(session.matches(text, where or _NOWHERE, learn=True, folded=True))
            names = scanner.learned()
        else:
            found.append([])
        if index in asked:
            answers[index] = answered(scanner, turns, index, asks, text, found[index])
            for _, match in answers[index]:
                if match.full:
                    scanner.learn(match.value)
            names = scanner.learned()
        known = known or bool(names)
    if knew and knew[0] is not names:  # a name counts in what was said before it, too
        _look_back(session, clues, found, answers, knew, names)
    alone = [len(matches) for matches in found] if asked else []
    for index in asking:
        if _LETTERED_CUE.search(turns[index][1]) and _LETTERED.search(turns[index][1]):
            _join(turns, clues, found, letters=True)
            break
    if sum(clues.digits) > 1:
        _join(turns, clues, found, letters=False)
    for index in sorted(asked):
        if index not in answers or len(found[index]) != alone[index]:
            answers[index] = answered(scanner, turns, index, asks, clues.folded[index], found[index])
        found[index] += answers[index]
    for index in asking:
        if asks[index] and _BIRTH.search(turns[index][1]):
            for turn, start, birth in _born(turns, clues, found, asking):
                found[turn].append((start, birth))
            break
    for items in found:
        if len(items) > 1:
            items.sort(key=_start)
    return found


def _look_back(
    session: Session,
    clues: Clues,
    found: list[list[tuple[int, Match]]],
    answers: dict[int, list[tuple[int, Match]]],
    knew: Sequence[frozenset[str]],
    names: frozenset[str],
) -> None:
    """Look once more at the turns before which not all `names` were known; their answers are to be read anew."""
    for index, before in enumerate(knew):
        if before is names or not (later := names - before):
            continue
        answers.pop(index, None)
        text, where = clues.folded[index], clues.places[index]
        if any(char in text for name in later for char in name) and (where or session.scanner.holds(text)):
            found[index] = session.matches(text, where or _NOWHERE, folded=True)


def _start(item: tuple[int, Match]) -> int:
    return item[0]


def _asked(turns: Sequence[tuple[str, str]], asks: Sequence[tuple[int, ...] | None], asking: Sequence[int]) -> set[int]:
    """The turns that may answer a question of another speaker."""
    asked: set[int] = set()
    for index in asking:
        if asks[index]:
            speaker = turns[index][0]
            for later in range(index + 1, min(len(turns), index + 1 + TURNS_BACK)):
                if turns[later][0] != speaker:
                    asked.add(later)
    return asked


def _join(
    turns: Sequence[tuple[str, str]], clues: Clues, found: Sequence[list[tuple[int, Match]]], *, letters: bool
) -> None:
    pieces = [
        piece
        for index, (speaker, _) in enumerate(turns)
        if letters or clues.digits[index]
        for piece in _pieces(index, speaker, clues.folded[index], found[index], letters)
    ]
    if len(pieces) > 1:
        for piece, kind, number in _read_out(clues.folded, pieces, letters):
            found[piece.turn].append((piece.start, Match(kind, piece.end, number)))


def _read_out(folded: Sequence[str], pieces: Sequence[_Piece], letters: bool) -> Iterator[tuple[_Piece, str, str]]:
    """Pieces of numbers that are only whole over several turns, each with the kind of the number and the number."""
    used: set[int] = set()
    for first in range(len(pieces)):
        if first in used:
            continue
        chain, kind, whole = _chain(pieces, first, folded, letters)
        for number in chain:
            if number not in used:
                used.add(number)
                yield pieces[number], kind, whole


def _chain(pieces: Sequence[_Piece], first: int, folded: Sequence[str], letters: bool) -> tuple[list[int], str, str]:
    """The pieces that make one number with the piece `first`, echoes included; its kind, and the number."""
    start = pieces[first]
    gathered, chain, last = start.digits, [first], start.turn
    for number in range(first + 1, min(len(pieces), first + _MAX_PIECES)):
        piece = pieces[number]
        if piece.turn - last > _MAX_TURNS_APART:
            break
        chain.append(number)
        last = piece.turn
        if piece.speaker != start.speaker and piece.digits in gathered:
            continue  # the listener repeats it
        gathered += piece.digits
        if len(gathered) > _NUMBER_CHARS:
            break
        if last == start.turn:
            continue
        context = _context(folded, start.turn, last)
        more = any(other.speaker == start.speaker for other in pieces[number + 1 :] if other.turn - last <= 2)
        kind = kind_of_code(gathered, context) if letters else _kind(gathered, context, more)
        if kind:
            return [*chain, *_echoes(pieces, number, gathered)], kind, gathered
    return [], "", ""


def _echoes(pieces: Sequence[_Piece], last: int, digits: str) -> list[int]:
    """Pieces just after the last that repeat a part of the number."""
    near = range(last + 1, min(len(pieces), last + 4))
    return [
        number
        for number in near
        if pieces[number].turn - pieces[last].turn <= 2
        and len(pieces[number].digits) > 2
        and pieces[number].digits in digits
    ]


def _context(folded: Sequence[str], first: int, last: int) -> str:
    return "\n".join(folded[max(0, first - 2) : last + 1])


def _kind(digits: str, context: str, more: bool) -> str:
    """The kind of a number gathered from several turns; `more`: its speaker goes on to say digits."""
    asked = bool(_ASKED.search(context))
    other = bool(_OTHER.search(context)) and not asked
    if is_mobile(digits) and len(digits) == 11:
        return "" if other else "mobile"
    if len(digits) == 18 and is_resident_id(digits, checksum="证" not in context):
        return "permit" if is_permit_id(digits) else "id_card"
    if is_luhn(digits) and is_card_prefix(digits) and (asked or (digits.startswith("62") and not other)):
        return "bank_card"
    if asked and is_landline(digits) and not (more and len(digits) < 11):
        return "landline"
    if more or other or not digits.isdigit():
        return ""
    if len(digits) == 8 and _TAIWAN.search(context):
        return "permit"
    return "qq" if 5 <= len(digits) <= 11 and digits[0] != "0" and _QQ.search(context) else ""


def _pieces(
    index: int, speaker: str, folded: str, found: Sequence[tuple[int, Match]], letters: bool
) -> Iterator[_Piece]:
    """Runs of two or more digits (with `letters` also of letters) that are no finding yet and no quantity."""
    view = View(folded, closed=True)
    pattern, position = _LETTER_OR_DIGIT if letters else _DIGIT, 0
    while match := pattern.search(view.text, position):
        start = match.start()
        inside = next((match.end for begin, match in found if begin <= start < match.end), 0)
        if inside:
            position = inside
            continue
        window = read_digits(view, start, letters=letters)
        end = window.ends[-1]
        position = end
        lettered = not window.digits.isdigit()
        if (lettered or len(window.digits) > 1) and not _is_quantity(view, start, end, window):
            yield _Piece(index, speaker, start, end, window.digits)


def _is_quantity(view: View, start: int, end: int, window: Window) -> bool:
    after = view.at(end)
    return bool(after) and after in _QUANTITIES and not (after == "号" and len(window.digits) > 2)


def _born(
    turns: Sequence[tuple[str, str]], clues: Clues, found: Sequence[Sequence[tuple[int, Match]]], asking: Sequence[int]
) -> Iterator[tuple[int, int, Match]]:
    """A date of birth of which year, month and day are said in different turns."""
    for index in asking:
        births = [match for _, match in found[index] if match.kind == "birth_date"]
        if births or not _BIRTH.search(turns[index][1]):
            continue
        parts: list[tuple[int, int, int, str]] = []
        for turn in range(index, min(len(turns), index + 2 * _MAX_TURNS_APART)):
            said, taken = clues.folded[turn], found[turn]
            if any(match.kind == "birth_date" for _, match in taken):
                break
            parts += [
                (turn, match.start(), match.end(), match[0])
                for match in dates.PART.finditer(said)
                if not any(begin < match.end() and match.start() < other.end for begin, other in taken)
            ]
        year = next((part for *_, part in parts if "年" in part), "")
        month = next((part for *_, part in parts if "月" in part and "年" not in part), "")
        day = next((part for *_, part in parts if part[-1] in "日号" and "月" not in part), "")
        value = dates.read_date(year + month + ("" if month[-1:] in "日号" else day))
        if year and (month or "月" in year) and value and len({turn for turn, *_ in parts}) > 1:
            for turn, start, end, _ in parts:
                yield turn, start, Match("birth_date", end, value)
            return
