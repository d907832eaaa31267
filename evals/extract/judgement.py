"""对 or 错: the verdict of a true-or-false answer (判断题), with every negation counted.

An output is read clause by clause. A clause is a verdict when nothing stands in it but words that lead to one (该说法,
因此, 我认为, 答案是 …) and the verdict itself, so that 正确的做法是…, 过错 or 对于… are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.extract.cues import turns
from evals.extract.found import CONTRADICTION, EMPTY, HEDGE, MISMATCH, TRUNCATED, UNREADABLE, Found
from evals.extract.normalise import FINAL_MARK, plain, squeeze, strip_thought
from evals.extract.runon import own_answer, statement

RIGHT, WRONG = "对", "错"

_WRONG_CORE = (
    r"有误|错误|谬误|有错|不当|不妥|欠妥|不符|不实|错的|错|假命题|假|"
    r"叉号?|错号|×|✗|✘|❌|✖|❎|(?i:false|incorrect|wrong|untrue)|F(?![a-z])"
)
_RIGHT_CORE = (
    r"准确无误|正确无误|正确|准确|无误|属实|成立|符合(?:相关|有关)?(?:规定|事实|实际|要求|"
    r"法规|题意)?|合理|妥当|恰当|真实|对的|对|真命题|真|"
    r"对?[勾钩]号?|对号|√|✓|✔|✅|☑|(?i:true|correct|right)|T(?![a-z])"
)
_CORE = rf"(?:(?P<wrong>{_WRONG_CORE})|(?P<right>{_RIGHT_CORE}))"
# Each turns the core round; 没有错, 并不正确, 并非不正确.
_NEGATION = (
    r"并没有|并没|"
    r"并不|并非|不是|没有什么?|没什么|没有任何|没有|绝非|绝不|不能说是?|"
    r"不能算是?|不能认为|不存在|不算|不属于|毫无|不能|并无|不|非|没|"
    r"未|无|(?i:not)"
)
_NOT = rf"(?P<not>(?:(?:{_NEGATION})(?:任何|什么|是|的|存在|很|太|够|尽|能|\s)*)*)"
_TAIL = (
    r"(?:的|之处|的地方|说法|表述|观点|陈述|描述|判断|命题|理解|认识|叙述|选项)*"
    r"(?:亲|嗯|啊|呀|啦|哦|噢|呢|了|吧|哈|滴|咯|[~^_]|\s)*"
)
_ICON = r"[✅❌✓✗✔✘√×☑\U0001F300-\U0001FAFF]"
_LEAD = (
    r"先说|再说|勾选|给|打个?|画个?|即|括号[内中里]|横线[上处]|的确|一般(?:情况下|来说|而言)?|"
    r"通常|严格(?:来说|地说|地讲)|从[^。;,\n]{2,10}(?:来看|"
    r"上看|角度看|来说)|请|是非|正误|真伪|说[的得]|"
    rf"[(\[【]\s*{_ICON}\s*[)\]】]|"
    r"因此|因而|所以|故而?|综上(?:所述)?|由此(?:可见|可知|看来)?|可见|"
    r"可知|总之|总的来说|整体(?:上|来看)?|根据(?:以上|上述)分析|据此|"
    r"显然|明显|很明显|"
    r"肯定|当然|绝对|完全|基本上?|确实|毫无疑问|实际上?|事实上|其实|但是?|然而|不过|而|于是|就|都|也|则|"
    r"最终|最后|正确|参考|标准|我们?|个人|本人|认为|觉得|判断题?|判定|判|"
    r"应该?|应当|需|可以|可|能|选择|选|填|回答|作答|答案|结果|结论|评价|"
    r"正确性|是否正确|"
    r"对错(?:判断)?|选项|输出|答|解析|解|回复|这里?|该|此|本|上述|以上|题目|题干|"
    r"(?:应该?|需)?(?:改为|改成|改判为?|修改为|更正为?|修正为?|纠正为?)|(?:重新|再次?|经)?(?:考虑|判断|检查|思考|复核|核对)[之以]?后|"
    r"题|项|上面|前面|前述|所述|经|会|将|原|句子?|话|一|个|种|条|道|说法|表述|陈述|描述|观点|命题|判断|"
    r"叙述|论述|理解|"
    r"认识|论断|做法|它|中|里|内容|本身|存在|包含|有|为|乃|是|的|属于|与|和|跟|事实|实际|情况|规定|"
    r"(?i:the|this|that|it|statement|claim|sentence|answer|judge?ment|verdict|conclusion|assessment|evaluation|is|was|'s|'d|"
    r"therefore|so|final|my|given|i|we|think|believe|say|would|:)|"
    r"[\"'“”‘’《》〈〉【】「」『』\[\](){}<>:=→\-\s•]|\d{1,3}\s*[.、)]|[一二三四五六七八九十]{1,2}\s*[.、)]|\d{1,3}\s+(?=\S{1,3}$)|题号|序号|"
    + FINAL_MARK
)
_ADVERB = r"(?:完全|基本|十分|非常|绝对|显然|明显|很|是|的|\s)*"
_FORM = re.compile(
    rf"(?P<lead>(?:{_ICON}\s*)*(?:{_LEAD})*?){_NOT}(?P<adverb>{_ADVERB}){_CORE}{_TAIL}(?:{_ICON}"
    rf"|选项|[\"'“”‘’》】\]) ])*"
)
_ONLY_LEAD = re.compile(rf"(?:哦|啊|噢|呃|嗯)?不对?|不可以|不能|不行|不会|错了|(?:{_LEAD})+")
_BREAK = re.compile(
    r"[。!?\n;,—]|(?<=[哦啊呢亲哈呀啦])\s*~+|(?<=\S)(?=[【\[](?:试题|答案|题目)?(?:解析|分析|详解|理由|说明|依据|点评|考点|知识点))|\.{2,}|(?<!\d)\.(?=\s|$)"
)
_YES_NO = re.compile(
    r"[\s\"'“‘(\[【{]*(?:(?:答案|判断|答|是否正确)(?:是|为|:|\s)*)?(?P<word>是的?|不|"
    r"否|不是的?|没错|不错|(?i:yes|no)|[yYnN])[\"'”’)\]】}\s]*"
)
_KEYS = (
    "answer|答案|判断|result|label|label_name|结果|verdict|judge?ment|judge|"
    "is_correct|is_true|correct|正确|pred|prediction"
)
_WORDS = "true|false|对|错|正确|错误|是|否|√|×|T|F|yes|no"
_JSON = re.compile(
    rf"[\"'](?:{_KEYS})[\"']\s*:\s*[\"']?(?P<word>{_WORDS})(?=[\"'\s,}}]|$)|"
    rf"^\s*(?:verdict|judge?ment|label|result|pred|is_true|is_correct)\s*[:=]\s*[\"']?(?P<bare>{_WORDS})[\"']?\s*,?\s*$|"
    r"\breturn\s+(?P<returned>true|false)\s*;?\s*$",
    re.I | re.M,
)
# 定稿：正确, 答案：否 on the last line.
_LAST_LINE = re.compile(
    r"(?:^|\n)\s*[【\[]?(?:定稿|终审|终稿|最终|(?:我的)?判断|[^\n。:]{0,12}为准|(?:运行)?输出|结论|最终答案|答案|判定)[】\]]?\s*:\s*"
    r"[\"“「]?(?P<word>是|否|对|错|正确|错误|不正确|[NY√×✓✗✔✘])[\"”」]?\s*[。.!]?\s*$"
)
# Read only where no clause is a verdict of its own.
_ABOUT = r"(?:说法|表述|题干|题述|观点|做法|该项|这句话|此说)(?:所述)?[^。;,\n]{0,4}"
_PHRASES: tuple[tuple[str, str], ...] = (
    (RIGHT, rf"(?:这个?|该|此|本){_ABOUT}没(?:有)?(?:什么|任何)?(?:问题|毛病)"),
    (RIGHT, rf"{_ABOUT}与[^。;,\n]{{1,18}}(?:一致|相符|吻合)(?=[。!\n]|$)"),
    (RIGHT, rf"{_ABOUT}符合《[^》]+》[^。;,\n不]{{0,8}}(?=[。!\n]|$)"),
    (WRONG, rf"{_ABOUT}(?:站不住脚|不成立|与[^。;,\n]{{1,18}}(?:不符|不一致|相悖|矛盾|相抵触))"),
    (RIGHT, r"(?:判断?(?:为|定为?)?|更正为|改为|算)[\s:]*[「“\"]?(?:对|正确|√|✔|✓|Y)(?:[」”\"。,!(\s]|$)"),
    (
        WRONG,
        r"(?:判断?(?:为|定为?)?|更正为|改为|算|按)[\s:]*[「“\"]?(?:错误?|×|✘|✗|N)(?:处理|算|论)?(?:[」”\"。,!(\s]|$)",
    ),
    (RIGHT, r"(?:^|[。;,:\n])\s*(?:选)?[AB]\s*\(\s*(?:正确|对|√)\s*\)"),
    (WRONG, r"(?:^|[。;,:\n])\s*(?:选)?[AB]\s*\(\s*(?:错误?|×)\s*\)"),
    (RIGHT, r"(?:题述|全题|此说|题干|本题)(?:是|为|完全)?(?:正确|对)的?(?=[。,;!\n]|$)"),
    (WRONG, r"(?:题述|全题|此说|题干|本题)(?:是|为|完全)?(?:错误?|不正确|不对)的?(?=[。,;!\n]|$)"),
    (WRONG, r"(?:故|选|为)\s*:?\s*N\s*[。.]?\s*$"),
    (WRONG, r"(?:^|[。!?\n])\s*(?:(?:假的)+|违规|严禁[^。!?\n]{0,16})[!。]"),
    (WRONG, r"[。;,][^。;,不]{0,8}(?:不合规|违规|不合法|违法)[。!]?\s*$"),
    (WRONG, r"错误的(?:正|恰恰)?是这[个种]?(?:说法|表述|句话)"),
    (RIGHT, r"(?:^|[。;,])\s*没错[!。]?\s*$"),
)
_LETTER = re.compile(
    r"[\x01\s(\[【\"'{]*(?:(?:故|应|我)?(?:正确)?(?:答案|选择?|选项)(?:是|为|"
    r":|\s)*)?[(\[【]?([A-B])[)\]】]?\s*(?=[.、:(,\n]|$|\s)[.、:(,]?\s*([^\s。,;)\n]{0,8})"
)
_LETTER_SAID = re.compile(
    r"(?:答案|选择?|(?i:answer))(?:选项|是|为|:|\s|\"|'|(?i:is))*[(\[【\"']*([A-B])(?![A-Za-z0-9"
    r"])[.、)\]】\"']*\s*([^\s。,;)(\n]{0,8})"
)
# 正确的打√，错误的打×: how to answer, not an answer.
_PUT = r"(?:则|请|就|应)*(?:打|填|写|选|画|划|标|用|涂|答|回答|回复)(?:写|上|入|作|为)?"
_ALTERNATIVES = re.compile(
    r"(?:是)?(?:对|正确|√|(?i:true))[\"”’]?(?:还是|或者?|/|、|与)[\"“‘]?(?:是)?(?:错误?|"
    r"×|不正确|(?i:false))|(?<!对)对错(?!判断)|正误|正确与否|是否(?:错误|"
    r"成立|准确|属实)|"
    r"是否正确(?!\s*:)|(?i:true\s*(?:or|/|,)\s*false)\??|"
    rf"(?:正确|对|(?i:true))的{_PUT}[\"“‘(]?(?:√|正确|对勾?|勾|A|T|(?i:true))[\"”’)]?|"
    rf"(?:错误?|不正确|不对|(?i:false))的{_PUT}[\"“‘(]?(?:×|错误?|叉|B|F|(?i:false))[\"”’)]?|"
    rf"(?:正确|对|(?i:true)){_PUT}[\"“‘(]?(?:√|正确|对勾?|勾|A|T|(?i:true))[\"”’)]?[,;。、\s]*(?:错误?|不正确|不对|(?i:false))"
    rf"{_PUT}[\"“‘(]?(?:×|错误?|叉|B|F|(?i:false))[\"”’)]?|"
    r"对不对|正不正确|(?:正确|对)\s*[(:]?\s*√\s*\)?[、,/;\s]*(?:错误?|不正确)\s*[(:]?\s*×\)?|(?:正确|错误|对|错|√|×)\s*\(\s*\)"
)
_HEDGED = re.compile(r"不一定|未必|不见得|可能|也许|或许|大概|似乎|好像|部分|一半|某种程度|有时|视情况|既")
_UNSURE = re.compile(
    r"(?:无法|难以|不能|没法)(?:准确)?(?:确定|判断|判定|确认|回答|作答|"
    r"给出)|不(?:太)?确定|(?<!谁也)(?<!谁都)不知道|不清楚|信息不足|取决于|视情况|"
    r"[说拿]不准|也(?:可以|能)[说算](?:是)?(?:正确|错|对)|无法决定|难以决定|决定不了|两种答案|都说得通|都有道理|见仁见智|"
    r"既(?:对|正确|不).{0,6}(?:又|也)(?:错|不)|部分正确|一半对|对错参半|(?i:cannot|not sure|unable|depends)"
)
_CONNECTIVE = re.compile(
    r"因此|因而|所以|故|综上|由此|可见|可知|总之|据此|答案|结论|判断|"
    r"判定|(?i:therefore|so|answer)"
)
_FINAL = re.compile(rf"最终|最后|总体|{FINAL_MARK}|(?i:final)")
_TWO = re.compile(r"([^,、/\s]+)\s*[,、/\s]\s*([^,、/\s。]+)[。.]?")
_ECHO = re.compile(
    r"(?:选项)?A\s*[.、:)]\s*(?:正确|对)\s*[;,。\n ]*(?:选项)?B\s*[.、:)]\s*(?:错误|错)\s*[;,。\n]*|"
    r"(?:选项)?A\s*[.、:)]\s*(?:错误|错)\s*[;,。\n ]*(?:选项)?B\s*[.、:)]\s*(?:正确|对)\s*[;,。\n]*"
)
_QUOTED = re.compile(
    r"[“\"「『](?:[^“”\"」』\n]{5,120}|(?![^”\"」』\n]*(?:[对错真假是否√×]|正确|属实|成立))[^“”\"」』\n]{2,4})[”\"」』]"
)
_REPORTED = re.compile(
    r"(?:有些?|一些|部分|许多|很多)(?:人|说法|观点|学者|同学|考生)(?:会|则|就|也)?(?:认为|觉得|以为|误以为|说)"
)
_TOPIC = re.compile(
    r"(?:该|这|此|本|上述|以上|题)[一-鿿]{0,3}?(?:说法|句话|表述|观点|命题|题|判断|结论|陈述|话|描述|题干)"
)
_VERDICT_ALONE = re.compile(rf"\s*(?:正确|错误?|不正确|不对)(?:的|哦|啊|\s|{_ICON})*")
_LOOP = re.compile(r"(?:(?:正确|[对√])\W{0,8}(?:错误?|×)\W{0,8}){2,}|若[^。;,]{0,16},[对错]\W+若[^。;,]{0,16},[对错]")
_ASKED = re.compile("是不是|是否|对不对|对吗|正确吗")
_CUT = re.compile(r"[:(/]|\s+")
_OF_A_NOUN = re.compile(
    r"\s+(?i:answer|option|choice|judge?ment|verdict|statement|approach|way)\b"
)  # the correct way is…


_COMPILED = tuple((value, re.compile(pattern)) for value, pattern in _PHRASES)


@dataclass(frozen=True)
class _Verdict:
    start: int
    core: int
    """Where the word of the verdict begins."""
    end: int
    value: str
    strength: int
    rule: str
    hedged: bool = False


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
    asked = plain(question)
    body = _ALTERNATIVES.sub("", own_answer(plain(answer), options, asked, judged=True))
    if len(question) > 6:
        body = body.replace(asked, "").replace(statement(asked), "")
    if "☑" in body and "☐" in body:  # ticked boxes: what is not ticked is not said
        body = re.sub(r"☐\s*(?:不?正确|错误?|不?对|是|否)?", "", body).replace("☑", "")
    body = _ECHO.sub("", body).strip() if options else body.strip()
    if not body:
        return Found(None, EMPTY)
    if _LOOP.search(body):
        return Found(None, CONTRADICTION)
    if re.fullmatch(r"([^/\n]{1,8})\s*/\s*不\1[。]?", body):
        return Found(None, CONTRADICTION)
    two = _TWO.fullmatch(re.sub(r"^(?:(?:最终|正确)?答案|判断|结论)\s*[:是为]\s*", "", body))
    if two and {verdict_of(two[1]), verdict_of(two[2])} == {RIGHT, WRONG}:
        return Found(None, CONTRADICTION)
    if re.fullmatch(r"(?:正确|对)[×✗✘❌]|(?:错误?)[√✓✔✅]|[√✓✔✅]错误?|[×✗✘❌](?:正确|对)", body.rstrip("。")):
        return Found(None, CONTRADICTION)
    if re.fullmatch(r"[√×✓✗✔✘✅❌\s]+", body) and re.search("[√✓✔✅]", body) and re.search("[×✗✘❌]", body):
        return Found(None, CONTRADICTION)
    by_letter = list(_by_letter(body, options))
    if any(verdict.value == MISMATCH for verdict in by_letter):
        return Found(None, MISMATCH)
    verdicts = sorted((*_verdicts(body), *by_letter), key=lambda verdict: (verdict.start, -verdict.strength))
    if not verdicts:
        return Found(None, HEDGE) if _UNSURE.search(body) else _by_phrase(body)
    return _decided(body, [*verdicts, *_on_last_line(body)])


def _on_last_line(body: str) -> Iterator[_Verdict]:
    last = _LAST_LINE.search(body)
    if last:
        value = RIGHT if last["word"] in "是对正确Y√✓✔" else WRONG
        yield _Verdict(last.start("word"), last.start("word"), last.end(), value, 3, "final_verdict")


def _by_phrase(body: str) -> Found:
    """What is said of the statement in other words than a verdict's, where all of it says the same."""
    for last in _on_last_line(body):
        return Found(last.value, last.rule, True)
    found = sorted((match.end(), value) for value, pattern in _COMPILED if (match := pattern.search(body)))
    if len({value for _, value in found}) == 1 or (found and re.search("更正|改判|改为", body)):
        return Found(found[-1][1], "said")
    return Found(None, UNREADABLE)


