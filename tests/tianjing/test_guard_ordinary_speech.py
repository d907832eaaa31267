"""What a service desk says all day passes the guard whole, although words of abuse and threat are part of it."""

from __future__ import annotations

import datetime

import pytest

from tianjing.guard import Guard, RulebookDetector
from tianjing.rulebook import Rulebook

BOOK = Rulebook.load().on(datetime.date(2026, 11, 1)).within("consumer_finance")
DETECTOR = RulebookDetector(BOOK.matcher())
DIGITS = "零一二三四五六七八九"
ORDINARY = """
    领取你的优惠券
    系统会调整你的额度
    您知道上个月的账单金额吗
    我们会通过渠道上报
    还有别的金融知识相关的问题吗
    认识相关负责人吗
    已作废你的旧申请
    需要你命名这个文件
    系统已扣人民币五百元
    昨天从您卡里代扣车贷一千元
    您的电话一直打不通
    页面一直打不开
    热线二十四小时不间断为您服务
    今天网络不太好，请稍等
    每天网点九点开门
    请您接下来抓紧时间提交材料
    系统会抓取人脸，抓人脸时请正对屏幕
    您的交易被判定为异常
    子账号子账户都可以登录
    我们接受监管部门的监督
    我们接收监管部门的检查意见
    车辆抵押走线上流程即可
    我们会把你关心的问题记下
    公司发布控股信息
    以下作为参考
    线下作业的流程不同
    当下作出的决定
    我们已经起草你的分期协议
    今日你的额度已恢复
    扣款失败类型有三种
    收入依赖子女的话请说明
    以后生活该怎么安排
    为您说明白活动规则
    国家教育贷款政策
    按汇率分配为人民币
    就是垃圾短信，请忽略
    固体废物处理费
    申请没门槛
    只要钱到账就会通知您
    您减免费用的申请已提交
    免费用户也可以使用
    本金五千利息三十元
    本金5000利息30元
    本期500费用另计
    请您明白借款合同的内容
    不要签空白借条
    红包过期不补
    材料请务必过目
    标准过高的话可以申诉
    批准过程大约三天
    平稳过渡
    加强开放银行合作
    本产品不是民间借贷
    其他平台提醒您的事项请核实
    过路过桥费可以抵扣
    一套现金分期方案
    可以减轻生活压力
    年轻生意人也能申请
    提前结清免收手续费五十元
    您本月消费五百元
    消费五千元以上可分期
    手续费五元
    服务费五块
    请您在系统里设置障碍提醒
    公司裁减人员的证明
    公司精简人员后您失业了
    必须审核身份证
    需要审核材料
    程序升级中，请稍后
    手续审核需要三天
    继续审核中
    您已支付过一次
    支付过程中请勿退出
    中心拒绝了这笔交易
    进行拒绝的话请说明原因
    请问是陶先生吗
    请问是王涛先生吗
    请问是李敏经理吗
    请问卓老师在吗
    我是客服郭敏
    您好，闵经理
    当地不支持线下办理
    快递不到的地区请自取
    目的地不在服务范围
    您可以在本地部门咨询
    同几位同事确认过
    通过微信沟通即可
    请您短信沟通
    清楚申请流程了吗
    基础申请资料
    续申请需要本人办理
    视神经病变可申请困难减免
    您说孩子小儿脑瘫需要康复
    养殖户育肥猪贷款
    病死猪有保险赔付
    您做家教的收入也可以算
    今年没种地也可以申请
    无门槛优惠券可叠加
    您可以去4s店提车
    原价除去450元
    再扣去400元
    给您打4折，您看可以吗
    工号12378123
    订单号1101234
    您的尾号是1100
    请不要脸朝下
    刷脸时不要脸部离得太近
    请用安装死锁检测工具
    您跟孙子一起住吗
    您可以滚动屏幕，你滚动到底部就能看到
    打断一下，我先核对信息
    一针见血
    拳头产品
    我们正在不断打磨产品
    十三点二十分开庭
    下午十三点还款也可以
    额度一万二百五
    二百五十期
    二百五十分之一
    第二百五十条
    第十三点说明
    共十三点要求
    这十三点都写在合同里
    合同里一共有十三点
    要点十三点
""".split()


