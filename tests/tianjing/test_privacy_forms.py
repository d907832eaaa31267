"""Forms of one value: other separators, talk in between, other labels, a question one turn before; and their decoys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tianjing.streams import masked_stream, text_of
from tianjing.privacy import Session, find, find_turns, mask
from tianjing.privacy.checks import credit_code_check, is_landline, is_mobile, is_resident_id, resident_id_check

_BODY = "32010619880215341"
ID = _BODY + resident_id_check(_BODY)
CODE = "91320106MA1P3K7A4" + credit_code_check("91320106MA1P3K7A4")
_SPOKEN = str.maketrans("0123456789", "零幺二三四五六七八九")
AREA, BORN, LAST = (part.translate(_SPOKEN) for part in (ID[:6], ID[6:14], ID[14:]))


def kinds(text: str, known: dict[str, str] | None = None) -> list[str]:
    return [finding.kind for finding in find(text, known)]


@pytest.mark.parametrize(
    ("before", "value", "kind"),
    [
        ("", f"{AREA}……稍等啊……{BORN}……最后四位{LAST}", "id_card"),
        ("前面六位是", f"{AREA}，中间八位{BORN}，后四位是{LAST}", "id_card"),
        ("号码：", f"{AREA}，您记一下，{BORN}，尾号{LAST}", "id_card"),
        ("", f"{AREA}，你别挂我拿一下证件，{BORN}{LAST}", "id_card"),
        ("手机", "138，中间四位2210，最后四位7745", "mobile"),
        ("手机号", "0086-138-2210-7745", "mobile"),
        ("座机：", "021—5566 7788", "landline"),
        ("传真", "0086 532 85741906", "landline"),
        ("固话+", "86-10-62874013", "landline"),
        ("护照号码是", "G，幺二三四，五六七八", "passport"),
        ("护照：", "EA-123-4567", "passport"),
        ("回乡证，", "H 0936 2751", "permit"),
        ("永居证", "GBR 3100 8801 0203", "permit"),
        ("税号", f"{CODE[:8]} {CODE[8:14]} {CODE[14:]}", "credit_code"),
        ("信用代码", f"{CODE[:2]}-{CODE[2:8]}-{CODE[8:]}".translate(_SPOKEN), "credit_code"),
        ("车牌苏", "A，6幺8K2", "plate"),
        ("车牌号沪", "，C，8八六五二", "plate"),
        ("发到", "zhang3 at 163 dot com", "email"),
        ("邮箱", "wang下划线88艾特一二六点com", "email"),
        ("微信号", "zhao杠1988", "wechat"),
        ("生日是", "八八年腊月二十", "birth_date"),
        ("我生日是", "一九七六年，正月，初三", "birth_date"),
        ("DOB ", "1990/01/02", "birth_date"),
        ("我叫", "慕容雪", "name"),
        ("投保人", "蔺晨", "name"),
        ("我同事", "鲍国安", "name"),
        ("名字叫", "买买提·艾力", "name"),
        ("我姓名栏填的是", "祁同伟", "name"),
        ("我老公在", "中铁四局", "employer"),
        ("给", "深圳市华兴电子厂", "employer"),
        ("我是", "南京外国语学校", "employer"),
    ],
)
def test_a_value_is_covered_in_every_form(before: str, value: str, kind: str) -> None:
    after = {"employer": "的老师" if "学校" in value else "打工"}.get(kind, "，好吧")
    text = f"嗯，{before}{value}{after}"
    findings = [finding for finding in find(text) if finding.kind == kind]
    begin, end = text.index(value), text.index(value) + len(value)
    covered = {index for finding in findings for index in range(finding.start, finding.end)}
    assert not [text[index] for index in range(begin, end) if text[index].isalnum() and index not in covered]


@pytest.mark.parametrize(
    "text",
    [
        "订单号是一三五，零零二二，六七八九",
        "一共1382元，然后还有2107，再有745块",
        "第一期一千三，第二期八百，后面再说",
        "请拨打400-820-8820转3，或者95588",
        "《条例》第13条第8款第22项",
        "晚上8点30到9点45，等一下再打",
        "我护照丢了，订单E1000234",
        "产品代码AX-1234-5678，请核对",
        "合同编号HT-91320106-8812",
        "川菜A套餐12345份",
        "合同2023-11-05签的，生效了",
        "生活费1990元，2024年3月5日结清",
        "我在一家物流公司上班，那个公司效益差",
        "在招联消费金融有限公司借的",
        "我是老师，在学校工作",
        "我朋友马上到，我老公常年在外，我儿子高考完",
        "联系人方式要改，借款人应当还款，业主管部门",
        "名字都写错了，姓名和名称都不对",
        "前三位一三八，后面忘了，尾号四零三九",
        "请在13日前还1382元，16日前还2210元",
    ],
)
def test_decoys_of_these_forms_stay(text: str) -> None:
    assert find(text) == ()


def answers(*talk: str) -> list[list[str]]:
    turns = [("agent" if number % 2 == 0 else "customer", text) for number, text in enumerate(talk)]
    return [[finding.kind for finding in findings] for findings in find_turns(Session(), turns)]


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        ("您的生日？", "嗯，八八年三月五号", "birth_date"),
        ("微信号多少？", "tangguo-1987", "wechat"),
        ("QQ呢？", "不用了，现在用283746150", "qq"),
        ("请报下姓名", "晏小山", "name"),
        ("请问您贵姓？", "姓王", "name"),
        ("您全名是？", "阿依努尔·买买提", "name"),
        ("在哪里上班？", "无锡市第三人民医院", "employer"),
        ("家庭住址？", "江宁区天元东路88号3栋201", "address"),
        ("信用代码报一下", CODE, "credit_code"),
        ("您护照号码？", "E12345678", "passport"),
    ],
)
def test_a_bare_answer_is_read_with_its_question(question: str, answer: str, kind: str) -> None:
    assert answers(question, answer) == [[], [kind]]


@pytest.mark.parametrize(
    "talk",
    [
        ("怎么称呼？", "不方便说"),
        ("您的姓名？", "不告诉你"),
        ("在哪里上班？", "没上班"),
        ("您单位全称？", "没有单位"),
        ("微信号？", "我不用微信"),
        ("家庭住址？", "不用，老地方"),
        ("订单号多少", "一三五", "嗯", "零零二二", "嗯", "六七八九"),
        ("金额多少", "一千三", "还有呢", "八百"),
        ("生日那天还能还吗", "2024年的账单3月再说"),
    ],
)
def test_answers_that_give_nothing_stay(talk: tuple[str, ...]) -> None:
    assert not any(answers(*talk))


def test_codes_and_dates_over_turns_are_joined() -> None:
    assert answers("护照号", "G", "嗯", "幺二三四", "好", "五六七八")[1::2] == [["passport"]] * 3
    assert answers("报一下扣扣", "二八三七", "嗯", "四六幺", "好")[1:4] == [["qq"], [], ["qq"]]
    assert answers("出生日期？", "一九九零年", "嗯", "三月", "几号", "五号")[1::2] == [["birth_date"]] * 3
    assert answers("请问区号", "零二五", "然后呢", "八四六零三九二七")[1::2] == [["landline"]] * 2


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("高峰", "早高峰堵车", 0),
        ("高峰", "高峰期再说，请找高峰，高峰先生", 2),
        ("江一帆", "祝您一帆风顺，一帆在吗", 1),
        ("安心", "安心吧，很安心", 0),
        ("安心", "您好，安心女士", 1),
        ("王建国", "建国以来最低，建国的账单", 1),
        ("阿依努尔·买买提", "阿依努尔你好，买买提先生", 2),
        ("麦穗儿", "请问是麦穗儿吗", 1),
    ],
)
def test_a_known_name_inside_an_ordinary_word_is_none(name: str, text: str, found: int) -> None:
    assert kinds(text, {"name": name}) == ["name"] * found


def test_checks_of_prefixes_and_of_the_new_residence_card() -> None:
    assert is_mobile("008613822107745") and is_mobile("8613822107745") and not is_mobile("0086138221077")
    assert is_landline("861062874013") and is_landline("008653285741906") and not is_landline("86162874013")
    body = "93139219800818067"
    assert is_resident_id(body + resident_id_check(body))
    assert not is_resident_id("99939219800818067" + resident_id_check("99939219800818067"))


PIECES = st.sampled_from(
    [
        AREA,
        BORN,
        LAST,
        "……稍等啊……",
        "，我翻一下包，",
        "，您记一下，",
        "最后四位",
        "中间八位",
        "出生日期那段",
        "护照E",
        " 1234 ",
        "，5678",
        CODE[:8],
        CODE[8:],
        "信用代码",
        "京N，",
        "八六三幺二",
        "li下划线",
        "wei88",
        " at ",
        "艾特",
        "126",
        " dot ",
        "点com",
        "微信",
        "腊月",
        "初八",
        "八八年",
        "生日",
        "名字叫",
        "买买提·艾力",
        "我同学",
        "晏知秋",
        "也",
        "一帆",
        "风顺",
        "高峰",
        "期",
        "早",
        "在",
        "南京",
        "宏达机械有限公司",
        "干了",
        "我是",
        "实验小学",
        "的老师",
        "单位",
        "，",
        "等一下",
        "+86-",
        "0086",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    text=st.lists(st.one_of(PIECES, st.text(alphabet="一1A，。 的是-:年", max_size=3)), max_size=12).map("".join),
    cuts=st.lists(st.integers(0, 120), max_size=20),
    known=st.sampled_from([None, {"name": "江一帆"}, {"name": "高峰"}]),
)
def test_these_forms_are_masked_in_a_stream_as_in_the_whole(
    text: str, cuts: list[int], known: dict[str, str] | None
) -> None:
    assert text_of(masked_stream(text, cuts, known)) == mask(text, known).text
