"""Which words bring a person to the phone, and which do not."""

import pytest

from serving.handoff.signals import detect, reply
from tianjing.tasks import TASKS, prompt

PERSON = {
    "complaint": [
        "你们态度太差了，我要投诉你们！",
        "投诉！",
        "我 要 投 诉",
        "再打电话我就去12378举报",
        "信不信我向银保监会反映",
        "我已经咨询律师了",
        "我会起诉你们的",
        "咱们法院见",
        "你们再不处理我就投诉",
        "我不得不投诉了",
        "这事儿我一定要曝光",
        "我找了律师，你们等着吧",
        "问题：乱收费\n我要投诉",
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
    "我家人生病住院了，能缓几天吗",
    "我公司倒闭了，没收入",
    "征信会不会受影响？",
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
