"""对 or 错: the verdict of a true-or-false answer (判断题), with every negation counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evals.extract.cues import clause_start, turns
from evals.extract.found import CONTRADICTION, EMPTY, HEDGE, TRUNCATED, UNREADABLE, Found
from evals.extract.normalise import FINAL_MARK, own_answer, plain, squeeze, strip_thought

RIGHT, WRONG = "对", "错"

# Positive and negative cores; each 不, 非, 没有 … before one turns it round.
_CORE = (
    r"(?P<core>正确|准确|无误|无错误?|有误|错误|谬误|属实|成立|符合(?:规定|事实|实际|要求)?|合理|妥当|恰当|对的|对|错的|错|真|假|"
    r"√|✓|✔|✅|☑|×|✗|✘|❌|✖|(?i:\b(?:true|correct|right|false|incorrect|wrong)\b))"
)
_NEGATIVE = re.compile(r"有误|错|谬误|假|×|✗|✘|❌|✖|(?i:false|incorrect|wrong)")
_NOT = r"(?P<not>(?:并不|并非|不是|没有什?么?|没什么|绝非|绝不|不完全|不太|不够|不尽|不能算|不能说是?|不属于|不能|不|非|没|未|无|(?i:not\s+)|(?:是|很|十分|非常|完全|基本|的)(?=不|没|正|对|错|准|无|有))*)"
_VERDICT = (
    rf"{_NOT}(?:任何|什么|存在|的|是|完全|基本|很|十分|非常|绝对|显然|明显|\s)*{_CORE}"
    r"(?:的?(?:说法|表述|观点|陈述|描述|判断|答案|命题|理解|认识)(?=[。.,;:!\n]|$)|的(?!说|表|观|陈|描|判|答|命|理|认)|之处|的地方)*"
)
_SUBJECT = (
    r"(?:答案|判断(?:结果)?|结论|结果|(?:这|此|该|本|上述|以上|题目|题干|原)?(?:一|个|种|条)?(?:说法|表述|陈述|描述|观点|命题|句话|判断|题干|题目|题|叙述|论述|理解|认识|论断|结论|话)|"
    r"(?i:(?:this|the)\s+(?:statement|claim|answer|sentence)|answer)|它|这)"
)
_LINK = r"(?:中|里|的?(?:内容|说法|表述)|答案|本身|总体|整体上?|因此|所以|就|应当?|应该|应为|判断?|选择?|存在|包含|为|是|(?i:is|was)|:|=|→|,|\s|[\"'“”‘’】\])(\[【])*"
_END = r"(?P<end>\s*[✅❌✓✗✔✘√×]?\s*[\"'”’)\]】}]*\s*(?=[。.,;:!?、\n—(]|$|因为|由于|\s(?:理由|解析|原因)))"
_FIRST = re.compile(
    rf"(?:^|\n\s*答\s*:)[\s\"'“‘(\[【{{]*(?:[✅❌✓✗✔✘]\s*(?=\w))?(?:\d{{1,3}}\s*[.、:)]\s*|答\s*:\s*)?{_VERDICT}{_END}"
)
_STATED = re.compile(
    rf"(?:^|[。;,\n!])\s*(?:(?:我|个人|本人)(?:认为|觉得|判断|想)(?:应该?)?(?:是|为)?|应该是|应当是|应为|应该|应是|实际上?是?){_VERDICT}{_END}"
)
_YES_NO = re.compile(
    r"^[\s\"'“‘(\[【{]*(?:(?:答案|判断|答)(?:是|为|:|\s)*)?(?P<word>是的?|否|不是的?|没错|不错|(?i:yes|no|y|n|t|f))[\"'”’)\]】}\s]*(?=[。.,;!\n]|$)"
)
_SAID = re.compile(rf"{_SUBJECT}{_LINK}{_VERDICT}{_END}")
_FINAL_SAID = re.compile(
    rf"(?:{FINAL_MARK}|最终(?:答案|判断|结论|结果)?|最后的?(?:答案|判断|结论)){_LINK}{_VERDICT}{_END}"
)
_CONCLUDED = re.compile(
    rf"(?:因此|所以|故|综上(?:所述)?|可见|可知|由此可[见知]|总之|应判断?为?|判断?为|(?i:therefore|so))(?:,|:|\s)*(?:应|该|此|选|答案|判断?|为|是|说法|:|,|\s)*{_VERDICT}{_END}"
)
_LAST_LINE = re.compile(rf"\n\s*{_VERDICT}(?P<end>\s*[。.!]*\s*$)")
_JSON = re.compile(
    r"[\"'](?:answer|答案|判断|result|label|结果|verdict|judgement|judgment)[\"']\s*:\s*[\"']?(?P<word>true|false|对|错|正确|错误|是|否|√|×|T|F|yes|no|A|B)\b",
    re.I,
)
_LETTER = re.compile(
    r"^[\s(\[【\"']*(?:(?:答案|选|故选|应选|正确答案)(?:是|为|:|\s)*)?[(\[【]?([A-B])[)\]】]?[\"'\s]*(?=[。.,、:;\n]|$|\s)(.{0,8})",
    re.I,
)
_LETTER_SAID = re.compile(r"(?:答案|选|(?i:answer))(?:选项|是|为|:|\s|(?i:is))*[(\[【\"']*([A-B])(?![A-Za-z0-9])")
_ALTERNATIVES = re.compile(
    r"(?:是)?(?:对|正确|√|(?i:true))(?:还是|或者?|/|、|与)(?:是)?(?:错误?|×|不正确|(?i:false))|对错|正误|正确与否|是否(?:正确|错误|成立|准确|属实)|对不对|正不正确|判断题|"
    r"对\(√\)|错\(×\)"
)
_HEDGED = re.compile(
    r"(?:不一定|未必|不见得|可能|也许|或许|大概|似乎|好像|应该是吧|部分|一半|某种程度|有时|视情况|既)[^。!?\n;,]{0,8}$"
)
_UNSURE = re.compile(
    r"(?:无法|难以|不能|没法)(?:准确)?(?:确定|判断|判定|确认|回答|作答|给出)|不(?:太)?确定|不知道|不清楚|信息不足|取决于|视情况|既(?:对|正确).{0,4}(?:又|也)(?:错|不)|"
    r"部分正确|一半对|对错参半|(?i:cannot|not sure|unable|depends)"
)
_SUPPOSED = re.compile(
    r"(?:如果|若|假如|要是|为什么|为何|(?<!我)认为|以为|看似|表面上?|乍看|初看|起初|一开始)[^。!?\n;,]{0,10}$"
)
_PART = re.compile(r"(?:前|后)(?:半|一|者|部|句|面)|第[一二三四]|其中|(?:A|B|C|D|①|②)(?:项|选项)?$|一部分|做法|部分")


@dataclass(frozen=True)
class _Verdict:
    start: int
    end: int
    value: str
    strength: int
    rule: str
    hedged: bool


def read_judgement(
    text: str, finish_reason: str = "stop", options: Sequence[str] = (), question: str = ""
) -> tuple[str | None, str]:
    """The verdict of `text`: 对, 错 or None, and the rule that read it or refused.

    Args:
        text: raw output of a model, reasoning included.
        finish_reason: `length` where the output was cut off: then only a final answer counts.
        options: the texts of options A and B where the verdicts were offered as options.
        question: the statement that was judged; restated, it is no verdict.
    """
    found = find_judgement(text, options, question).cut(finish_reason)
    return found.answer, found.rule


def find_judgement(text: str, options: Sequence[str] = (), question: str = "") -> Found:
    """As `read_judgement`, with what it says about a cut-off output left to the caller."""
    answer = strip_thought(text)
    if answer is None:
        return Found(None, TRUNCATED, final=True)
    body = _ALTERNATIVES.sub("", own_answer(plain(answer), options, question))
    if len(question) > 6:
        body = body.replace(plain(question), "")
    body = body.strip()
    if not body:
        return Found(None, EMPTY)
    by_letter = _by_letter(body, options)
    verdicts = sorted((*_verdicts(body), *by_letter), key=lambda verdict: (verdict.start, -verdict.strength))
    if not verdicts:
        return Found(None, HEDGE if _UNSURE.search(body) else UNREADABLE)
    current = verdicts[0]
    for later in verdicts[1:]:
        if later.value == current.value:
            if current.hedged or (later.strength > current.strength and not later.hedged):
                current = later
        elif later.strength > current.strength or turns(body[current.end : later.start]):
            current = later
        elif later.strength == current.strength or not later.hedged:
            return Found(None, CONTRADICTION)
    doubt = _UNSURE.search(body)
    if current.hedged or (doubt and (doubt.start() > current.start or current.strength < 2)):
        return Found(None, HEDGE)
    opens = current.start <= 1 or (current.start <= 12 and re.match(r"答案|判断|答", body[current.start :]))
    final = (opens or current.strength >= 2) and not re.search(
        r"等等|重新|更正|不对[,。]|再想|,但", body[current.end - 1 :]
    )
    return Found(current.value, current.rule, bool(final))


def _verdicts(text: str) -> list[_Verdict]:
    found = []
    for strength, rule, pattern in (
        (3, "final_verdict", _FINAL_SAID),
        (2, "concluded", _CONCLUDED),
        (1, "said", _SAID),
        (1, "first", _FIRST),
        (1, "stated", _STATED),
        (1, "last_line", _LAST_LINE),
    ):
        for match in pattern.finditer(text):
            before = text[clause_start(text, match.start()) : match.start("core")]
            if text[match.end("end") : match.end("end") + 1] == "?" or _SUPPOSED.search(before):
                continue
            if rule == "said" and _PART.search(text[clause_start(text, match.start()) : match.start()]):
                continue
            found.append(_made(match, strength, rule, text, before))
    yes = _YES_NO.match(text)
    if yes:
        word = yes["word"].lower()
        value = RIGHT if word in ("是", "是的", "没错", "不错", "yes", "y", "t") else WRONG
        found.append(_Verdict(yes.start("word"), yes.end(), value, 1, "yes_no", False))
    for match in _JSON.finditer(text):
        word = match["word"].lower()
        if word not in "ab":
            value = RIGHT if word in ("true", "对", "正确", "是", "√", "t", "yes") else WRONG
            found.append(_Verdict(match.start(), match.end(), value, 2, "json", False))
    return _outermost(found)


def _made(match: re.Match[str], strength: int, rule: str, text: str, before: str) -> _Verdict:
    negations = len(re.findall(r"不|非|没|未|无(?!误|错)|(?i:not)", match["not"]))
    core = match["core"]
    if core.startswith("无"):  # 无误, 无错误
        wrong = False
    else:
        wrong = bool(_NEGATIVE.search(core))
    value = WRONG if wrong != (negations % 2 == 1) else RIGHT
    hedged = bool(_HEDGED.search(text[max(0, match.start() - 6) : match.start("core")]) or _HEDGED.search(before))
    return _Verdict(match.start(), match.end("end"), value, strength, rule, hedged)


def _outermost(verdicts: list[_Verdict]) -> list[_Verdict]:
    """Of verdicts that end at one place, the strongest and longest."""
    best: dict[int, _Verdict] = {}
    for verdict in verdicts:
        other = best.get(verdict.end)
        if other is None or (verdict.strength, -verdict.start) > (other.strength, -other.start):
            best[verdict.end] = verdict
    return list(best.values())


def _by_letter(text: str, options: Sequence[str]) -> list[_Verdict]:
    """Letters, where the verdicts were offered as options A and B."""
    if len(options) != 2:
        return []
    values = [verdict_of(option) for option in options]
    if set(values) != {RIGHT, WRONG}:
        return []
    found = []
    first = _LETTER.match(text)
    for match in filter(None, (first, *_LETTER_SAID.finditer(text))):
        place = "AB".index(match[1].upper())
        found.append(_Verdict(match.start(1), match.end(1), str(values[place]), 1, "letter", False))
    return found


def verdict_of(option: str) -> str | None:
    """对 or 错 for a text that is one of the usual words for it, else None."""
    said = squeeze(option)
    if said in ("对", "正确", "√", "是", "true", "✓", "✔"):
        return RIGHT
    return WRONG if said in ("错", "错误", "×", "否", "不对", "不正确", "false", "✗", "✘") else None
