"""What the customer said, and what around a match makes it no case: denial, question, supposition, quotation."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from serving.handoff.signals.kinds import Kind
from serving.handoff.signals.spoken import plain

_NEAR = r"[^，。！？；、,.!?;]"
_QUOTED = re.compile(
    r"(?:说|讲|写|喊|骂|提到|看到|听到|所谓的?|叫做?)[:：,，]?[“\"「『][^”\"」』]*[”\"」』]|《[^》]*》"
)
_LINES = re.compile(r"(?<=[\u4e00-\u9fff])\s*\n+")
_FILLERS = re.compile(r"\s+|[嗯呃啊]+(?=[，,、我])")
# The prompts of tianjing.tasks hold agent turns and numbered clauses, and put the customer's words behind labels.
_RENDERED = re.compile(r"^\s*(?:坐席|\[\d+\])", re.MULTILINE)
_LABELLED = re.compile(r"^\s*(?:客户|客户问|客户咨询|客户说|问题)\s*[:：](.*)$", re.MULTILINE)

_SENTENCE: Final = re.compile(r"[^。！？!?]*[。！？!?]*")
# Longer runs without an end are read in pieces that overlap, so that the work grows with the text and no faster.
_MOST_CHARS: Final = 300
_OVERLAP_CHARS: Final = 60
_COMMA: Final = re.compile(r"[，。！？；、,.!?;]")

_COMPLAIN = r"(?:投诉|举报|曝光|维权|起诉)"
# Where the verb stands inside a match, for what is asked or denied of it.
_VERB = re.compile(
    rf"{_COMPLAIN}|报警|律师|告|12378|银保监|监管|金监局|消保委|消协|信访|人民银行|人行|12315|人工|真人|活人|法律|仲裁|经理|主管|领导"
)
# A denial right before the word takes it back: 我不想投诉, 没说要投诉. 不得不投诉 denies nothing.
_DENIAL = re.compile(
    r"(?<!得)(?:不是|不会|不想|不用|不必|不需要|无需|不打算|没打算|没想|没有想|没要|没有要|没说|没有说|并非|并不|又不|不至于|没准备|不准备|先不|不要|别|懒得)"
    rf"(?:要|想|去|来|再|向|找|转|接|是|{_NEAR}?我)?{_NEAR}{{0,2}}$"
)
# 没失业, 没有住院: denies a state that has come about.
_NOT_SO = re.compile(r"(?:没|没有|不是|并非|又没|并没有|未|不算|不存在|还没|谁说我?)(?:有|被|因为|因|去|再|真的)?$")
# Asking how it works is no complaint: 投诉电话是多少, 怎么投诉, 投诉多久处理.
_HOW = re.compile(
    rf"(?:怎么|如何|怎样|哪里|在哪|向谁|什么是|哪个部门){_NEAR}{{0,4}}{_COMPLAIN}"
    rf"|代(?:我|人|为|本人)?{_COMPLAIN}|(?:帮|替)我{_COMPLAIN}[，,](?:拿|要|需|带)|{_COMPLAIN}(?:的)?(?:电话|渠道|热线|流程|方式|途径|处理|管理|办法|制度|中心|部门|要?多久|几天|时限|需要|之后|以后|后|有用吗|的话会)"
)
_OWN_CASE = re.compile(rf"(?:我的|我上次|我之前|我昨天|上次|之前|昨天|已经)(?:的)?{_NEAR}{{0,4}}{_COMPLAIN}")
# The company's doing, asked about: 你们会起诉我吗, 逾期会报警吗.
_COMPANYS_STEP = re.compile(
    rf"(?:你们|会不会|会|是否|什么时候|多久|可能|要|就){_NEAR}{{0,4}}(?:起诉|报警|报案|走法律|律师|告|打官司|上法庭|诉讼|仲裁){_NEAR}{{0,8}}(?:吗|么|呢|嘛|不)?[?？]?$"
)
# 你们起诉, 会被起诉: not the customer's step.
_THEY_SUE = re.compile(rf"(?:你们?|贵司|公司|银行|平台|他们|被|会|法院){_NEAR}{{0,5}}$")
_ASKS = re.compile(
    r"(?:吗|么|嘛|呢|[?？]|怎么办|怎么处理|多少|多久|哪些|什么)[啊呀]?[。！!]?$|是否|会不会|能不能|可不可以|是不是"
)
_SUPPOSED = re.compile(r"如果|要是|假如|假设|假使|万一|倘若|若是|若(?=我|因)|比如|例如|一旦")
# A doubt, not a report: 这不是我借的吗.
_RHETORICAL = re.compile(rf"(?:不是|没){_NEAR}{{0,10}}吗")
# What the company or the law would do, asked about: 会通知我的紧急联系人吗.
_WOULD = re.compile(rf"会不会|是否|能不能|可不可以|(?:会|可能|要不要|可以|能|需要){_NEAR}{{0,10}}$")
# 投诉热线晚上有真人吗: when the desk is open, not: now.
_HOURS = re.compile(r"热线|几点|(?:服务|上班|工作|营业)时间|点(?:还|有|钟)")
_INDIGNANT = re.compile(r"凭什么|为什么|为啥|干嘛|怎么(?!办|样|处理|操作)")
_PROCEDURE = re.compile(
    r"流程|步骤|(?:怎么|如何|怎样|在哪里?|哪里)(?:才能|可以|能)?(?:申请|提出?|办理?|防止|防|避免|处理)"
)
# 失业后, 失业的人, 去世的话: a case put, not a case told.
_PUT = re.compile(r"(?:了)?(?:后|之后|以后|的话|的人|人员|人群|的?客户|期间)")
_SELF = re.compile(r"我|俺|咱|家里|家中|老公|老婆|爸|妈|孩子|儿子|女儿|父|母")
_CAME_ABOUT = re.compile(r"了|着|刚|已经|正|现在|最近|目前|今年|去年|上个?月|一直|突然|实在|确实|真的")
_OTHERS = re.compile(rf"(?:朋友|同事|同学|邻居|别人|人家|网友|听说|新闻|有的人|有些人|有客户){_NEAR}{{0,8}}$")
_IS_IT_A_SCAM = re.compile(
    r"(?:是不是|是否|该不会|不会)(?:是)?(?:在)?(?:诈骗|骗)|(?:怎么|如何|怎样)(?:才能)?(?:防|避免|预防|识别|分辨)"
)
_SUPPOSABLE: Final[frozenset[Kind]] = frozenset({"hardship", "fraud", "dispute", "third_party"})
_DENIABLE: Final[frozenset[Kind]] = frozenset({"lawyer", "complaint", "human_wanted", "fraud"})
_STATES: Final[frozenset[Kind]] = frozenset({"hardship", "dispute", "fraud"})


def customer_words(text: str) -> str:
    """What the customer said: the last labelled line of a task's prompt, else the whole text; quotations cut out.

    Full-width forms, traditional characters and dialect words are folded, white space is gone, and a new line after a
    Han character ends a sentence.
    """
    folded = plain(unicodedata.normalize("NFKC", text))
    labelled = _LABELLED.findall(folded) if _RENDERED.search(folded) else []
    words = labelled[-1] if labelled else folded
    return _QUOTED.sub("", _FILLERS.sub("", _LINES.sub("。", words)))


def sentences(words: str) -> Iterator[str]:
    """The sentences with what ends them."""
    for sentence in _SENTENCE.findall(words):
        for start in range(0, max(1, len(sentence) - _OVERLAP_CHARS), _MOST_CHARS - _OVERLAP_CHARS):
            yield sentence[start : start + _MOST_CHARS]


def taken_back(kind: Kind, sentence: str, match: re.Match[str]) -> bool:
    """Whether the words around the match make it no case. Self-harm stands whatever the grammar says."""
    if kind in ("self_harm", "repeated_failure"):
        return False
    before = sentence[: match.start()]
    if kind in _SUPPOSABLE and _SUPPOSED.search(before):
        return True
    if kind in _STATES and _NOT_SO.search(before):
        return True
    if kind in _DENIABLE and _denied(sentence, match):
        return True
    return _asked(kind, sentence, match)


def _denied(sentence: str, match: re.Match[str]) -> bool:
    verb = _VERB.search(sentence, match.start(), match.end())
    return bool(_DENIAL.search(sentence[: verb.start() if verb else match.start()]))


def _asked(kind: Kind, sentence: str, match: re.Match[str]) -> bool:
    """Whether it is a question about the rules, about what the company does, or about other people."""
    if kind in ("complaint", "lawyer"):
        verb = _VERB.search(sentence, match.start(), match.end())
        start = verb.start() if verb else match.start()
        how = any(q.start() <= start < q.end() for q in _HOW.finditer(sentence))
        return (how and not _OWN_CASE.search(sentence)) or (kind == "lawyer" and _theirs(sentence, match))
    before = sentence[: match.start()]
    if kind == "third_party":
        would = _WOULD.search(before) or _WOULD.search(before + match[0][:1])
        return bool(would and _ASKS.search(sentence) and not _INDIGNANT.search(sentence))
    if kind == "human_wanted":
        return bool(_HOURS.search(sentence) and _ASKS.search(sentence))
    if kind in ("fraud", "dispute"):
        doubted = any(q.start() <= match.start() and match.end() <= q.end() for q in _RHETORICAL.finditer(sentence))
        asked = _PROCEDURE.search(sentence) and not _SELF.search(sentence)
        if kind == "dispute":
            return doubted or bool(asked)
        return doubted or bool(asked or _IS_IT_A_SCAM.search(sentence)) or _put_in_general(sentence, match)
    if kind == "hardship":
        return _put_in_general(sentence, match) or bool(_OTHERS.search(before))
    return False


def _theirs(sentence: str, match: re.Match[str]) -> bool:
    """Whether it is the company, or nobody in particular, that goes to law."""
    if _ASKS.search(sentence) and (_COMPANYS_STEP.search(sentence) or not _SELF.search(sentence)):
        return True
    return match[0].startswith("起诉") and bool(_THEY_SUE.search(sentence[: match.start()]))


def _put_in_general(sentence: str, match: re.Match[str]) -> bool:
    """Whether it is a question about such cases, and nothing says that this is one."""
    if _SELF.search(sentence) or not _ASKS.search(sentence):
        return False
    return bool(_PUT.match(sentence, match.end())) or not _CAME_ABOUT.search(_clause(sentence, match))


def _clause(sentence: str, match: re.Match[str]) -> str:
    start = max((found.end() for found in _COMMA.finditer(sentence, 0, match.start())), default=0)
    after = _COMMA.search(sentence, match.end())
    return sentence[start : after.start() if after else len(sentence)]
