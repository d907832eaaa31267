"""Acts of a post-loan (贷后) agent turn, tagged by a small lexicon of the domain's own words.

The tags are what practices are mined over and what a generated next reply is read for. A turn may
carry several acts; a tag says what the agent does, not how well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

ACTS: dict[str, str] = {
    "offer_deferral": "延期",
    "offer_instalment": "分期",
    "offer_autopay": "自动扣款",
    "request_proof": "提供证明",
    "explain_fees": "说明费用",
    "ask_affordable_amount": "询问能力",
    "confirm_date": "约定日期",
    "empathise": "安抚",
    "remind_consequence": "提示后果",
    "demand_full_payment": "全额还款",
    "transfer_specialist": "转专员",
}

_GAP = r"[^。！？!?；;]{0,8}"
_PATTERNS: dict[str, str] = {
    "offer_deferral": rf"延期|展期|缓(?:一缓|几天|缴|交|还|一段|个)|宽限|往后(?:推|挪|延|顺)|推迟{_GAP}还",
    "offer_instalment": rf"分期|分(?:成|作|做)?{_GAP}(?:期|次|笔|个月)|拆(?:成|开|分)|按月(?:慢慢)?(?:还|摊)|分摊",
    "offer_autopay": rf"自动(?:扣|还|划)|代扣|绑定?{_GAP}(?:银行卡|扣款|工资卡)|到期(?:系统)?自动|委托扣款",
    "request_proof": r"证明|材料|诊断书|病历|凭证|单据|住院(?:记录|发票)|佐证",
    "explain_fees": (
        rf"(?:逐项|逐笔|一项一项|一笔一笔|一条一条|明细|构成){_GAP}"
        rf"|(?:利息|罚息|费用|本金){_GAP}(?:分别|各是|组成|构成|明细|怎么(?:来|算))"
    ),
    "ask_affordable_amount": (
        rf"(?:能|可以|可|方便){_GAP}(?:承受|拿出|负担|凑|腾出|挤出){_GAP}(?:多少|几)"
        rf"|(?:多少|几){_GAP}(?:承受|负担|拿得出|压力不大)|(?:每|一)(?:个)?月{_GAP}(?:多少|几){_GAP}(?:合适|可行|没压力|能还)"
        r"|(?:承受|负担)(?:的)?(?:金额|额度|范围|上限)"
    ),
    "confirm_date": (
        rf"(?:几号|哪(?:一)?天|什么时候|何时|具体(?:的)?(?:日期|时间|日子)){_GAP}(?:还|付|处理|到账|结清|安排|存入|入账|行)"
        rf"|(?:约|定|记|登记|敲定|确认){_GAP}(?:日期|日子|[\d一二三四五六七八九十几]号|时间|哪天|哪一天)"
        rf"|(?:约|定|敲定){_GAP}(?:周|星期|礼拜)[一二三四五六日天末]|(?:说|给|讲)(?:死|准)?(?:一)?个(?:准|具体)?(?:日期|日子)"
    ),
    "empathise": r"抱歉|对不起|不好意思让您|理解您|体谅|辛苦了|别着急|您先消消气|给您添(?:麻烦|堵)|换作是我|确实不容易",
    "remind_consequence": rf"(?:影响|上报|报送|计入|留下){_GAP}(?:征信|信用)|罚息(?:会|将|继续|每天)|逾期(?:记录|后果)",
    "demand_full_payment": rf"(?:全额|全部|一次性|一把|整笔){_GAP}(?:还|结清|付|缴|处理|清|打(?:进|过)来)",
    "transfer_specialist": (
        r"转(?:接|给|到|交)?(?:至)?(?:专员|专人|主管|客诉|投诉专席|上级)"
        r"|(?:专员|专人|主管)[^。！？!?；;，,]{0,4}(?:跟进|联系|回电)"
    ),
}
_COMPILED = {act: re.compile(pattern) for act, pattern in _PATTERNS.items()}


def tag(text: str) -> tuple[str, ...]:
    """Acts present in one agent turn, in the order of `ACTS`."""
    return heard(text, _COMPILED)


def heard(text: str, lexicon: Mapping[str, re.Pattern[str]]) -> tuple[str, ...]:
    """Names of a lexicon's patterns that are found in a text, whatever its width and spaces; in the lexicon's order."""
    folded = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))
    return tuple(name for name, pattern in lexicon.items() if pattern.search(folded))