def verdict_of(option: str) -> str | None:
    """对 or 错 for a text that is one of the usual words for it, else None."""
    said = squeeze(option)
    if said in ("对", "正确", "√", "是", "true", "✓", "✔", "t", "对的"):
        return RIGHT
    return WRONG if said in ("错", "错误", "×", "否", "不对", "不正确", "false", "✗", "✘", "f", "错的") else None


def _decided(body: str, verdicts: Sequence[_Verdict]) -> Found:
    current = verdicts[0]
    for later in verdicts[1:]:
        if later.value == current.value:
            if current.hedged or (later.strength > current.strength and not later.hedged):
                current = later
        elif later.strength > current.strength or turns(body[max(0, current.end - 1) : later.end]):
            current = later
        elif later.strength == current.strength or not later.hedged:
            return Found(None, CONTRADICTION)
    doubt = _UNSURE.search(body)
    if current.hedged or (doubt and (doubt.start() > current.start or current.strength < 2)):
        return Found(None, HEDGE)
    taken_back = re.search(r"等等|重新|更正|不对[,。]|再想|,但", body[max(0, current.end - 1) :])
    return Found(current.value, current.rule, current.strength >= 2 and not taken_back)


def _verdicts(text: str) -> Iterator[_Verdict]:
    for match in _JSON.finditer(text):
        word = match["word"] or match["bare"] or match["returned"]
        value = RIGHT if word.lower() in ("true", "对", "正确", "是", "√", "t", "yes") else WRONG
        yield _Verdict(match.start(), match.start(), match.end(), value, 2, "json")
    if "{" not in text:  # what is quoted is talked about; its marks break no clause
        text = _QUOTED.sub(lambda quoted: "题" * len(quoted[0]), text)
    clauses = list(_clauses(text))
    for place, (start, said) in enumerate(clauses):
        if text[start + len(said) : start + len(said) + 1] == "?" or _REPORTED.search(said):
            continue
        first, last = place == 0, place == len(clauses) - 1
        asked = place == 1 and text[start - 1] == "?" and _ASKED.search(clauses[0][1])
        words = _YES_NO.fullmatch(said) if first or asked else None
        if words:
            value = RIGHT if words["word"].lower() in ("是", "是的", "没错", "不错", "yes", "y") else WRONG
            yield _Verdict(start, start, start + len(said), value, 2, "yes_no")
            continue
        form = _FORM.fullmatch(said)
        if form is None and (first or last or place == 1):
            form = _opening(said)
        if form is None:
            continue
        bare = not form["lead"].strip(" \"'“”‘’《》【】[](){}<>:")
        said_before = clauses[place - 1][1].strip() if place else ""
        if said.lstrip().startswith("则") and re.match("如果|若|假如|要是", said_before):
            continue
        led = _ONLY_LEAD.fullmatch(said_before) or (said.lstrip().startswith("是") and _TOPIC.match(said_before))
        ends = last and (len(clauses) <= 2 or (text[start - 1] == "," and _VERDICT_ALONE.fullmatch(said)))
        if bare and not led and not (first or ends or text[start - 1] in "\n。?"):
            continue
        yield _made(form, start, first, said)


