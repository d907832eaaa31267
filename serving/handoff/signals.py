"""When a person must take over: read from the customer's own last words, without any I/O.

Complaints, self-harm, third parties and fraud are answered by people, not by a model. A wrong hand-off costs a
call, a missed one can cost far more; so what is doubtful goes to a person, but what is clearly no such case (a
question about the rules, a denial, a quotation) does not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["self_harm", "fraud", "third_party", "complaint"]


@dataclass(frozen=True)
class Signal:
    """Why a person must take over; `words` is what was said."""

    kind: Kind
    words: str


_NEAR = r"[^，。！？；,.!?;]"  # a character of the same clause
_KIN = (
    r"(?:家人|家里人?|家属|父母|爸妈?|妈妈?|爸爸|母亲|父亲|老婆|老公|妻子|丈夫|爱人|媳妇|孩子|儿子|女儿|亲戚|亲友|朋友"
    r"|同事|领导|老板|单位|公司)"
)
_COMPLAIN = r"(?:投诉|举报|起诉|曝光)"
_AUTHORITY = r"(?:12378|银保监|监管局|金融监管|金监局|消保委|消协|信访|工信部|人民银行|人行)"

# Most urgent first.
_PATTERNS: dict[Kind, tuple[str, ...]] = {
    "self_harm": (
        r"不想活|活不下去|没法活|活着没(?:有)?(?:什么)?(?:意思|意义)|自杀|轻生|寻死|一死了之|死了算了|去死",
        r"(?:了结|结束)(?:自己)?(?:的)?(?:生命|一生)|跳楼(?!价|甩卖|大甩卖|促销)|跳河|跳桥|割腕|上吊|喝农药",
    ),
    "fraud": (
        r"冒用|盗用|冒名|诈骗|被(?:人)?骗|被盗",
        rf"(?:不是|并非)我(?:本人|自己)?(?:申请|办|借|贷|操作)|(?:没|没有|从来没|从没)(?:在你们{_NEAR}{{0,4}})?(?:借|贷|申请|办理)过",
        r"(?:别人|有人|他人)(?:拿|用|冒)(?:了)?我的?(?:身份|名义|信息|名字)|身份(?:证|信息)(?:被|丢|泄露)",
    ),
    "third_party": (
        r"(?:不是|并非)(?:他|她|机主|客户|借款人)?(?:本人|机主)|打错(?:电话)?了|不认识(?:他|她|这个人|这人|借款人)",
        rf"我是(?:他|她)的?{_KIN}|(?:给|打|找|联系|骚扰)(?:到|了)?我的?{_KIN}",
        rf"(?:别|不要|不许|不准|不能|停止|凭什么|为什么|干嘛|还)(?:再|老|总|一直)*(?:给|打|找|联系|骚扰){_NEAR}{{0,6}}{_KIN}",
    ),
    "complaint": (
        rf"{_COMPLAIN}(?:你|到底|了|定)|^我?{_COMPLAIN}|(?:要|想|去|会|就|得|来|马上|已经|准备|打算|必须|只能|只好){_NEAR}{{0,8}}?{_COMPLAIN}",
        rf"(?:找|向|去|给|到|打|跟){_NEAR}{{0,3}}{_AUTHORITY}|告(?:你们|上法院|到法院)|法[院庭]见",
        rf"(?:我|找|请|咨询|委托|问){_NEAR}{{0,4}}律师(?!函)|律师(?:会|来|跟)",
    ),
}
_COMPILED = {kind: tuple(re.compile(pattern) for pattern in patterns) for kind, patterns in _PATTERNS.items()}

# A denial right before the word takes it back: 我不想投诉, 没说要投诉. 不得不投诉 denies nothing.
_VERB = re.compile(rf"{_COMPLAIN}|律师|告|{_AUTHORITY}")
_DENIAL = re.compile(
    rf"(?<!得)(?:不是|不会|不想|不用|不打算|没打算|没想|没有想|没要|没有要|没说|没有说|并非|并不|别|懒得)(?:要|想|去|来|再|向|找|{_NEAR}?我)?{_NEAR}{{0,2}}$"
)
# Asking how it works is no complaint: 投诉电话是多少, 怎么投诉, 投诉多久处理.
_QUESTION = re.compile(
    rf"(?:怎么|如何|怎样|哪里|在哪|向谁|什么是){_NEAR}{{0,4}}{_COMPLAIN}"
    rf"|{_COMPLAIN}(?:的)?(?:电话|渠道|热线|流程|方式|途径|处理|管理|办法|要?多久|几天|时限|需要|之后|以后|后)"
)
# A doubt, not a report: 这不是我借的吗.
_RHETORICAL = re.compile(rf"(?:不是|没){_NEAR}{{0,10}}吗")
_QUOTED = re.compile(
    r"(?:说|讲|写|喊|骂|提到|看到|听到|所谓的?|叫做?)[:：,，]?[“\"「『][^”\"」』]*[”\"」』]|《[^》]*》"
)
_FILLERS = re.compile(r"\s+|[嗯呃啊]+(?=[，,、我])")
# The prompts of tianjing.tasks hold agent turns and numbered clauses, and put the customer's words behind labels.
_RENDERED = re.compile(r"^\s*(?:坐席|\[\d+\])", re.MULTILINE)
_LABELLED = re.compile(r"^\s*(?:客户|客户问|客户咨询|客户说|问题)\s*[:：](.*)$", re.MULTILINE)
# Tasks asked by an inspector, a supervisor or a router at his desk, not by a customer.
_STAFF_TASKS = frozenset({"quality_inspection", "intent", "call_summary", "handoff_triage", "complaint_prediction"})


def detect(text: str, task: str | None = None) -> tuple[Signal, ...]:
    """Signals in the last user message, most urgent first; empty when the model may answer.

    Args:
        task: id of the task the request names; work of the staff about a customer's words is never handed off.
    """
    if task in _STAFF_TASKS:
        return ()
    words = _customer_words(text)
    found = (_first(kind, words) for kind in _COMPILED)
    return tuple(signal for signal in found if signal)


def _customer_words(text: str) -> str:
    """What the customer said: the last labelled line of a task's prompt, else the whole text; quotations cut out."""
    folded = unicodedata.normalize("NFKC", text)
    labelled = _LABELLED.findall(folded) if _RENDERED.search(folded) else []
    return _QUOTED.sub("", _FILLERS.sub("", labelled[-1] if labelled else folded))


