"""The form in which outputs are read: widths, look-alikes and decoration folded, thoughts and run-on questions cut."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

# Traditional forms of the words that answers are announced and negated with; both sides of every comparison are folded.
_TRADITIONAL = str.maketrans(
    "選項應為對錯確題個綜實結論認該與這無沒誤斷說擇種後總於樣時見間當會從將還據關據顯終標準參來麼嗎則諾點絕",
    "选项应为对错确题个综实结论认该与这无没误断说择种后总于样时见间当会从将还据关据显终标准参来么吗则诺点绝",
)
_LOOKALIKE = str.maketrans("АВСЕΑΒΕ", "ABCEABE")  # Cyrillic and Greek
_SPECIAL = {0x1F170 + n: chr(ord("A") + n) for n in range(26)}
_SPECIAL |= {0x2160 + n: f"罗{n % 16 + 1}" for n in range(32)}  # NFKC would turn Ⅰ into the letter I
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufe0f\u00ad\u20e3]")
_TAG_THOUGHT = re.compile(r"<(think|thinking|reasoning|thought)>.*?</\1>", re.S | re.I)
_THOUGHT_END = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.I)
_THOUGHT_START = re.compile(r"<(?:think|thinking|reasoning|thought)>", re.I)
_LATEX_WORD = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|operatorname|rm|bf)\s*\{([^{}]*)\}")
_BOXED = re.compile(r"\\?(?:boxed|fbox)\s*\{([^{}]*)\}")
_FENCE = re.compile(r"```[a-zA-Z]*")
_DECORATION = re.compile(r"[*`~]+|__+|\\[()\[\]]|\$+|^[ \t]*>+", re.M)
_HEADING = re.compile(r"^[ \t]*#{1,6}(?=[ \t]*[^#\s])", re.M)
_RULED = re.compile(r"^[ \t|:+-]{3,}$", re.M)
_END_OF_TURN = re.compile(r"<\|(?:im_end|endoftext|eot_id|end|im_start)[^|]*\|>|</s>|<eos>|<end_of_turn>", re.I)
FINAL_MARK = "\x01"  # stands where a form marks the final answer by itself: \boxed{}, <answer>, ####

_NEW_QUESTION = re.compile(
    r"^[ \t]*(?:[【\[]?(?:下一题|下题|题目|问题|试题|例题|练习题?|题干)\s*\d*[】\]]?\s*[::]?|第\s*[\d一二三四五六七八九十]+\s*题[::.、 ]?|"
    r"(?:Question|Problem|Q)\s*\d*\s*[:.]|(?:用户|User|Human|问|提问)\s*:|\d{1,3}\s*[.、)]|以下是|下列|下面)|"
    r"(?<=[。.!;])[ \t]*(?:下一题|题目|问题|Question|User|Human|用户)\s*\d*\s*:",
    re.M | re.I,
)
_EXPLICIT = re.compile(
    r"[ \t]*(?:[【\[]?(?:下一题|下题|题目|问题|试题|例题|练习题?)\s*\d*[】\]]?\s*:|(?:Question|Problem|Q)\s*\d*\s*:|"
    r"(?:用户|User|Human|提问)\s*:|以下是.{0,60}题)",
    re.I,
)
_FIRST_OPTION = re.compile(r"(?:^|\s)\(?A\s*[.、:)]\s*([^\n]{1,200})")
_MARKS = re.compile(
    r"[\s,;:!?'\"()\[\]{}<>|\\—–_。、“”‘’【】《》「」『』…·~^*`$]+|(?<!\d)[./]+|[./]+(?!\d)|-(?!\d)|(?<=\w)-"
)


def strip_thought(text: str) -> str | None:
    """What stands after the reasoning; None when the output ended inside it."""
    text = _TAG_THOUGHT.sub("", text)
    ends = list(_THOUGHT_END.finditer(text))
    if ends:  # some chat templates open the block in the prompt
        text = text[ends[-1].end() :]
    return None if _THOUGHT_START.search(text) else text


def fold(text: str) -> str:
    """One width, one script, no invisible characters: what both outputs and options are compared in."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text.translate(_SPECIAL))
    return unicodedata.normalize("NFKC", text).translate(_TRADITIONAL).translate(_LOOKALIKE)


def plain(text: str) -> str:
    """Folded text without markdown, with `FINAL_MARK` before what a form marks as the final answer."""
    text = fold(text)
    end = _END_OF_TURN.search(text)
    if end and text[: end.start()].strip():
        text = text[: end.start()]
    if "\\" in text:
        text = _LATEX_WORD.sub(r"\1", text)
        text = _LATEX_WORD.sub(r"\1", text)
        text = _BOXED.sub(rf"{FINAL_MARK}\1 ", text)
    text = re.sub(r"<answer>\s*(.*?)\s*(?:</answer>|$)", rf"{FINAL_MARK}\1 ", text, flags=re.S | re.I)
    text = re.sub(r"^[ \t]*####[ \t]*(?=[A-Za-z、, ]{1,20}$)", FINAL_MARK, text, flags=re.M)
    text = _RULED.sub("", _DECORATION.sub("", _HEADING.sub("", _FENCE.sub("", text))))
    return text.replace("|", " ").strip()


@functools.lru_cache(maxsize=8192)
def squeeze(text: str) -> str:
    """Folded, lower case, without spaces and marks: the form in which an option's text is compared."""
    return _MARKS.sub("", fold(text).lower())


def own_answer(text: str, options: Sequence[str], question: str) -> str:
    """`text` up to where a base model runs on to another question; the question itself, restated, stays."""
    for match in _NEW_QUESTION.finditer(text):
        if _another(text, match.start(), options, question):
            return text[: match.start()]
    return text


def _another(text: str, start: int, options: Sequence[str], question: str) -> bool:
    tail = text[start : start + 1500]
    listed = _FIRST_OPTION.search(tail)
    if listed and options and squeeze(options[0]):
        first, shown = squeeze(options[0]), squeeze(listed[1])
        if shown.startswith(first) or first.startswith(shown):
            return False
    asked, shown_question = squeeze(question), squeeze(tail[:300])
    if asked and (asked[:10] in shown_question or shown_question[:10] in asked):
        return False
    blank = re.search(r"\(\s*\)|_{2,}|\?|(?:下列|以下|关于).{2,60}(?:的是|的有|是|有|为|包括)", tail.partition("\n")[0])
    if listed and blank:
        return True
    return bool(text[:start].strip() and _EXPLICIT.match(tail))