def _clauses(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for mark in (*_BREAK.finditer(text), None):
        end = mark.start() if mark else len(text)
        if text[start:end].strip():
            yield start, text[start:end]
        start = mark.end() if mark else end


def _opening(said: str) -> re.Match[str] | None:
    """错误：因为…, 错误（…）, 对 因为…: a verdict with something behind a mark."""
    for cut in _CUT.finditer(said):
        if _OF_A_NOUN.match(said, cut.start()):
            continue
        form = _FORM.fullmatch(said, 0, cut.start())
        if form is not None and said[: cut.start()].strip():
            return form
    return None


def _made(form: re.Match[str], offset: int, first: bool, said: str) -> _Verdict:
    negations = len(re.findall(_NEGATION, form["not"]))
    wrong = form["wrong"] is not None
    value = WRONG if wrong != (negations % 2 == 1) else RIGHT
    # 不能说完全错误 leaves open how much of it is right.
    partly = wrong and negations > 0 and "完全" in form["not"] + form["adverb"]
    strength = 3 if _FINAL.search(form["lead"]) else 2 if first or _CONNECTIVE.search(form["lead"]) else 1
    rule = {3: "final_verdict", 2: "verdict", 1: "said"}[strength]
    core = offset + (form.start("wrong") if wrong else form.start("right"))
    return _Verdict(offset, core, offset + form.end(), value, strength, rule, partly or bool(_HEDGED.search(said)))


def _by_letter(text: str, options: Sequence[str]) -> Iterator[_Verdict]:
    """Letters, where the verdicts were offered as options A and B; one with the other's word is a mismatch."""
    values = [verdict_of(option) for option in options]
    if len(values) != 2 or set(values) != {RIGHT, WRONG}:
        return
    if text.lower() in ("a", "b"):
        text = text.upper()
    first = _LETTER.match(text)
    for match in (first, *_LETTER_SAID.finditer(text)):
        if match is None:
            continue
        value = str(values["AB".index(match[1])])
        behind = verdict_of(match[2])
        clash = behind is not None and behind != value
        yield _Verdict(match.start(1), match.start(1), match.end(), MISMATCH if clash else value, 2, "letter")