def _first(kind: Kind, words: str) -> Signal | None:
    for pattern in _COMPILED[kind]:
        for match in pattern.finditer(words):
            if not _taken_back(kind, words, match):
                return Signal(kind, match[0])
    return None


def _taken_back(kind: Kind, words: str, match: re.Match[str]) -> bool:
    """Whether the words around the match make it no case. Self-harm stands whatever the grammar says."""
    if kind == "complaint":
        verb = _VERB.search(words, match.start(), match.end())
        start = verb.start() if verb else match.start()
        asked = any(q.start() <= start < q.end() for q in _QUESTION.finditer(words))
        return asked or bool(_DENIAL.search(words[:start]))
    if kind == "fraud":
        doubted = any(q.start() <= match.start() and match.end() <= q.end() for q in _RHETORICAL.finditer(words))
        return doubted or bool(_DENIAL.search(words[: match.start()]))
    return False


_REPLIES: dict[Kind, str] = {
    "self_harm": (
        "听到您这样说，我们非常担心您。您的安全比任何欠款都重要，还款的事可以先放一放。请您现在联系身边信任的人，"
        "或拨打全国统一心理援助热线12356；情况紧急请拨打120或110。我们已请专人尽快与您联系。"
    ),
    "fraud": (
        "您反映的情况涉及身份或资金被他人使用，我们非常重视。已登记并转交专人核查，请保管好证件，"
        "不要向任何人提供验证码，必要时请向公安机关报案。"
    ),
    "third_party": "给您带来打扰，非常抱歉。您反映的联系问题已登记并转交专人核实处理，我们不会向您透露他人的信息。",
    "complaint": "非常抱歉给您带来不好的体验。您的诉求已登记并转交投诉专员，专员会按规定时限与您联系并答复处理结果。",
}


def reply(signals: tuple[Signal, ...], case_id: str) -> str:
    """What the customer is told: for the most urgent signal, with the case number."""
    return f"{_REPLIES[signals[0].kind]}受理编号：{case_id}。"
