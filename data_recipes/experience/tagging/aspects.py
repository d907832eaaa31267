"""What a customer's turn shows (客户表现), tagged by a small lexicon: emotion, dispute, hardship, and the like.

A turn may show several. Words only: who tells it calmly in other words is not found, which is what labels are for.
"""

from __future__ import annotations

import re

from tianjing.acts import heard

ASPECTS: dict[str, str] = {
    "emotion": "情绪激动",
    "dispute": "对费用或欠款有异议",
    "hardship": "生活困难",
    "illness": "患病或家人患病",
    "third_party": "第三人接听或牵涉第三人",
    "complaint": "要投诉",
    "refusal": "拒绝还款",
    "promise": "承诺还款",
}

_GAP = r"[^。！？!?；;]{0,6}"
_PATTERNS: dict[str, str] = {
    "emotion": (
        r"[！!]{2,}|有完没完|受不了|烦死|烦不烦|气死|来气|火大|恼火|欺人太甚|太过分|凭什么|骂|吼|羞辱|侮辱|"
        rf"(?:别|不要)(?:再)?(?:打|烦|骚扰){_GAP}了|骚扰我|没法沟通|滚|脾气"
    ),
    "dispute": (
        rf"(?:多|乱|重复|莫名|平白){_GAP}(?:收|扣)|对不上|算错|不对账|不合理|不认(?:这|账)|哪来的(?:费|钱|利息|罚息)|"
        rf"(?:费用|利息|罚息|金额|账单|账){_GAP}(?:不对|有问题|不明白|搞不懂|糊涂|怎么这么)|没(?:借|欠)(?:过|这么)|说法"
    ),
    "hardship": (
        rf"(?:没有?|断了|少了){_GAP}(?:收入|进账|工作|活干|工资|钱)|失业|下岗|裁员|被裁|辞退|倒闭|破产|亏(?:了|损|本|钱|光)|"
        r"周转不开|揭不开锅|困难|手头紧|手里紧|紧巴|还不(?:上|起)|拿不出|掏不出|低保|拖欠(?:工资|薪)|欠薪|到处借|拆东墙"
    ),
    "illness": r"住院|生病|得病|重病|大病|手术|化疗|医院|医药费|医疗费|看病|治病|病(?:了|倒)|车祸|受伤|骨折|瘫",
    "third_party": (
        r"打错了|不是本人|不认识(?:他|她|这个人)|我是(?:他|她)(?:的)?(?:爱人|老婆|老公|妈|爸|儿|女|哥|姐|弟|妹|朋友|同事|领导)|"
        rf"(?:给|跟|找|骚扰){_GAP}(?:家人|家里人|同事|单位|亲戚|朋友|父母){_GAP}(?:打|说|讲|要)"
    ),
    "complaint": r"投诉|举报|12378|银保监|金监局|监管|消协|12315|律师|起诉你|告你们|曝光",
    "refusal": r"不还|没钱还|不会还|别想(?:让我|我)还|爱怎么(?:样|着)怎么(?:样|着)|不可能还",
    "promise": (
        rf"(?:一定|肯定|保证|答应|尽量|争取){_GAP}(?:还|存|打|转|付|结清)|"
        rf"(?:[\d一二三四五六七八九十]+号|明天|后天|下周|发工资){_GAP}(?:还|存进|打过|转过|付清|结清)"
    ),
}
_COMPILED = {aspect: re.compile(pattern) for aspect, pattern in _PATTERNS.items()}


def aspects(text: str) -> tuple[str, ...]:
    """Aspects of one customer's turn, in the order of `ASPECTS`."""
    return heard(text, _COMPILED)
