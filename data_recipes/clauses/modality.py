"""What a provision demands: must, must_not, may, or a statement that demands nothing.

The first operative sentence decides, as a lawyer reads it: conditions, purposes, definitions and programmes of the
state are passed over; a consequence (liability, penalty, validity, competence) is a statement even where a demand
follows; a task laid on a named body without a modal word is a demand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tianjing.records import Modality

# Longest first: 不得 before 得, 不应 before 应. 应 alone is a modal only where it is no part of another word.
_MODALS: tuple[tuple[Modality, str], ...] = (
    ("must_not", r"不得(?!不)|禁止|严禁|不应当?|不准|不可以|不允许"),
    (
        "must",
        r"应当|必须|须(?!知)|务必|不得不"
        r"|(?<![相对反供适响效报回答感照因理一])应(?![用急付收对变届答聘验邀允诺激税]|有的)",
    ),
    (
        "may",
        r"可以|(?<![所享拥具没])有权(?![利益机属])|无需|无须|不必|享有[^，。；：]{0,40}?的?权利"
        r"|(?<![许认不宁两])可(?![能靠信行见持疑用观以控比变读执替选视])",
    ),
)
_MODAL = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _MODALS))
_QUOTED = re.compile(r"《[^》]{1,80}》|“[^“”]{1,24}”|[(（]以下[^()（）]{1,40}[)）]")
_PART = re.compile(r"[^。；;！？]+")
_SEGMENT = re.compile(r"[^，：:]+")
_SEGMENT_END = re.compile(r"[，。；;：:！？]|$")
# 是否应当 is a question, 应当知道 a fault, 法律禁止的信息 a kind of information: none is a demand.
_QUESTION = re.compile(r"(?:是否|能否|如何|何时)$")
_FAULT = re.compile(r"知道|知悉|知晓|预见|注意到")
_BY_LAW = re.compile(r"(?:法律|法规|规章|规定|国家|依法|约定|明令|其他|所|合同)$")
_AUTHORITY = re.compile(
    r"[^，。；：]{0,12}?的(?:[^，。；：]{0,8}?)(?:机关|部门|机构|单位|组织|人民法院|法院|人员|主体)"
)
_HEDGED = re.compile(r"^(?:而|但未|未|却|仍|但没有|没有)")
_CONSEQUENCE = re.compile(
    r"责令|给予[^，]*(?:警告|处分|处罚|批评|奖励|表彰|赔偿)|处以|处[^，理置分]{0,16}(?:罚款|拘留|徒刑)|并处|单处|没收|吊销|追究"
    r"|承担[^，]*(?<!工作的)(?<!工作)(?<!主体)(?<!管理)(?<!防控)责任|不承担|负[^，责]{0,8}责任|不负"
    r"|无效|有效|效力|生效|视为|推定|予以支持|不予|从其|不影响|不适用|不受|不再"
    r"|由[^，]{2,40}(?:审理|管辖|执行|担任|制定|规定|承担|负担|负责|解释|行使|继承|处理)$"
    r"|(?:依照|按照|参照|适用)[^，]*(?:处理|执行|处罚|规定|约定|确定|办理)$|适用(?!于)|起(?:计算|施行|生效)"
)
_PROGRAMME = re.compile(r"^(?:国家|本市|本省|本法|本条例|本办法|本规定|本解释)")
_BODY = (
    r"(?:部门|机构|机关|协会|政府|经营者|公司|单位|银行|法院|检察院|委员会|组织|行长|理事会|董事会|企业|学校|平台|办公室"
    r"|处理者|提供者|服务者|运营者|发布者|代言人|人员|坐席|专员|经理|客户|机构及其工作人员|部|局|院)"
)
_TASK = re.compile(
    rf"{_BODY}(?:[^，的]{{0,24}}?)(?<!由)"
    r"(?:建立|健全|完善|制定|履行|组织|开展|加强|实施|监督|检查|报告|报送|发布|公布|提供|审核|核实|指导|协调|配合|接受"
    r"|统计|编制|保存|出具|告知|通知|采取|落实|承担|管理|支持|推动|引导|受理|答复|登记|收集|公示|代扣|缴纳|支付|做好|明确)"
)
_COMPETENT = re.compile(r"负责|主管|由[^，]{2,40}(?:制定|规定)")
_PAYS = re.compile(r"由[^，]{2,40}(?:代扣|代缴|扣缴|缴纳|支付)")


class Modal(NamedTuple):
    """A modal word that makes a demand, and where it stands in the text."""

    modality: Modality
    start: int
    end: int


def modals(text: str) -> Iterator[Modal]:
    """Every modal word that makes a demand, in the order of the text; inside conditions and attributes none does."""
    plain = _QUOTED.sub(lambda match: "#" * len(match[0]), text)
    for match in _MODAL.finditer(plain):
        if not _is_descriptive(plain, match):
            yield Modal(match.lastgroup, match.start(), match.end())  # type: ignore[arg-type]


def first_modal(text: str) -> Modal | None:
    """The first modal word that makes a demand."""
    return next(modals(text), None)


def modality(text: str, lead_in_chars: int = 0) -> Modality:
    """The legal effect of the first operative demand.

    Args:
        lead_in_chars: characters at the start of an item that are its lead-in sentence; what governs the list decides.
    """
    lead_in, body = text[:lead_in_chars], text[lead_in_chars:]
    return (_governing(lead_in) if lead_in else None) or _first(body) or "statement"


def _is_descriptive(plain: str, match: re.Match[str]) -> bool:
    start, end = match.span()
    before = plain[max(0, start - 12) : start]
    if _QUESTION.search(before) or _FAULT.match(plain, end):
        return True
    stopped = _end_of_segment(plain, end)
    rest, mark = plain[end:stopped], plain[stopped : stopped + 1]
    if rest.endswith("的") and mark != "":
        return True  # 应当…的，
    if rest.endswith(("的除外", "时")) and mark in "，。；":
        return True
    later = plain[stopped + 1 : _end_of_segment(plain, stopped + 1)]
    if mark == "，" and _HEDGED.match(later) and later.endswith("的"):
        return True  # 应当申请批准，而未申请的，
    if match[0] in ("有权", "无权") and _AUTHORITY.match(plain, end):
        return True  # 有权处理的机关
    if match[0] in ("禁止", "不得", "应当") and _BY_LAW.search(before) and re.match(r"[^，。；：]{0,16}的(?!$)", rest):
        return True
    attribute = re.match(r"[^，。；：]{1,16}?的", rest)
    return bool(attribute and _MODAL.search(plain, end + attribute.end(), stopped))  # 应当支付的利息不得…


def _end_of_segment(plain: str, start: int) -> int:
    found = _SEGMENT_END.search(plain, start)
    return found.start() if found else len(plain)


def _first(text: str) -> Modality | None:
    return next((found for part in _PART.findall(text) for found in _operative(part)), None)


def _governing(lead_in: str) -> Modality | None:
    """An earlier sentence with a demand, else what stands nearest to the list."""
    parts = _PART.findall(lead_in)
    for part in parts[:-1]:
        found = next(iter(_operative(part)), None)
        if found:
            return found
    return list(_operative(parts[-1]) or [None])[-1] if parts else None


def _operative(part: str) -> list[Modality]:
    """What the segments of one sentence demand or settle, in their order; what is passed over gives nothing."""
    plain = _QUOTED.sub(lambda match: "#" * len(match[0]), part)
    demands = list(modals(part))
    segments = list(_SEGMENT.finditer(plain))
    conditions = [i for i, s in enumerate(segments) if s[0].endswith("的") and not s[0].startswith("但")]
    found: list[Modality] = []
    for index, segment in enumerate(segments):
        inside = [demand for demand in demands if segment.start() <= demand.start < segment.end()]
        conditional = any(index <= other for other in conditions)
        settled = None if conditional else _CONSEQUENCE.search(segment[0])
        if settled and _PAYS.search(segment[0]):
            found.append("must")
        elif settled and not (inside and inside[0].start < segment.start() + settled.start()):
            found.append("statement")
        elif inside:
            found += [demand.modality for demand in inside]
        elif not conditional and _is_task(segment[0], plain):
            found.append("must")
    return found


def _is_task(segment: str, part: str) -> bool:
    """某部门建立核验制度: a duty without a modal word. What the state supports, and who is competent, is none."""
    if _PROGRAMME.match(part) or _COMPETENT.search(segment):
        return False
    return bool(_PAYS.search(segment) or _TASK.search(segment))
