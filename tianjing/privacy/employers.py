"""Employers, only where the text says that one is meant: 在…公司上班, 工作单位是…, 就职于…."""

from __future__ import annotations

import re
from typing import Final

from tianjing.privacy.findings import Match, View

# Characters that end a name. Not among them: those of 会计, 能源, 贵州, 对外, 打印.
_STOP: Final = "我你您他她它的了吗呢吧啊是在给这那哪怎么就也还没请说某每各该何"
_NAME: Final = re.compile(rf"(?:[^\W_{_STOP}]|[()])+")
IN_NAME: Final[re.Pattern[str]] = re.compile(rf"[^\W_{_STOP}]|[()]")
_MAX_CHARS: Final = 36
_NAMED: Final = re.compile(
    r"(?:(?:(?:工作|就职|任职|供职|上班|从业|在职|[我他她]的)(?:单位|信息|公司|地点)|(?:单位|公司|雇主)(?:名称|全称|名字)|雇主|东家)"
    r"(?:就是|叫做|叫|是|为|在|写的?是?|填的?是?|登记的?是?|[:?\s]){1,2}|(?:就职|任职|供职|受雇|受聘|入职)于\s?"
    r"|单位(?:就是|叫做|叫|是(?!指)|写的?是?|填的?是?|:)\s?)$"
)
# An organisation right behind these is where someone works: 我单位长沙麓湘餐饮, 名片上的公司是….
_OWN: Final = re.compile(
    r"(?:(?:我|他|她|咱|原|前|现|原来|以前|之前|上一?家|前一家|现在|老公|老婆|儿子|女儿|爸|妈)们?的?(?:那个|这个)?(?:工作)?(?:单位|公司|学校|厂)"
    r"|(?:您|你|我|他|她|名片上|证明上|流水上|社保)(?:的|登记的|填的?)?(?:单位|公司)(?:名称)?)(?:是|叫|为|写的?是?|[:,\s])?$"
)
# Part of what these two take: much cheaper to look for.
_WORK_CUE: Final = re.compile("单位|公司|信息|地点|雇|东家|职于|聘于|学校|厂")
_IN: Final = frozenset("在给替帮到去进入职")
_ONLY_IN: Final = _IN - frozenset("在")
_IS: Final = re.compile(r"(?:[我他她]|老公|老婆|爱人|儿子|女儿|爸|妈|您|你)(?:以前|原来|现在|之前|就)?是$")
_SUFFIX: Final = (
    r"(?:有限责任公司|股份有限公司|有限公司|分公司|子公司|公司|集团|银行|支行|分行|医院|卫生院|诊所|学校|大学|学院|中学|小学|幼儿园|工厂|厂|局"
    r"|事务所|研究院|研究所|设计院|酒店|饭店|餐厅|超市|商场|商店|物业|工作室|合作社|中心|店|委员会|科技|物流|快递|电子|机械|制造|学区|出版社|报社"
    r"|药房|宾馆|车间|站|所|院|社|馆|城|队|一中|二中|三中|实业|百货|矿|煤矿|农场|村委会|居委会|街道办)"
)
# Firms that are called by their bare names.
_BRANDS: Final = (
    "富士康|比亚迪|华为|腾讯|阿里巴巴?|京东方?|美团|饿了么|顺丰|中通|圆通|申通|韵达|百度|小米|字节跳动|网易|拼多多|滴滴|海尔|格力|美的|联想|中兴"
    "|万科|碧桂园|恒大|保利|海底捞|肯德基|麦当劳|沃尔玛|永辉|大润发|中石油|中石化|中海油|国家电网|南方电网|中国移动|中国联通|中国电信|中国邮政|中铁.局"
    "|中建.局|一汽|上汽|东风汽车|吉利|长城汽车|蔚来|理想汽车|特斯拉|宁德时代|立讯|歌尔|蓝思|伯恩|和硕|纬创|广达|仁宝"
)
_FIRM: Final = re.compile(rf"[^()]{{1,}}.*{_SUFFIX}|.*(?:{_BRANDS}).*")
_BRAND: Final = re.compile(_BRANDS)
_LEGAL: Final = re.compile(r"[^()]{2}.*(?:有限公司|有限责任公司|股份公司|合伙企业|分公司)")
_LENDER: Final = re.compile(r"金融|小额|贷|融资|担保|银行|保险|消费|典当|租赁|信托|资产管理|催收")
_WORKS: Final = re.compile(r"上班|工作|任职|就职|打工|实习|教书|担任|上学|供职|入职|离职|辞职|上夜班|值班|[当做干]")
_STAFF: Final = re.compile(
    r"的(?:老师|教师|员工|职工|工人|医生|护士|会计|司机|保安|经理|销售|老板|法人|股东|文员|主任|学生|厂长|校长|院长|店长|主管|工程师|设计师"
    r"|出纳|财务|人事|行政|客服|程序员|技术|负责人|临时工|合同工|正式工|业务员|快递员|[^\W\d_]{1,3}(?:员|师|工|长))"
)
_STAFF_CHARS: Final = 5
_GENERIC: Final = re.compile(
    r"(?:事业单位|私企|国企|外企|民企|央企|个体户?|自由职业|无|没有|一家|一个|两家|几家|小|大|私营|国有|民营|工厂|公司|银行|学校|医院|超市"
    r"|附近|家里|外地|老家|外面|现在|以前|目前|本地|当地|相关|有关|用人|所在|发卡|金融机构|贷款|不用|自己)"
)
# A trade or a kind of organisation names none: 物流公司, 电子厂, 幼儿园.
_TRADE: Final = re.compile(
    r"(?:[一两几这那][个家]?|某家?)?(?:物流|快递|外卖|装修|装饰|建筑|保险|科技|贸易|外贸|电子|服装|食品|房地产|房产|培训|中介|软件|互联网|广告|运输|劳务|保安|保洁|物业|餐饮|机械|五金"
    r"|玩具|塑料|家具|汽车|汽修|制衣|鞋|纺织|印刷|化工|建材|传媒|文化|教育|旅游|投资|金融|催收|担保|律师|会计|私立|公立|人民|中|小|大|连锁|便利|奶茶|火锅"
    r"|理发|美容|手机|县|市|区|镇|乡|村|老|新|工|上市|网络|游戏|家政|设计|咨询|人力|医药|制药|造纸|钢|水泥|砖|粮|服务)*"
    r"(?:公司|集团|厂|店|银行|医院|学校|大学|学院|中学|小学|幼儿园|超市|酒店|饭店|餐厅|商场|商店|工作室|中心|局|所|院|站|社|队|城|馆|车间|物业|物流|快递|科技|电子|机械|制造"
    r"|事务所|研究所|研究院|诊所|药房|宾馆|矿|设计院)"
)

