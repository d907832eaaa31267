"""What a provision demands: must, must_not, may, or a statement that demands nothing.

The first operative sentence decides, as a lawyer reads it: conditions, purposes, definitions and programmes of the
state are passed over; a consequence (liability, penalty, validity, competence) is a statement even where a demand
follows; a task laid on a named body without a modal word is a demand.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from tianjing.records import Modality

# Longest first: 不得 before 得, 不应 before 应. 应 alone is a modal only where it is no part of another word.
_MODALS: tuple[tuple[Modality, str], ...] = (
    ("must_not", r"不得(?!不)|禁止|严禁|不应当?|不准|不可以|不允许"),
    (
        "must",
        r"应当|必须|须(?!知)|务必|不得不|只能|负有[^，。；：]{1,40}的?义务"
        r"|(?<![相对反供适响效报回答感照因理一])应(?![用急付收对变届答聘验邀允诺激税还得缴]|有的)",
    ),
    (
        "may",
        r"可以|方可|(?<![所享拥具没])有权(?![利益机属])|无需|无须|不必|享有[^，。；：是]{0,40}?的?权利(?![的人主])"
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
_AUTHORITY = re.compile(r"[^，。；：、要]{2,8}的(?:行政|国家|上级|人民)?(?:机关|部门|机构|单位|法院|组织)")
# 法律规定合同应当采用书面形式，当事人未采用的: a rule that a condition tells of.
_TOLD = re.compile(r"(?:法律|法规|当事人|合同|章程)[^，。；的]{0,12}?(?:规定|约定)[^，。；的]{0,10}$")
_BY_WHOM = re.compile(r"由[^，。；：的在]{2,20}(?:受理|管辖|实施|执行|审理|承担|办理|负责|支付|缴纳)的(?!$)")
_IS = re.compile(r"视为|属于|是")
_AGREE = re.compile(r"[^，]{0,12}约定")
_DE = re.compile(r"(?<![标目])的$")
_HEDGED = re.compile(r"^(?:而|但未|未|却|仍|但没有|没有)")
# A consequence that settles the matter ends its segment; one that only qualifies a topic (追究责任的建议) does not.
_SETTLED = re.compile(
    r"责令[^，的]*$|(?:给予|予以)[^，]*(?:警告|处分|处罚|批评|奖励|表彰|赔偿|取缔|公告|处理)$"
    r"|处以?[^，]{0,30}(?:罚款|拘留|徒刑)$|^(?:并处|单处|没收|吊销|撤销|责令|给予|取缔)|依法(?:追究|给予|从[重轻严]|不)|追究[^，]*责任$"
    r"|(?:承担|负)(?!的|[^，]*(?:工作|责任人|主体责任|属地|管理责任|防控))[^，]{0,30}责任$|不承担|不负[^，]*责任"
    r"|(?:不发生|具有)[^，]*效力$|视为|推定为?|(?:予以|不予)(?:支持|受理|准许|采纳|计算|认可|处罚|登记|返还)"
    r"|从其|不?适用(?!于)[^，]*$"
    r"|(?:^|[^自来理缘立应当])由(?!于|此)[^，]{2,60}$|起(?:计算|施行|生效)$|为准$|不受[^，]*干[涉预]$|[免不]征[^，]*税"
)
_SETTLED_ALONE = re.compile(
    r"(?:依照|按照|参照|适用|根据)[^，]*(?:处理|执行|处罚|规定|约定|确定|办理)$"
    r"|(?:无效|有效|生效|终止|消灭|解散|设立|成立|清偿)$|^终止"
)
_PENALTY = re.compile(r"责令|罚款|没收|给予|吊销|处分|处罚")
_TOPIC = re.compile(r"^(?:认定|人民法院(?:认定|审理|确定|判断|判决)|对于?|关于|因|就|根据|依照|按照|依据|违反|除)")
_CLAIMED = re.compile(r"(?:请求|主张|认为|约定|载明|声称)[^，]*(?:责任|效力|由[^，]*)$")
_TOPIC_END = ("的", "后", "时", "前", "起", "外", "下", "期间", "之日")
_DEFINITION = re.compile(r"是指|，指(?![定导派])")
_PROGRAMME = re.compile(
    r"^(?:国家(?!网信|金融|市场|税务|安全|外汇|数据|新闻|广播|机关|信访|药品|标准)|本市|本省|本法|本条例|本办法|本规定|本解释|鼓励|支持|提倡|倡导|坚持|为了?|制定本)|制定本|受法律保护|^[^，]{2,40}是[^，]{2,}"
)
_BODY = (
    r"(?:部门|机构|机关|协会|政府|国务院|经营者|公司|单位|银行|法院|检察院|委员会|组织|理事会|董事会|企业|学校|平台"
    r"|办公室|处理者|提供者|服务者|运营者|发布者|代言人|人员|坐席|专员|经理|党委|联席会议|局|市|区|院)"
)
_ADVERB = (
    r"(?:依法|依规|统一|定期|及时|牵头|统筹|共同|分别|具体|逐步|积极|切实|严格|主动|自觉|联合|全面|直接|组织|自行|等|并|负责"
    r"|(?:按照|根据|依照|依据|会同|通过|采取|对|向|为|与|在|将|以|就|结合|配合|经)[^，]{1,60}?)"
)
_DUTY = (
    r"(?:建立|健全|完善|制定|履行|组织|开展|加强|实施|监督|检查|报告|报送|发布|公布|提供|审核|核实|指导|协调|配合|接受|领导"
    r"|统计|编制|保存|出具|告知|通知|采取|落实|承担|支持|推动|引导|受理|答复|收集|公示|做好|明确|查验|核对|宣传|保护|保障"
    r"|进行|贯彻|发挥|妥善|推进|督促|评估|确定|要求|按时|商请|完成|删除|处理|记录|审查|办理|处置|安排|培训|统筹|协助|维护|承办)(?!的|[^，]{0,6}相关的)"
)
_TASK = re.compile(rf"^(?:[^，]{{1,40}}，){{0,2}}?[^，由]{{0,60}}?{_BODY}(?:[，、]?{_ADVERB})*，?{_DUTY}")
_WHO_RULES = re.compile(r"，具体[^，]{0,8}办法由[^，]*$")  # it adds nothing to the demand before it
_DUTIES = re.compile(r"履行(?:下列|以下)[^，]{0,12}(?:职责|义务|责任)")
_COMPETENT = re.compile(
    r"负责(?!制|[^，]{1,24}的部门|.*，(?:建立|健全|完善|加强))|^[^，]*(?:主管(?!部门|机关|机构|人员|局|单位)|行使)|由[^，]{2,40}|(?:制定|发布)[^，]*(?:规章|规则|办法|细则)|(?:实施|进行|实行)[^，]{0,6}监督管理$"
)
_PAYS = re.compile(
    r"由[^，]{2,40}(?:代扣|代缴|扣缴|缴纳|(?<!非银行)支付(?!机构|服务|业务)|给付|履行[^，]*义务)|代扣代缴$"
    r"|^[^，的]{1,12}[人方](?:按照|依照)[^，]{1,12}(?:交付|支付|缴纳|给付|返还)"
)


class Modal(NamedTuple):
    """A modal word that makes a demand, and where it stands in the text."""

    modality: Modality
    start: int
    end: int


@functools.lru_cache(maxsize=4096)
def modals(text: str) -> tuple[Modal, ...]:
    """Every modal word that makes a demand, in the order of the text; inside conditions and attributes none does."""
    plain = _QUOTED.sub(lambda match: "#" * len(match[0]), text)
    return tuple(
        Modal(match.lastgroup, match.start(), match.end())  # type: ignore[arg-type]
        for match in _MODAL.finditer(plain)
        if not _is_descriptive(plain, match)
    )


def first_modal(text: str) -> Modal | None:
    """The first modal word that makes a demand."""
    return next(iter(modals(text)), None)


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
    if match[0].startswith("享有") and "是" in plain[_start_of_segment(plain, start) : start]:
        return True  # 知识产权是权利人享有的权利: what it is
    stopped = _end_of_segment(plain, end)
    rest, mark = plain[end:stopped], plain[stopped : stopped + 1]
    if match[0] == "禁止" and start == _start_of_segment(plain, start) and not _DE.search(rest):
        return False  # 禁止采集…以及法律规定禁止采集的其他信息
    if _DE.search(rest) and mark != "" and not (match[0] == "可以" and _AGREE.match(rest)):
        return True  # 应当…的，
    if rest.endswith(("的除外", "时")) and mark in "，。；":
        return True
    later = plain[stopped + 1 : _end_of_segment(plain, stopped + 1)]
    if mark == "，" and _HEDGED.match(later) and _DE.search(later):
        return True  # 应当申请批准，而未申请的，
    if match[0] in ("有权", "无权") and _AUTHORITY.match(plain, end):
        return True  # 有权处理的机关
    if match[0] in ("应", "应当") and _BY_WHOM.match(rest):
        return True  # 应由中级人民法院受理的案件
    if mark == "，" and "的" in rest and _IS.match(plain, stopped + 1):
        return True  # 可以随时查用的数据电文，视为…
    if mark == "，" and _TOLD.search(plain[_start_of_segment(plain, start) : start]):
        return True
    if match[0] in ("禁止", "不得", "应当") and _BY_LAW.search(before) and re.match(r"[^，。；：]{0,16}的(?!$)", rest):
        return not re.search(r"(?:^|[。；，：])国家$", plain[:start])  # 国家禁止… is the demand itself
    attribute = re.match(r"[^，。；：]{1,16}?的", rest)
    return bool(attribute and _MODAL.search(plain, end + attribute.end(), stopped))  # 应当支付的利息不得…


def _start_of_segment(plain: str, end: int) -> int:
    return max(plain.rfind(mark, 0, end) for mark in "，。；：") + 1


def _end_of_segment(plain: str, start: int) -> int:
    found = _SEGMENT_END.search(plain, start)
    return found.start() if found else len(plain)


def _first(text: str) -> Modality | None:
    return next((found for part in _PART.findall(text) for found in _operative(part)), None)


def _governing(lead_in: str) -> Modality | None:
    """What decides for the items of a list: an earlier sentence, else the clause nearest to the list."""
    parts = _PART.findall(lead_in)
    for part in parts[:-1]:
        found = next(iter(_operative(part)), None)
        if found:
            return found
    last = _operative(parts[-1]) if parts else ()
    if not last or last[0] == "statement":
        return last[0] if last else None
    nearest = parts[-1].rpartition("，")[2]
    if nearest.startswith("并") and first_modal(nearest) is None:
        return last[0]  # 应当守法，不得喧哗，并符合下列条件：
    return [found for found in last if found != "statement"][-1]


@functools.lru_cache(maxsize=4096)
def _operative(part: str) -> tuple[Modality, ...]:
    """What the segments of one sentence demand or settle, in their order; what is passed over gives nothing."""
    plain = _QUOTED.sub(lambda match: "#" * len(match[0]), part).rstrip("：:")
    plain = _WHO_RULES.sub("", plain)
    if _DEFINITION.search(plain):
        return ()
    demands = modals(part)
    segments = [(match.start(), match[0]) for match in _SEGMENT.finditer(plain)]
    main = 0  # the first segment after the conditions
    for index, (start, text) in enumerate(segments[:-1]):
        demanded = any(segments[main][0] <= demand.start < start + len(text) for demand in demands)
        settled = [before for _, before in segments[main:index] if _settles(before)]
        final = settled and (text.startswith("但") or any(map(_PENALTY.search, settled)))
        if _DE.search(text) and not demanded and not final:
            main = index + 1
    found: list[Modality] = []
    for index, (start, text) in enumerate(segments[main:], start=main):
        inside = [demand for demand in demands if start <= demand.start < start + len(text)]
        last = index == len(segments) - 1 or segments[index + 1][1].startswith("但")
        if inside:
            found += [demand.modality for demand in inside]
        elif _PAYS.search(text):
            found.append("must")
        elif _settles(text) or (last and _settles_alone(text)):
            found.append("statement")
    if not found and segments and _is_task(plain, plain[segments[main][0] :]):
        found.append("must")
    return tuple(found)


def _settles(segment: str) -> bool:
    """Whether a segment states a consequence, not only a topic or a condition for what follows."""
    if segment.endswith(_TOPIC_END) or _TOPIC.match(segment) or _CLAIMED.search(segment):
        return False
    return bool(_SETTLED.search(segment))


def _settles_alone(segment: str) -> bool:
    """What is a consequence only where no demand follows in the sentence: 依照其规定, 合同终止."""
    return not segment.endswith(_TOPIC_END) and bool(_SETTLED_ALONE.search(segment))


def _is_task(part: str, main: str) -> bool:
    """某部门建立核验制度: a duty without a modal word. What the state supports, and who is competent, is none.

    Args:
        main: the part without its conditions.
    """
    if _DUTIES.search(part):
        return True
    return not _PROGRAMME.search(part) and not _COMPETENT.search(main) and bool(_TASK.match(main))
