"""Where a base model runs on to another question, and whether an output restates the question or poses one."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from evals.extract.normalise import squeeze

_KINDS = r"(?:单项选择|多项选择|不定项选择|单选|多选|不定项|选择|填空|简答)题?"
_HEADS = (
    r"下一道?题|下题|新题目?|题目|问题|原题|试题|例题|习题|练习题?|指令|(?:Next\s+)?Question|Instruction|Input|Exercise"
)
_JUDGE = r"(?:请?判断(?:下列|以下)?(?:说法|题|正误|对错|是否正确|命题|陈述)?|是非题|正误题)"
_NEW_QUESTION = re.compile(
    rf"^[ \t]*(?:[【\[(]?(?:{_HEADS}|题干|{_KINDS})\s*\d*[】\])]?\s*[::]?|"
    rf"[【\[(]?{_JUDGE}\s*\d*(?:[】\])]\s*:?|\s*:)|"
    r"第\s*[\d一二三四五六七八九十]+\s*题[::.、 ]?|"
    r"(?:Question|Problem|Q)\s*\d*\s*[:.\n]|(?:用户|User|Human|问|提问)\s*:|\d{1,3}\s*[.、)]|\(\d{1,3}\)|"
    r"以下是|下列|下面|(?P<unheaded>[^\n]{2,120}\(\s*\)[^\n]{0,12}\n\s*\(?A\s*[.、:)]))|"
    r"(?<=[。.!;])[ \t]*(?:下一题|题目|问题|Question|User|Human|用户)\s*\d*\s*:",
    re.M | re.I,
)
_EXPLICIT = re.compile(
    rf"[ \t]*(?:[【\[(]?(?:{_HEADS}|{_KINDS})\s*\d*(?:[】\])]\s*:?|\s*:)|"
    r"(?:Question|Problem|Q)\s*\d*\s*[:\n]|"
    r"(?:用户|User|Human|问|提问)\s*:|以下是.{0,60}题)",
    re.I,
)
_HEADED_JUDGE = re.compile(rf"[ \t]*[【\[(]?{_JUDGE}\s*\d*(?:[】\])]\s*:?|\s*:)")
_HEADING = re.compile(
    rf"\s*(?:\(?\d{{1,3}}\s*[.、)]\s*)?(?:[【\[(]?(?:题目|问题|原题|试题|例题|题干|下一题|{_KINDS}|{_JUDGE}|Question|Q)"
    r"\s*\d*[】\])]?\s*:?\s*)*(?:\(?\d{1,3}\s*[.、)]\s*)?",
    re.I,
)
_SPEAKER = re.compile(r"\s*(?:用户|User|Human|提问)", re.I)
_TURN_OF_ASKER = re.compile(r"[ \t]*(?:用户|User|Human|提问者?)\s*:", re.I)
_BARE_HEADING = re.compile(rf"[ \t]*[【\[(]?(?:{_HEADS}|{_KINDS})\s*\d*[】\])]?[ \t]*:?[ \t]*\n\s*(?=\S)", re.I)
_OPEN_BLANK = re.compile(r"\(\s*\)|_{2,}")
_ANSWERS = re.compile(r"(?<![A-Za-z])[A-J](?![a-z])|正确|错|对|√|×")
# A statement on a line of its own with a verdict below it, where the output opened with the verdict that was asked for.
_OPENS_WITH_VERDICT = re.compile(r"[\W_]*(?:答案\s*:?\s*)?(?:不?正确|错误?|不?对|√|×)(?:的|说法)?\s*(?:[。,.;:!(\n]|$)")
_ONE_MORE_JUDGED = re.compile(
    r"\n\s*\n[ \t]*(?P<line>[^\n]{8,}[。.])\s*\n\s*(?:答案\s*:\s*)?(?:正确|错误?|对|√|×)\s*[。.]?\s*$"
)
_OF_THE_SAME = re.compile(
    r"因此|所以|故|综上|总之|由此|可见|本题|该|此|这|题|答案|解析|但|不过|等等|然而|其实|更正|不对|重新"
)
_BLANK = re.compile(r"(?:\(\s*\)|_{2,}|[。.:?\s])+$")
_VERDICT_LINE = re.compile(
    r"^[\s\"'(【\[]*(?:不?正确|错误?|不?对|√|×|✓|✗|✅|❌|是|否|true|false|该|这|此|本)|"
    r"(?:正确|错误?|不?对|√|×|✓|✗|✅|❌|有误|成立|属实|true|false)(?:的|说法|[\s。.!)\]】\"'])*$",
    re.I,
)
_NEXT_JUDGED = re.compile(
    r"\s*\(?\d{1,3}\s*[.、)][^\n]{6,}\n+\s*(?:答案\s*:)?\s*(?:正确|错误?|对|√|×)\s*[。.]?\s*(?:\n|$)"
)  # 2. a statement, and its verdict on the next line
_SAME_START = re.compile(r"下列|以下|关于|根据|按照|在")
_OPTION_LINE = re.compile(r"(?:^|\s)\(?([AB])\s*[.、:)]\s*([^\n]{1,200}?)(?=\s+\(?[B-J]\s*[.、:)]|\n|$)")


def own_answer(text: str, options: Sequence[str], question: str, judged: bool = False) -> str:
    """`text` up to where a base model runs on to another question; the question itself, restated, stays.

    Args:
        text: output in plain form.
        options: texts of the options, empty for a statement to judge.
        question: the question in plain form; "" where it is not known.
        judged: a statement is judged, so that `判断：…` may pose another.
    """
    for match in _NEW_QUESTION.finditer(text):
        if match["unheaded"] and not _ANSWERS.search(text[: match.start()]):
            continue
        if _another(text, match.start(), options, question, judged):
            return _first_judged(text[: match.start()]) if judged else text[: match.start()]
    return text


def _first_judged(text: str) -> str:
    """`text` without statements that were judged behind its own verdict, before it ran on under a heading."""
    while _OPENS_WITH_VERDICT.match(text):
        more = _ONE_MORE_JUDGED.search(text)
        if more is None or _OF_THE_SAME.match(more["line"]):
            break
        text = text[: more.start()]
    return text


@functools.lru_cache(maxsize=8192)
def statement(question: str) -> str:
    """A plain question without the heading (判断题：) before it and the blank or full stop behind it."""
    head = _HEADING.match(question)
    return _BLANK.sub("", question[head.end() if head else 0 :]).strip()


def _another(text: str, start: int, options: Sequence[str], question: str, judged: bool) -> bool:
    tail = text[start : start + 1500]
    line = tail.partition("\n")[0]
    listed = _OPTION_LINE.findall(tail)
    if _ANSWERS.search(text, 0, start) and _asks_on(text, tail, listed, question):
        return True
    if _same_options(listed, options):
        return False
    headed = _HEADED_JUDGE.match(tail)
    if headed and _VERDICT_LINE.search(line[headed.end() :]):
        return False
    if judged and question and _EXPLICIT.match(tail) and not text[:start].strip() and _differs(line, question):
        return True
    if question and _restated(question, tail):
        return False
    open_blank = _OPEN_BLANK.search(line)
    blank = open_blank or re.search(r"\?|(?:下列|以下|关于).{2,60}(?:的是|的有|是|有|为|包括)", line)
    if listed and blank:
        return True
    explicit = _EXPLICIT.match(tail)
    judges = headed and len(squeeze(line[headed.end() :])) >= 4
    if text[:start].strip():
        if judged and _NEXT_JUDGED.match(tail) and not _VERDICT_LINE.search(statement(line)):
            return True
        return bool(open_blank or explicit or (judges and judged) or (headed and not line[headed.end() :].strip()))
    # The whole output poses a question: another one only if it is known to differ, as a judged statement does at once.
    asked_back = _SPEAKER.match(tail) and len(squeeze(line)) < 16  # 用户：选哪个？
    if not question or "\n" not in tail or asked_back or not (explicit or judges):
        return False
    return len(squeeze(statement(line))) >= 6 and _likeness(statement(line), question) < (0.8 if judged else 0.5)


def _asks_on(text: str, tail: str, listed: Sequence[object], question: str) -> bool:
    """Whether `tail`, behind an answer, poses another question, be it about the same options."""
    if _restated(question, tail):
        return False
    if _TURN_OF_ASKER.match(tail) and not _SPEAKER.match(text):
        return True
    heading = _BARE_HEADING.match(tail)
    line = tail[heading.end() if heading else 0 :].partition("\n")[0]
    posed = heading or _EXPLICIT.match(tail) or (listed and _OPEN_BLANK.search(line))
    return bool(question and posed and _differs(line, question))


def _same_options(listed: Sequence[tuple[str, str]], options: Sequence[str]) -> bool:
    """Whether the first options that are listed (A, and B if it is there) are the question's own."""
    own = [squeeze(option) for option in options[:2]]
    shown = [squeeze(text) for _, text in listed[: len(own)]]
    return bool(shown and own and own[0]) and all(
        said.startswith(real) or (len(said) > 3 and real.startswith(said))
        for said, real in zip(shown, own, strict=False)
    )


def _restated(question: str, tail: str) -> bool:
    asked = squeeze(statement(question))
    shown = squeeze(statement(tail[:300].partition("\n")[0])) or squeeze(tail[:300])
    if not asked:
        return False
    length = 20 if _SAME_START.match(asked) else 10
    return asked[:length] in squeeze(tail[:300]) or (len(shown) >= 6 and shown[:length] in asked)


def _differs(line: str, question: str) -> bool:
    """Whether a line poses another statement than the one asked about; a single word may make it true or false."""
    shown, asked = squeeze(statement(line)), squeeze(statement(question))
    return len(shown) >= (4 if _OPEN_BLANK.search(line) else 6) and shown not in asked and asked not in shown


def _likeness(shown: str, question: str) -> float:
    """Share of the pairs of neighbouring characters in `shown` that the question has too."""
    said, asked = squeeze(shown), squeeze(statement(question))
    pairs = [said[place : place + 2] for place in range(len(said) - 1)]
    return sum(pair in asked for pair in pairs) / len(pairs) if pairs else 1.0