def in_words(number: int) -> str:
    """A number from 0 to 9,999 as it is said: 1250 is 一千二百五十."""
    if number < 10:
        return DIGITS[number]
    said, skipped = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit:
            said += ("零" if skipped and said else "") + DIGITS[digit] + name
        skipped = not digit
    return said.removeprefix("一") if 10 <= number < 20 else said


def released(text: str, size: int = 0) -> str:
    """What the guard lets through of `text`, pushed whole or in pieces."""
    guard = Guard([DETECTOR])
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    return "".join(guard.push(piece).text for piece in pieces) + guard.finish().text


def cut(texts: list[str]) -> list[str]:
    return [text for text in texts if released(text) != text]


@pytest.mark.parametrize("form", ["您本期应还{}元", "{}块的手续费已经退给您", "到账{}，请查收"])
def test_no_amount_in_words_is_cut(form: str) -> None:
    # Colloquially a last unit is left out: 三千二百五.
    amounts = [in_words(number) for number in range(1, 10_000)]
    assert cut([form.format(amount) for amount in (*amounts, *(said.removesuffix("十") for said in amounts))]) == []


def test_no_rate_in_words_is_cut() -> None:
    rates = [f"百分之{in_words(whole)}点{DIGITS[tenths]}" for whole in range(100) for tenths in range(10)]
    assert cut([f"综合年化利率为{rate}{hundredths}" for rate in rates for hundredths in ("", *DIGITS)]) == []


@pytest.mark.parametrize(
    "form", ["请于今晚{}前完成还款", "客服的工作时间到{}", "{}扣款，请保持余额充足", "您约的是{}。"]
)
def test_no_clock_time_in_words_is_cut(form: str) -> None:
    hours = [f"{in_words(hour)}点" for hour in range(24)]
    minutes = ["", "整", "半", "钟", *(f"{'零' if m < 10 else ''}{in_words(m)}分" for m in range(1, 60))]
    assert cut([form.format(hour + minute) for hour in hours for minute in minutes]) == []


def test_no_number_in_digits_is_cut() -> None:
    forms = ("本金{}利息30元", "本期{}费用另计", "再扣去{}元", "满{}门槛可用", "厚度{}nm的芯片")
    assert cut([form.format(number) for form in forms for number in range(10, 1000)]) == []


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_sentences_of_a_desk_pass(text: str) -> None:
    assert released(text) == text


@pytest.mark.parametrize(
    "form", ["请问是王{}先生吗", "您好，{}先生", "请问是{}女士本人吗", "我找{}经理", "请{}老师接电话"]
)
def test_a_name_before_a_title_is_no_disguise(form: str) -> None:
    names = "陶涛韬滔桃敏闵铭名明茗珉岷卓左佐正政郑志智芝任仁健建剑慧惠龙隆泰达福富国果"
    assert cut([form.format(name) for name in names]) == []


def held(text: str) -> list[int]:
    """Characters held back after each character of `text`."""
    stream, counts = Guard([DETECTOR]).open(), []
    for char in text:
        stream.push(char)
        counts.append(stream.held)
    return counts


def test_what_may_be_part_of_a_longer_word_is_held_no_longer_than_any_phrase() -> None:
    # A hit waits for what may call it wrong (20 characters), and a sentence under suspicion is looked at every 16.
    assert max(held("找死角拍摄会失败，请换一个光线好的地方再试一次，谢谢您的配合和理解")) <= 20 + 16
    # What stands before a word is known at once: such a number is held like any other.
    assert held("本期应还一千二百五十元，请按时存入") == held("本期应还一千二百三十元，请按时存入")


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    "text",
    [
        "您本期应还一千二百五十元",
        "综合年化利率为百分之十三点六八",
        "请于今晚二十三点五十九分前完成还款",
        "请联系您妈妈的银行解绑",
        "请问是您爱人还是您妈妈的手机号",
        "请您去死者户籍所在地开证明",
        "请您不要脸上有遮挡，重新人脸识别",
        "找死角拍摄会失败",
    ],
)
def test_a_word_that_is_part_of_another_is_not_cut_out(text: str, size: int) -> None:
    assert released(text, size) == text


@pytest.mark.parametrize(
    "text",
    ["你这个二百五", "你他妈的还不还钱", "去死吧你", "你找死是吧", "你真是个十三点", "侬只十三点", "妈的，接电话"],
)
def test_the_same_words_said_to_a_person_are_cut(text: str) -> None:
    assert released(text) != text
    assert released(text, 1) == released(text)
