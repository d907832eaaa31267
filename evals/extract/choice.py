"""Which options an output takes, for single and multiple choice: ordered rules, each hit named, nothing guessed.

The order follows the strength of the evidence: letters alone, what is announced as final, what is announced as the
answer, then the text of the options and verdicts on each. Two announcements that differ make no answer, unless the
second takes the first back.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from evals.extract.apart import by_contrast
from evals.extract.asked import another_kind, is_negative, shares_words
from evals.extract.cues import (
    IN_BRACKETS,
    LETTERS,
    MENTIONED,
    Claim,
    announced,
    clause_start,
    concluded,
    denied,
    is_hedged,
    is_of_the_rest,
    is_of_the_wrong,
    rivalled,
    turns,
    without_refused,
)
from evals.extract.doubts import asks, is_doubted, is_taken_back, is_unsure, is_withdrawn, refuted, without_offer
from evals.extract.found import (
    CONTRADICTION,
    EMPTY,
    HEDGE,
    MISMATCH,
    OUTSIDE,
    SEVERAL,
    TRUNCATED,
    UNREADABLE,
    Found,
)
from evals.extract.groups import by_flags, by_groups, by_items, by_predicates, by_text_list
from evals.extract.listed import with_letters_of_list
from evals.extract.normalise import FINAL_MARK, closed_turn, ends_turn, fold, plain, squeeze, strip_thought
from evals.extract.options import Options, without_echo
from evals.extract.places import by_circles, by_heads, by_letters, by_ordinals
from evals.extract.runon import own_answer
from evals.extract.tables import by_columns, by_table
from evals.extract.texts import REFERS, by_option_text, by_value, whole_text
from evals.extract.verdicts import by_marks, by_verdicts, others_are_so

_WORDS = "一二三四五六七八"
_NUMBER = r"(?:(?:[Qq]|第|题|No\.?)?\s*\d{1,3}\s*(?:题)?\s*(?:[.、:)]\s*|-(?=[A-Z])|\s))?"
_ONLY_LETTERS = re.compile(rf"[\W_]*{_NUMBER}{LETTERS}[\W_]*")
_LETTER_LINE = re.compile(rf"[\s\-•·]*{_NUMBER}([A-Ja-j])\s*[.。、,;]?\s*")
_LEADING = re.compile(rf"[\s\"'“‘:,.。\-•]*(?:\d{{1,3}}\s*[.、)]\s*)?{LETTERS}")
_ONE_DESCRIBED = re.compile(r"\W*(?:选项)?[A-J](?:选项|项)?\s*[,:—-]\s*(?!其[余他它])")
_LAST = re.compile(
    rf"(?:(?:^|\n)[\s>•\-]*(?:→\s*|=+>\s*|-+>\s*)?|(?<=[。!?;])\s*|(?:→|⇒|=>|->)\s*){_NUMBER}{LETTERS}[\s.。!]*$"
)
_LAST_CLAUSE = re.compile(rf"(?<=[一-鿿]),\s*{LETTERS}\s*[。.]?\s*$")
_OF_SOMEONE = re.compile("学生|用户|考生|同学|[你他她]的|原答案|原来|最初|初始|初步|起初|一开始|错误|错解|候选")
_MAPPED = re.compile(r"[^\s→>=]\s*(?:→|⇒|=>|->)\s*[A-J](?![A-Za-z])")
_PREDICATE = re.compile(rf"{IN_BRACKETS}\s*(?:则|主要|是)*(?:反映|衡量|用于|负责|是|属于|指)([^。;,\n]{{3,}})")
_NO_SUBJECT = re.compile(
    r"符合|满足|更|最|合适|恰当|准确|合理|可靠|应|对应|字母|错误|说法|表述|题意|题目|要求|条件|本题|此题|其中|以上|下列|我|认为|属于|的?(?:有|是|为|包括)$|因此|所以|[a-j\d]"
)
_SENTENCE = re.compile(r"[^。!;\n]{4}$")
_LEAD_END = re.compile(
    r"\s*(?:$|\n|(?:而非|而不是|【)|-(?![A-Za-z])|[。.,:;!)—→吧啊呀啦哦咯哈]|(?:因为|"
    r"由于|解析|理由|原因|说明|是因为|\()|(?i:because|since|as)\b)"
)
_LEAD_VERDICT = re.compile(
    r"\s*,(?!\s*其[余他它])[^。;\n]{0,8}不(?:得|能|可|属|应)|\s*\([TF]\)|\s*(?:选项|项)?\s*[.、:,)(\"'—=→-]*\s*(?:是|为)?(?:不(?!是\s*[A-J]|"
    r"选)|正确|错|对(?![于应])|√|×|✓|✔|✗|✘|✅|❌|☑|是否|[是否](?=\s*(?:[\n;,。)/]|$))|符合|属于|排除|有误|"
    r"(?i:true|false|yes\b|no\b)|[01](?!\d))"
)
# So many turns are a loop, not a correction.
_TURNS = 4


def read_choice(
    text: str, options: Sequence[str], multiple: bool, finish_reason: str = "stop", question: str = ""
) -> tuple[str | None, str]:
    """The options that `text` takes.

    Args:
        text: raw output of a model, reasoning included.
        options: texts in the order shown, option A first; an empty text where it is not known.
        multiple: several options may be right; otherwise two letters are no answer.
        finish_reason: `length` where the output was cut off: then only a final answer counts.
        question: the question as asked; tells a restated question from the next one of a run-on output.

    Returns:
        Letters in alphabetical order (of the order shown) or None, and the id of the rule that read them or refused.
    """
    found = find_choice(text, options, multiple, question).cut(finish_reason)
    return found.answer, found.rule


def find_choice(text: str, options: Sequence[str], multiple: bool, question: str = "") -> Found:
    """As `read_choice`, with what it says about a cut-off output left to the caller."""
    answer = strip_thought(text)
    if answer is None:
        return Found(None, TRUNCATED, final=True)
    asked = plain(question)
    known = _options(tuple(options), multiple)
    whole = plain(by_circles(closed_turn(answer), known, question))
    body = own_answer(whole, options, asked)
    if not body.strip():
        return Found(None, EMPTY)
    found = _read(body, known, question, asked)
    said_all = len(body) < len(whole) or ends_turn(answer)
    return replace(found, final=True) if said_all and found.answer else found


def _read(body: str, known: Options, question: str, asked: str) -> Found:
    """What the own answer takes.

    Args:
        asked: the question in plain form.
    """
    body = without_offer(_without_question(body, asked))
    if asks(body):
        return Found(None, HEDGE)
    body = by_letters(body, known, question)
    stripped, listed = without_echo(with_letters_of_list(body, known), known, is_negative(question))
    spelled, stripped = stripped, known.without_own_texts(stripped)
    tabled = by_table(stripped, known, question)
    if tabled is not None:
        beside, listed = tabled
        found = _announced(beside, known, question) if beside.strip() else None
        if found and found.answer and listed.answer not in (None, found.answer) and not turns(beside):
            return Found(None, CONTRADICTION)
        return found or listed
    for read in (_alone, _checked, by_columns, by_flags, whole_text):
        found = read(stripped, known, question)
        if found is not None:
            return found
    for read in (by_groups, by_items, by_text_list):  # by texts, which stand whole there
        found = read(spelled, known, question)
        if found is not None:
            return found
    found = _announced(stripped, known, question)
    if found is not None:
        return found
    if listed is not None:
        return listed
    if is_unsure(stripped, known, question):
        return Found(None, HEDGE)
    stripped = by_ordinals(stripped.replace(IN_BRACKETS, ""), known, question)
    for weak in (by_marks, by_predicates, by_contrast, _by_verdicts, by_value):
        found = weak(stripped, known, question)
        if found is not None:
            return found
    marked = spelled.rpartition(FINAL_MARK)[2]  # all of it where no form marks the answer
    return by_option_text(marked, known, question) or Found(None, UNREADABLE)


def _by_verdicts(text: str, known: Options, question: str) -> Found | None:
    return by_verdicts(by_heads(text, known) if known.multiple else text, known, question)


def _without_question(text: str, question: str) -> str:
    """The question restated announces nothing; a short one may be part of an answer, so it must be named as one."""
    if len(question) > 6:
        return text.replace(question, "\n")
    return re.sub(rf"^\s*(?:题目|问题)\s*:\s*{re.escape(question)}", "", text) if question else text


@functools.lru_cache(maxsize=4096)
def _options(texts: tuple[str, ...], multiple: bool) -> Options:
    return Options(texts, multiple)


def _alone(text: str, known: Options, question: str) -> Found | None:
    """Nothing but letters, with marks or a number of the question around them; or letters on lines of their own."""
    if re.search(r"[?❌✗✘×✖¬]|\+\s*$", text):
        return None
    lines = [_LETTER_LINE.fullmatch(line) for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(lines):
        named = [line[1].upper() for line in lines if line]
        if known.multiple and len(set(named)) == len(named):
            found = _letters("、".join(named), known, loose=False)
        else:
            found = _letters(named[0], known, loose=False) if len(set(named)) == 1 else Found(None, SEVERAL)
        return found and Found(found.answer, found.rule or "letters", final=len(set(named)) == 1)
    complete = not known.multiple or text.rstrip().endswith(("。", "."))
    if known.multiple:
        text = re.sub(r"\(\d{1,2}\)\s*(?=[A-J](?![A-Za-z0-9]))", "", text)
        text = re.sub(r"^\s*([A-J]{2,8})(?:\s+\1)+\s*$", r"\1", text)
    span = re.fullmatch(r"\s*([A-J])\s*(?:-|~|—|到|至)\s*([A-J])\s*(?:[一二三四五六七八]项|全部)?\s*[.。]?\s*", text)
    if span and span[1] < span[2]:
        text = "".join(chr(place) for place in range(ord(span[1]), ord(span[2]) + 1))
    elif known.multiple and re.fullmatch(r"\s*[a-j](?:[\s、,]+[a-j])+\s*[.。]?\s*", text):
        text = re.sub(r"[\s、,]+", "", text).upper()
    elif known.multiple and re.fullmatch(r"[A-J]{1,5}(?:[、,;\s]+[A-J]{1,5})+[.。]?", text):
        text = re.sub(r"[、,;\s.。]+", "", text)
    match = _ONLY_LETTERS.fullmatch(text)
    if match is None:
        return None
    found = _letters(match["letters"], known, loose=True)
    if found is None:
        return None
    return Found(
        found.answer,
        "letters" if found.answer else found.rule,
        final=complete,
    )


def _checked(text: str, known: Options, question: str) -> Found | None:
    """Ticked boxes: [x] B."""
    behind = re.match(r"\s*[A-J]\s*[☐☑]", text)
    ticked = re.findall(r"(?<![A-Za-z])([A-J])\s*☑" if behind else r"☑\s*([A-J])(?![A-Za-z])", text)
    found = _letters("、".join(ticked), known, loose=False) if ticked else None
    return found and Found(found.answer, "ticked" if found.answer else found.rule)


def _announced(text: str, known: Options, question: str) -> Found | None:
    readable = []
    for claim in _joined(text, _longest([*announced(text), *_by_place(text, known, question)]), known):
        if claim.strength == MENTIONED and question and _described(text[claim.end :], question):
            continue
        of_the_wrong = is_of_the_wrong(text, claim.start) and not is_negative(question)
        if of_the_wrong or is_of_the_rest(text, claim.start):
            continue
        if claim.rule == "named" and question and _of_others(text, claim, question):
            continue
        if is_withdrawn(text, claim) or re.match(r"\s*[是否√×对错](?=\s*[、,;。])", text[claim.end :]):
            continue
        found = _letters(
            claim.letters, known, loose=claim.rule in ("leading", "last_line", "json", "final_mark", "answer", "chosen")
        )
        if found is not None:
            readable.append((claim, found))
    if any(claim.strength > MENTIONED for claim, _ in readable):
        readable = [(claim, found) for claim, found in readable if claim.strength > MENTIONED]
    if not readable or (readable[-1][0].strength == MENTIONED and REFERS.search(text)):
        return None
    if sum(one.answer != other.answer for (_, one), (_, other) in pairwise(readable)) >= _TURNS:
        return Found(None, CONTRADICTION)
    claim, found = readable[0]
    since = claim.start
    for later, other in readable[1:]:
        if other.answer == found.answer and other.rule == found.rule:
            if claim.hedged or (not later.hedged and later.strength >= claim.strength):
                claim, found = later, other
            continue
        if claim.hedged and later.hedged:
            claim, found, since = later, other, later.start
            continue
        weightier = later.strength > claim.strength and not (found.answer and _is_announced(text, claim))
        between = text[claim.end : later.start]
        if weightier or turns(between) or _corrects(text, later, refuted(between, question), found, other):
            claim, found, since = later, other, later.start
            continue
        return Found(None, CONTRADICTION)
    if found.answer is None:
        return found
    behind = text[claim.end :]
    if claim.hedged or is_doubted(text, claim, known, question) or rivalled(behind, found.answer):
        return Found(None, HEDGE)
    if is_taken_back(behind):
        return Found(None, HEDGE)
    if denied(behind, found.answer) or refuted(behind, question) & set(found.answer):
        return Found(None, CONTRADICTION)
    if known.contradicts(found.answer, text[claim.end : claim.end + 80]):
        return Found(None, MISMATCH)
    final = any(
        concluded(text, each)
        for each, other in readable
        if other.answer == found.answer and each.start >= since and (each is claim or each.rule != "leading")
    )
    complete = not known.multiple or bool(text[claim.end :].strip(" \"'”’)]}】、,;和与及" + IN_BRACKETS))
    return Found(found.answer, claim.rule, final and complete)


def _corrects(text: str, later: Claim, wrong: set[str], found: Found, other: Found) -> bool:
    """答案：AC。解析：A错误…综上，答案为BC: whether a conclusion drops nothing but what is called wrong before it."""
    dropped = set(found.answer or "") - set(other.answer or "")
    said = text[clause_start(text, clause_start(text, later.start) - 1) : later.start]
    concludes = re.search("综上|因此|所以|故|总之|因而", said) and re.search("答案|选", said)
    return bool(concludes and dropped and other.answer and dropped <= wrong)


def _is_announced(text: str, claim: Claim) -> bool:
    """Whether it is called the answer, or opens the output on a line of its own: one that differs contradicts it."""
    alone = re.compile(r"\s*[。.]?\s*\n").match(text, claim.end)
    said = text[clause_start(text, claim.start - 2) : claim.start]
    if claim.hedged or _OF_SOMEONE.search(said) or re.match(r"\s*[❌✗✘×]", text[claim.end :]):
        return False
    if claim.rule in ("answer", "final_answer", "english") or (claim.rule == "named" and re.search("答案|正确", said)):
        return True
    opens = claim.rule == "chosen" and re.fullmatch(r"[\W_]*(?:应|我|本题)?选择?[\W_]*", text[: claim.start])
    return alone is not None and (claim.rule == "leading" or opens is not None)


def _described(behind: str, question: str) -> bool:
    """流动比率（B）反映偿债能力: whether what is said of an option has no words that the question has."""
    said = _PREDICATE.match(behind)
    return said is not None and not shares_words(said[1], question)


def _of_others(text: str, claim: Claim, question: str) -> bool:
    """银行的职能有A、B: whether what the letters are said to be has no words that the question has."""
    said = text[clause_start(text, claim.start) : claim.start].rstrip(" :")
    if text[: claim.start].rstrip().endswith(":") and another_kind(said, question):
        return True  # 负债业务：E, beside 中间业务：A
    if is_negative(question) and re.search("(?:正确|对|符合)的?(?:说法|表述)?(?:有|是|包括|为)?$", said):
        return True
    if re.search("答案|选项|正确|选|^(?:所以|因此|因而|故|综上)", said):
        return False
    if re.search("[一-鿿]", said) and is_negative(question) and not re.search("[不非无未没错除]|题意|符合", said):
        return True  # 可以做的有C, where what may not be done is asked for
    subject = _NO_SUBJECT.sub("", squeeze(said))
    return said.endswith(("有", "是", "为", "包括")) and len(subject) >= 4 and not shares_words(subject, question)


def _joined(text: str, claims: Sequence[Claim], known: Options) -> Sequence[Claim]:
    """选A，选B，选C: one choice of several options."""
    joined: list[Claim] = []
    for claim in claims:
        between = text[joined[-1].end : claim.start] if joined else ""
        if known.multiple and re.fullmatch(rf"[,、;\s]*选\s*|[,、;和与及\s]*{FINAL_MARK}\s*", between):
            before = joined.pop()
            letters = f"{before.letters}、{claim.letters}"
            claim = replace(claim, start=before.start, letters=letters, hedged=before.hedged or claim.hedged)
        joined.append(claim)
    return joined


def _longest(claims: Sequence[Claim]) -> list[Claim]:
    """Claims in order of place; of those on the same letters, the strongest."""
    best: dict[int, Claim] = {}
    for claim in claims:
        place = claim.end
        if place not in best or (claim.strength, -claim.start) > (best[place].strength, -best[place].start):
            best[place] = claim
    return sorted(best.values(), key=lambda claim: claim.start)


def _by_place(text: str, known: Options, question: str) -> list[Claim]:
    """Letters that open the answer, and letters that are its last line."""
    claims = []
    marked = re.match(rf"\s*A\s*:\s*{LETTERS}\s*[.。]?\s*$", text)  # A: as short for Answer:
    if marked:
        return [Claim(marked.start("letters"), marked.end("letters"), marked["letters"], 1, "leading")]
    lead = _LEADING.match(text)
    if lead and not (len(lead["letters"]) > 1 and lead["letters"] in fold(question)):
        start = lead.start("letters")
        letters = without_refused(text, start, lead.end("letters"), lead["letters"])
        end = start + len(letters)
        after = text[end : end + 60]
        own, named = known.text_of(letters), known.name_of(letters)
        if known.multiple and named and after.startswith(named):  # F车辆保险不属于…
            after = after[len(named) :] if _LEAD_VERDICT.match(after, len(named)) else after
        opens = _LEAD_END.match(after) or (own and squeeze(after).startswith(own))
        listed = letters == lead["letters"] and _enumerates(text, letters, after)
        described = known.multiple and _ONE_DESCRIBED.match(text) and others_are_so(text[end:], question)
        other_use = listed or described or _LEAD_VERDICT.match(after) or re.match(r"[\s,]*\?", after)
        if letters and opens and not other_use:
            claims.append(Claim(start, end, letters, 1, "leading", is_hedged(text, "", end)))
    last = _LAST.search(text) or (None if known.multiple else _LAST_CLAUSE.search(text))
    if last and len(_MAPPED.findall(text)) > 1:  # PPI→A, CPI→B: which goes with which
        last = None
    ended = last and text[: last.start()].rstrip("。!; ")
    if last and ended and (text[last.start() - 1] not in "。!;" or _SENTENCE.search(ended)):
        guessed = re.search("随便|瞎|蒙|猜", text[: last.start()]) is not None
        claims.append(Claim(last.start("letters"), last.end("letters"), last["letters"], 1, "last_line", guessed))
    return claims


def _enumerates(text: str, letters: str, after: str) -> bool:
    """Whether the first letter opens a walk through the options."""
    if len(re.findall("[A-J]", letters)) > 1:
        return False
    if re.match(r"[.。、,:\s\-—]+[A-J][.。、,:\s\-—]+[A-J]", after):
        return True
    heads = set(re.findall(r"(?:^|[\n;])\s*[-•]?\s*(?:选项)?\s*\(?([A-J])(?:选项|项)?\s*[.、:,)—-]", text))
    # A walk goes in order: what stands before the first letter of all, with nothing said of it, is chosen.
    out_of_order = after.startswith("\n") and letters.upper() > min(heads, default="J")
    return len(heads) > 1 and not out_of_order


def _letters(written: str, known: Options, loose: bool) -> Found | None:
    """The options that `written` names; None where it is a word and no letters.

    Args:
        loose: small letters in a row count too.
    """
    letters: list[str] = []
    for run in re.findall(
        r"[A-Za-z]+|第\s*[一二三四五六七八1-8]", re.sub(r"(?i:options?|choices?|\band\b)\s*", "", written)
    ):
        if run.startswith("第"):
            digit = run[-1]
            letters.append(chr(ord("A") + (int(digit) - 1 if digit.isdigit() else _WORDS.index(digit))))
        elif (
            run.isupper()
            or len(run) == 1
            or (loose and known.multiple and list(run.lower()) == sorted(set(run.lower())))
        ):
            letters.extend(run.upper())
        else:
            return None
    if not letters:
        return None
    runs = re.findall(r"[A-Z]{2,}", written)
    if any(len(set(run)) < len(run) or run in known.words for run in runs):
        return None
    chosen = "".join(sorted(set(letters)))
    if any(letter not in known.letters for letter in chosen):
        # CPA or LPR is a word unless every letter could be an option of some question.
        return None if any(letter > "J" for letter in chosen) and len(chosen) > 1 else Found(None, OUTSIDE)
    if len(chosen) > 1 and not known.multiple:
        return Found(None, SEVERAL)
    return Found(chosen, "")
