"""Which words bring a person to the phone, and which do not."""

import time

import pytest

from serving.handoff.signals import KINDS, detect, reply, unhelpful
from tianjing.tasks import TASKS, prompt
from tianjing.tasks.handoff_triage import REASONS

PERSON = {
    "complaint": [
        "你们态度太差了，我要投诉你们！",
        "投诉！",
        "我 要 投 诉",
        "再打电话我就去12378举报",
        "信不信我向银保监会反映",
        "你们再不处理我就投诉",
        "我不得不投诉了",
        "这事儿我一定要曝光",
        "问题：乱收费\n我要投诉",
        "你们催收的态度太恶劣了",
        "昨天那个业务员骂我",
        "我上次投诉的事怎么还没人管",
    ],
    "lawyer": [
        "我已经咨询律师了",
        "我会起诉你们的",
        "咱们法院见",
        "我找了律师，你们等着吧",
        "我直接报警处理",
        "再这样我就向金融监管总局反映",
    ],
    "self_harm": [
        "我真的不想活了",
        "逼得我只能跳楼",
        "这日子活不下去了",
        "没钱还，死了算了",
        "我没有要自杀，就是活着没意思",
    ],
    "third_party": [
        "我不是本人，你打错了",
        "我不是他本人，别再打了",
        "别打给我家人",
        "你们凭什么给我单位打电话",
        "不要再联系我父母了",
        "我是他老婆，他不在",
        "我不认识这个人",
    ],
    "fraud": [
        "这笔钱不是我借的",
        "有人冒用我的身份证",
        "我从来没在你们平台借过钱",
        "我被骗了，钱不是我用的",
        "别人拿我的身份证办的",
    ],
    "dispute": [
        "账单金额不对，我只借了5000",
        "我上周已经还了，怎么还显示逾期",
        "征信上的逾期记录是错的",
        "我没借过你们的钱",
        "没经过我同意就扣了会员费",
    ],
    "hardship": [
        "我上个月失业了，现在没有收入",
        "我家人生病住院了，能缓几天吗",
        "我公司倒闭了，没收入",
        "家里遭了洪水，房子都冲了",
        "我老公上个月去世了",
        "我是残疾人，干不了活",
    ],
    "human_wanted": [
        "转人工",
        "人工！",
        "能不能找个真人跟我说",
        "叫你们经理来",
        "不要机器人，给我接人工",
        "有没有人啊",
    ],
    "repeated_failure": ["我都问了三遍了，你还是答非所问", "每次都是这几句，根本没解决"],
}
MODEL = [
    "我这个月工资晚发，可以晚几天还款吗？",
    "投诉电话是多少？",
    "请问怎么投诉？",
    "投诉多久有处理结果？",
    "我不是要投诉，就是想问问利息怎么算",
    "我没说要投诉你们，别误会",
    "我不想投诉，只想分期",
    "《投诉处理管理办法》第八条是什么意思？",
    "上次那个客户说：“我要投诉你们”，后来怎么处理的？",
    "超市跳楼价大甩卖，钱都花光了",
    "这不是我借的吗，为什么还要提供证明",
    "我之前没还过款，第一次逾期",
    "我收到一封律师函，是真的吗",
    "我是本人",
    "征信会不会受影响？",
    "失业可以申请延期吗",
    "如果失业了怎么办",
    "我朋友失业了，他能申请延期吗",
    "我没有失业，只是工资晚发",
    "你们会起诉我吗",
    "逾期了会报警吗",
    "会通知我的紧急联系人吗",
    "不用转人工，你告诉我就行",
    "人工客服几点上班",
    "怎么防止被骗",
    "你们是不是骗子",
    "我已经还了，能再借吗",
    "我要找一家有残疾人设施的酒店",
    "我打算去世界公园",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PERSON.items() for text in texts])
def test_goes_to_a_person(kind: str, text: str) -> None:
    assert kind in [signal.kind for signal in detect(text)]


@pytest.mark.parametrize("text", MODEL)
def test_the_model_may_answer(text: str) -> None:
    assert detect(text) == ()


def test_the_most_urgent_reason_decides_the_reply() -> None:
    signals = detect("我要投诉你们，逼得我不想活了")
    assert [signal.kind for signal in signals] == ["self_harm", "complaint"]
    assert "12356" in reply(signals, "H1") and "H1" in reply(signals, "H1")


def test_rules_in_a_prompt_are_not_the_customers_words() -> None:
    clauses = [{"id": "c1", "label": "《投诉处理管理办法》第三条", "text": "客户要投诉的，应当在一个工作日内登记。"}]
    fields = {"clauses": clauses, "question": "宽限期有几天？"}
    for wording in range(3):
        assert detect(prompt(TASKS["policy_qa"], fields, wording)[-1].content, "policy_qa") == ()


def test_a_customers_turn_in_a_call_counts() -> None:
    turns = [
        {"speaker": "agent", "text": "您好，您的账单已经逾期了。"},
        {"speaker": "customer", "text": "你们天天打电话，我要投诉！"},
    ]
    for wording in range(3):
        text = prompt(TASKS["next_reply"], {"turns": turns}, wording)[-1].content
        assert [signal.kind for signal in detect(text, "next_reply")] == ["complaint"]


def test_an_inspector_may_read_about_complaints() -> None:
    fields = {"rules": [{"id": "Q01", "title": "威胁恐吓"}], "customer": "我要投诉你们", "agent": "您别着急。"}
    text = prompt(TASKS["quality_inspection"], fields)[-1].content
    assert detect(text, "quality_inspection") == ()


def test_a_router_may_ask_about_a_complaint() -> None:
    fields = {"turns": [{"speaker": "customer", "text": "我要投诉你们！"}]}
    for task in ("handoff_triage", "complaint_prediction", "call_summary"):
        assert detect(prompt(TASKS[task], fields)[-1].content, task) == ()


def test_reasons_are_those_that_the_model_is_trained_on() -> None:
    assert KINDS[:-1] == tuple(REASONS)


@pytest.mark.parametrize("text", ["怎么投诉" * 50_000, "我" * 200_000, "不是我借的吗，" * 30_000])
def test_the_work_grows_no_faster_than_the_text(text: str) -> None:
    def cpu_s(length: int) -> float:
        began = time.process_time()
        detect(text[:length])
        return time.process_time() - began

    assert cpu_s(160_000) < 24 * cpu_s(20_000) + 0.5


def test_only_messages_that_say_so_count_as_unhelpful() -> None:
    assert unhelpful(["没用", "答非所问", "你还是没听懂"]) == 3
    assert unhelpful(["谢谢，很有用", "利息怎么算", "这张卡没用过", "我还有用"]) == 0
