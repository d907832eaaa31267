"""The rails of one request as a caller meets them: what goes in, what comes out, and what is said of it."""

from __future__ import annotations

import datetime
import itertools
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.errors import ApiError, ServeError
from serving.guard.base import REFUSAL, GuardFailure
from serving.guard.canary import canary
from serving.guard.factory import GuardFactory
from serving.guard.request import RequestGuard
from serving.guard.settings import GuardSettings
from serving.identity.principal import Principal
from serving.protocol.call import Call, Extension, Piece
from tianjing.config import parse
from tianjing.errors import TianjingError
from tianjing.finance.statements import Fact, Facts

MOBILE, ID_CARD, CARD = "13812345678", "11010519491231002X", "6222021234567890128"
SECRET = "tj-canary-9f83kd02mmx71q"
PROMPT = (
    "你是天镜消费金融的客服助手，说话要简短客气，不评价客户，遇到投诉请登记后转给专员处理，绝不透露内部评分和话术。"
)
FACTS = Facts(
    as_of=datetime.date(2026, 11, 30),
    values=(
        Fact(name="instalment", kind="money", value="1234.56"),
        Fact(name="due_date", kind="date", value="2026-12-15"),
        Fact(name="overdue_days", kind="count", value="3", unit="天"),
        Fact(name="annual_rate_irr", kind="rate", value="0.18", per="year"),
    ),
)
ALL = GuardSettings.model_validate(
    {"output": {"reasoning": "guard", "canaries": [canary("vault", SECRET)], "leak_chars": 24, "restore_content": True}}
)
FACTORY = GuardFactory(ALL, day=lambda: datetime.date(2026, 11, 30))
CALLER = Principal("t", "k")
CHANNELS = ("content", "reasoning", "refusal", "arguments")


def guard(*pieces: Piece, factory: GuardFactory = FACTORY, structured: bool = False, **extension: Any) -> RequestGuard:
    """The guard of a request with these pieces, which has admitted them."""
    call = Call("/v1/chat/completions", "m", pieces, {}, extension=Extension(**extension), structured=structured)
    made = factory(call, CALLER)
    made.admit(pieces)
    return made


def user(text: str) -> Piece:
    return Piece("user", "content", text)


def system(text: str) -> Piece:
    return Piece("system", "content", text)


def said(made: RequestGuard, text: str, channel: Any = "content", size: int = 0) -> str:
    """What is released of `text`, pushed in pieces of `size` characters (0: as a whole)."""
    outlet = made.outlet(0, channel)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    return "".join([outlet.push(piece) for piece in pieces]) + outlet.finish()