_SUFFIX_ENDS: Final = "司团行院所校学园厂局店厅市场业室社心会技流递子械造区房馆间站城队中货矿办"
_SOON: Final = rf"(?=[^\W_{_STOP}][^_{_STOP},。!?;\s][^_{_STOP},。!?;\s]{{0,33}}?[{_SUFFIX_ENDS}])"
# Necessary for an employer to begin where the match ends; see `hints`. Behind a label; behind words that put someone
# in an organisation, with a word for one soon after.
HINT_BEFORE: Final[tuple[str, ...]] = (
    rf"[位称字名于主司职息](?<=[单全名司职聘雇公入信].)(?:就是|叫做|叫|是|为|在|写的?是?|填的?是?|登记的?是?|[:,?\s]){{0,2}}"
    rf"(?=[^\W_{_STOP}][^_{_STOP}])",
    rf"[在给替帮到去进入职位司校厂是]{_SOON}",
    rf"[在是](?=[^\W_{_STOP}]{{0,4}}(?:{_BRANDS}))",
)
# The same without look-around, wider: see `batch`.
LIKELY: Final[str] = (
    r"[单全名司职聘雇公入信][位称字名于主司职息]"
    rf"|[在给替帮到去进入职位司校厂是][^{_STOP},。!?;\s]{{2,35}}[{_SUFFIX_ENDS}]"
    rf"|[在是][^{_STOP}]{{0,4}}(?:{_BRANDS})"
)
NEVER_FIRST: Final[frozenset[str]] = frozenset("就叫做为" + _STOP)
BOUNDARY_CHARS: Final[str] = "位称字名于主是为叫在做给替帮到去进入职司校厂写填"
_BEFORE_LAST: Final = frozenset(BOUNDARY_CHARS + ":, \n")


def is_organisation(name: str) -> bool:
    """Whether the last word says that this is a firm, a school, an office, and the words before it which."""
    return (
        bool(_FIRM.fullmatch(name)) and not _TRADE.fullmatch(name) and (len(name) > 3 or bool(_BRAND.fullmatch(name)))
    )


def match_employer(view: View, start: int) -> Match | None:
    """The organisation that begins at `start`, if the words around say that someone works there."""
    if view.text[start] in NEVER_FIRST or not start or (last := view.text[start - 1]) not in _BEFORE_LAST:
        return None
    before = view.before(start, 16)
    work = last not in _ONLY_IN and _WORK_CUE.search(before) is not None
    named = work and _NAMED.search(before) is not None
    own = work and not named and last not in _IN and _OWN.search(before) is not None
    inside = not named and not own and last in _IN
    being = not named and not own and last == "是" and bool(_IS.search(before))
    if not (named or own or inside or being):
        return None
    run = view.run(start, _NAME, _MAX_CHARS)
    if len(run) < 2 or (_GENERIC.match(run) and len(run) < 6):
        return None
    works = _WORKS.search(run, 2)
    name = run[: works.start()] if works else run
    if named:
        if not works and (organisation := _FIRM.match(run)):
            name = organisation[0]
        return Match("employer", start + len(name), name) if len(name) > 1 and not _TRADE.fullmatch(name) else None
    firm = _FIRM.match(name)
    if firm is None or not is_organisation(firm[0]):
        return None
    name, end = firm[0], start + len(firm[0])
    works = works if works and works.start() == len(name) else None
    if inside and not works and not _is_staff(view, end):
        return Match("employer", end, name) if _LEGAL.fullmatch(name) and not _LENDER.search(name) else None
    if (own and _LENDER.search(name)) or (being and not _is_staff(view, end)):
        return None
    return Match("employer", end, name)


def _is_staff(view: View, end: int) -> bool:
    return view.at(end) == "的" and bool(_STAFF.match(view.after(end, _STAFF_CHARS)))