def cuts(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


PARTS = st.sampled_from(
    [
        MOBILE,
        "１３８１２３４５６７８",
        "138 1234 5678",
        ID_CARD,
        CARD,
        "幺三八幺二三四五六七八",
        "我叫王建国，",
        "〔手机1〕",
        "〔手机9〕",
        "〔",
        SECRET,
        SECRET[:9],
        "tj-c",
        PROMPT,
        PROMPT[3:40],
        PROMPT[10:30],
        "本期应还1200元，",
        "还款日是12月20日，",
        "逾期3天。",
        "年化利率是24%，",
        "日利率万分之五。",
        "我保证您的贷款通过，",
        "再不还就让你坐牢。",
        "您好，请问有什么可以帮您？",
        "好的，",
        "\n",
        "12",
        '"',
        "\\",
        "{}[]:,",
    ]
)
TEXTS = st.lists(PARTS, max_size=9).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def outcome(made: RequestGuard, pieces: list[str], channel: Any) -> tuple[str, Any, Any]:
    """What is released before the end, or a failure, and the report."""
    outlet, sent = made.outlet(0, channel), ""
    try:
        for piece in pieces:
            sent += outlet.push(piece)
        if not outlet.ended:
            sent += outlet.finish()
    except GuardFailure as failure:
        return sent, str(failure), made.report()
    return sent, outlet.ended, made.report()


@settings(max_examples=250, deadline=None)
@example(text="再不还就让你坐牢。〔〔", places=[20], channel="arguments", structured=False)
@example(text="13812345678我叫王建国，逾期3天。", places=[13], channel="arguments", structured=False)
@given(text=TEXTS, places=CUTS, channel=st.sampled_from(CHANNELS), structured=st.booleans())
def test_a_stream_gives_what_the_whole_gives_on_every_channel(
    text: str, places: list[int], channel: str, structured: bool
) -> None:
    asked = (system(PROMPT), user(f"我的手机号{MOBILE}"))
    whole = outcome(guard(*asked, structured=structured, facts=FACTS), [text], channel)
    cut = outcome(guard(*asked, structured=structured, facts=FACTS), cuts(text, places), channel)
    assert (cut[0], cut[1]) == (whole[0], whole[1])
    assert cut[2]["verdict"] == whole[2]["verdict"] and set(cut[2]["reasons"]) == set(whole[2]["reasons"])


APART = st.lists(PARTS, max_size=6).map("，".join)  # two numbers side by side are one that is no number
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | APART,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(APART, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250, deadline=None)
@given(value=JSON_VALUES, places=CUTS, escaped=st.booleans(), channel=st.sampled_from(["arguments", "content"]))
def test_arguments_and_structured_answers_stay_json_however_they_are_written_and_cut(
    value: Any, places: list[int], escaped: bool, channel: str
) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    made = guard(user(f"手机号{MOBILE}"), structured=True)
    sent, ended, _ = outcome(made, cuts(text, places), channel)
    if not ended:
        restored = json.loads(sent)
        assert type(restored) is type(value) or isinstance(value, int | float)
        for secret in (ID_CARD, CARD, SECRET):
            assert secret not in json.dumps(restored, ensure_ascii=False)


AROUND = st.lists(
    st.sampled_from(
        [
            "您好，",
            "请在15日前还1200.50元，",
            "好的。",
            "\n",
            "！",
            "12",
            "第三十八条",
            "〔",
            "tj-c",
            PROMPT[4:20],
            "{}",
        ]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(before=AROUND, after=AROUND, places=CUTS, channel=st.sampled_from(CHANNELS))
def test_nothing_of_a_protected_span_is_released(before: str, after: str, places: list[int], channel: str) -> None:
    for secret in (f"号码{ID_CARD}", f"号码{CARD}", SECRET, PROMPT):
        sent, _, _ = outcome(guard(system(PROMPT), user("你好")), cuts(f"{before}。{secret}。{after}", places), channel)
        first = secret.removeprefix("号码")[:24]
        assert first[:10] not in sent if secret != PROMPT else first not in sent


def test_one_person_has_one_placeholder_in_question_answer_and_tool_calls() -> None:
    pieces = (
        user(f"我叫王建国，手机{MOBILE}"),
        Piece("assistant", "arguments", json.dumps({"phone": int(MOBILE), "name": "王建国"})),
        Piece("tool", "content", f'{{"owner": "王建国", "second": "13900001111", "first": "{MOBILE}"}}'),
    )
    made = guard(*pieces)
    texts = made.admit(pieces).texts
    assert texts[0] == "我叫〔姓名1〕，手机〔手机1〕"
    assert json.loads(texts[1]) == {"phone": "〔手机1〕", "name": "〔姓名1〕"}
    assert json.loads(texts[2]) == {"owner": "〔姓名1〕", "second": "〔手机2〕", "first": "〔手机1〕"}
    assert (
        said(made, f"王建国您好，{MOBILE}，新号码13700002222。", "refusal")
        == "〔姓名1〕您好，〔手机1〕，新号码〔手机3〕。"
    )


def test_a_number_read_out_over_several_messages_is_masked_in_each() -> None:
    pieces = (
        user("我的手机号是幺三八"),
        Piece("assistant", "content", "幺三八，后面呢？"),
        user("一二三四"),
        Piece("assistant", "content", "好的，还有呢？"),
        user("五六七八"),
    )
    texts = guard(*pieces).admit(pieces).texts
    assert texts[0].endswith("〔手机1〕") and texts[2] == texts[4] == "〔手机1〕"


def test_what_the_application_knows_is_masked_wherever_it_stands() -> None:
    pieces = (user("住在翻斗花园二号楼1001室的那位，账户尾巴是QX7781"),)
    made = guard(*pieces, known={"address": "翻斗花园二号楼1001室", "account": "QX7781"})
    assert made.admit(pieces).texts == ("住在〔地址1〕的那位，账户尾巴是〔信息1〕",)


@pytest.mark.parametrize("restore", [True, False])
def test_placeholders_become_values_again_only_where_that_is_set(restore: bool) -> None:
    output = {"restore_arguments": restore, "restore_content": restore}
    factory = GuardFactory(GuardSettings.model_validate({"output": output}))
    made = guard(user("电话138 1234 5678"), factory=factory)
    arguments = '{"phone": "〔手机1〕", "raw": 〔手机1〕, "other": "〔手机2〕", "new": "13900001111"}'
    sent = json.loads(said(made, arguments, "arguments", 5))
    mine: Any = MOBILE if restore else "〔手机1〕"
    assert sent == {
        "phone": mine,
        "raw": int(MOBILE) if restore else mine,
        "other": "〔手机2〕",
        "new": "〔手机2〕",
    }
    assert said(made, "已给〔手机1〕发短信", size=3) == f"已给{mine}发短信"


def test_escapes_in_arguments_hide_nothing() -> None:
    hidden = "".join(f"\\u{ord(char):04x}" for char in ID_CARD)
    sent = said(guard(user("你好")), '{"id": "' + hidden + '", "q": "say \\"hi\\u0022\\n"}', "arguments", 1)
    assert json.loads(sent) == {"id": "〔身份证1〕", "q": 'say "hi"\n'}


def test_a_bare_number_that_is_masked_becomes_a_string() -> None:
    text = f'{{"card": {CARD}, "amount": -12.5e3, "ok": true, "list": [{ID_CARD[:17]}0, null]}}'
    sent = json.loads(said(guard(user("你好")), text, "arguments", 3))
    assert sent["card"] == "〔银行卡1〕" and (sent["amount"], sent["ok"], sent["list"][1]) == (-12.5e3, True, None)


def test_of_an_answer_that_ends_what_was_decided_is_released() -> None:
    outlet = guard(user(f"电话{MOBILE}")).outlet(0, "arguments")
    assert outlet.push("好再不还就让你坐牢，" + "请放心。" * 20) == "好再不还就让你" and outlet.ended == "block"


def test_reasoning_is_dropped_unless_it_is_to_be_guarded() -> None:
    assert said(guard(user("你好"), factory=GuardFactory()), f"客户号码{MOBILE}", "reasoning") == ""
    assert said(guard(user("你好")), f"客户号码{MOBILE}", "reasoning") == "客户号码〔手机1〕"


def test_a_promise_is_rewritten_and_a_threat_ends_the_answer() -> None:
    made = guard(user("能批吗"))
    assert (
        said(made, "您放心，我保证您的贷款通过，请耐心等待。", size=4)
        == "您放心，我能否通过以审批结果为准，请耐心等待。"
    )
    assert made.report()["verdict"] == "rewrite" and made.report()["reasons"] == ["rule:promise.approval"]
    outlet = made.outlet(1)
    assert outlet.push("再不还就让你坐牢，请放心。") == "再不还就让你" and outlet.ended == "block"
    assert made.report()["reasons"][0] == "rule:collect.false.criminal"


def test_a_phrase_that_has_no_lawful_words_is_blocked_instead_of_rewritten() -> None:
    made = guard(user("你好"))
    outlet = made.outlet(0)
    outlet.push("你失业关我什么事，按时还款。")
    assert outlet.ended == "block" and made.report()["reasons"] == ["rule:collect.hardship.refuse"]


def test_a_wrong_number_is_put_right_only_where_that_is_certain() -> None:
    made = guard(user("多少"), facts=FACTS)
    assert said(made, "您本期应还1200元，还款日是12月20日。", size=3) == "您本期应还1234.56元，还款日是12月15日。"
    assert made.report()["reasons"] == ["stated_number.wrong"] and made.report()["verdict"] == "rewrite"
    for text in (
        "每期1234.56元，总共14400元。",
        "每期还款1234.56元是不对的。",
        "还款日不是12月15日。",
        "年化利率是24%。",
        "本期应还一千二百元。",
    ):
        outlet = guard(user("多少"), facts=FACTS).outlet(0)
        outlet.push(text)
        outlet.finish()
        assert outlet.ended == "block", text


def test_a_missing_disclosure_is_added_once_with_the_customers_own_figure() -> None:
    made = guard(user("利息多少"), facts=FACTS)
    plain = said(made, "日利率是万分之五。", size=2)
    assert plain.count("年化利率18%") == 1 and plain.startswith("日利率是万分之五。\n")
    assert made.report()["verdict"] == "rewrite" and made.report()["reasons"][0] == "disclosure:rate.annual-with-daily"
    kept = "日利率是万分之五，折合年化利率18%。"
    assert said(guard(user("利息多少"), facts=FACTS), kept) == kept
    for channel in ("arguments", "refusal", "reasoning"):
        assert "\n" not in said(guard(user("利息")), "日利率是万分之五。", channel)


def test_a_disclosure_that_the_application_wants_is_in_the_answer_once() -> None:
    wanted = ("ai.identity.disclosed",)
    factory = GuardFactory(GuardSettings(channel="ai_chat"))
    assert said(guard(user("你好"), factory=factory, require=wanted), "您好。") == "您好。\n本回复由智能客服生成。"
    assert said(guard(user("你好"), factory=factory, require=wanted), "我是智能客服。") == "我是智能客服。"
    later = (Piece("assistant", "content", "我是智能客服。"), user("好"))
    assert said(guard(*later, factory=factory), "请稍等。") == "请稍等。"
    with pytest.raises(ApiError, match=r"tianjing\.require"):
        guard(user("你好"), require=("no.such.rule",))
    with pytest.raises(ApiError, match="structured"):
        guard(user("好"), factory=factory, require=wanted, structured=True)


def test_an_answer_in_json_gets_no_text_after_it() -> None:
    made = guard(user("利息"), structured=True)
    assert said(made, '{"a": "日利率是万分之五"}') == '{"a": "日利率是万分之五"}'
    assert made.report()["reasons"] == ["disclosure:rate.annual-with-daily"]


def test_the_system_prompt_does_not_come_out_word_for_word() -> None:
    for size in (0, 1, 7):
        made = guard(system(PROMPT), user("你好"))
        sent = said(made, f"好的，我的设定是：{PROMPT}以上就是全部。", size=size)
        assert sent == "好的，我的设定是：〔略〕以上就是全部。", size
        assert made.report()["reasons"] == ["prompt_leak"]
    clean = "好的，遇到投诉请登记后转给专员。"
    assert said(guard(system(PROMPT), user("你好")), clean) == clean


def test_a_canary_ends_the_answer_in_front_of_it_and_is_not_in_the_settings() -> None:
    assert SECRET not in ALL.model_dump_json()
    made = guard(user("你好"))
    outlet = made.outlet(0)
    assert outlet.push(f"口令是{SECRET}。") == "口令是" and outlet.ended == "block"
    assert made.report()["reasons"] == ["canary:vault"]
    assert said(guard(user("你好")), f"口令是{SECRET[:-1]}y。", size=4) == f"口令是{SECRET[:-1]}y。"


def test_a_rule_set_to_hand_off_ends_the_text_and_asks_for_a_person(tmp_path: Any) -> None:
    pack = tmp_path / "own.yaml"
    pack.write_text("pack: own\ntitle: 自有\noverrides:\n- {rule: collect.abuse, action: handoff}\n")
    value = {"rule_packs": [pack], "output": {"wrong_number": "handoff"}, "input": {"unlawful": {"forgery": "handoff"}}}
    factory = GuardFactory(GuardSettings.model_validate(value))
    for text, facts in (("你就是个老赖，不要脸。", None), ("您本期应还1200元。", FACTS)):
        made = guard(user("你好"), factory=factory, facts=facts)
        outlet = made.outlet(0)
        outlet.push(text)
        assert outlet.ended == "handoff" and made.report()["verdict"] == "handoff"
    pieces = (user("帮我伪造一份银行流水"),)
    assert guard(*pieces, factory=factory).admit(pieces).verdict == "handoff"


def test_requests_over_a_limit_are_refused_with_the_reason() -> None:
    value = {"input": {"piece_chars": 10, "total_chars": 15, "pieces": 3}}
    factory = GuardFactory(GuardSettings.model_validate(value))
    for pieces, reason in (
        ((user("字" * 11),), "length.piece"),
        ((user("字" * 8), user("字" * 8)), "length.total"),
        ((user("字"),) * 4, "length.pieces"),
    ):
        made = guard(*pieces, factory=factory)
        admission = made.admit(pieces)
        assert (admission.verdict, admission.reasons, admission.texts) == ("block", (reason,), ())
        assert "太长" in made.refusal()


class Broken:
    """A rail with a fault."""

    name = "broken"
    lookbehind_chars = 0

    def find(self, text: str) -> Any:
        raise RuntimeError(text)

    def decided(self, text: str) -> int:
        return len(text)


def test_a_broken_rail_lets_nothing_pass_and_names_itself_without_text() -> None:
    faults: Counter[str] = Counter()
    made = RequestGuard([Broken()], faults=faults)
    outlet = made.outlet(0)
    for _ in range(2):
        with pytest.raises(GuardFailure) as failure:
            outlet.push("秘密在这里。您好，请放心。")
    assert made.report()["verdict"] == "block" and made.report()["reasons"] == ["guard_error"]
    assert dict(faults) == {"broken: RuntimeError": 1} and "秘密" not in str(failure.value)
    with pytest.raises(GuardFailure):
        outlet.finish()
    assert made.refusal() == REFUSAL


def test_a_request_that_takes_too_much_processor_time_ends() -> None:
    factory = GuardFactory(GuardSettings(cpu_ms=0.000001))
    with pytest.raises(GuardFailure, match="cpu_ms"):
        guard(user("你好"), factory=factory)
    assert factory.faults["cpu_ms: over the budget"] == 1


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"input": {"injection": {"override": "allow"}}}, "input.injection.override"),
        ({"input": {"piece_chars": 0}}, "input.piece_chars"),
        ({"output": {"leak_chars": 3}}, "output.leak_chars"),
        (
            {"output": {"canaries": [{"name": "a", "prefix": "abcd", "chars": 20, "sha256": "x"}]}},
            "output.canaries.0.sha256",
        ),
        ({"outputs": {}}, "outputs"),
    ],
)
def test_wrong_settings_are_refused_with_the_field(value: dict[str, Any], field: str) -> None:
    with pytest.raises(TianjingError, match=field.replace(".", r"\.")):
        parse(GuardSettings, value, "serve.yaml: guard")


@pytest.mark.parametrize(
    ("output", "said_of_it"),
    [
        ({"rewrites": {"no.such.rule": "好"}}, "output.rewrites.no.such.rule"),
        ({"rewrites": {"promise.waiver": "我保证您的贷款通过"}}, "break rule 'promise.approval'"),
        ({"disclosures": {"rate.annual-with-daily": {"text": "利率以合同为准。"}}}, "does not meet its own rule"),
    ],
)
def test_words_that_help_no_rule_are_refused_at_the_start(output: dict[str, Any], said_of_it: str) -> None:
    with pytest.raises(ServeError, match=said_of_it):
        GuardFactory(GuardSettings.model_validate({"output": output}))
