"""Talks with known practices, written out by hand: what is made of them for tests of what is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_recipes.config import BuildConfig, PracticesConfig
from data_recipes.knowledge import Knowledge, QualityRule
from data_recipes.selection import select
from data_recipes.tasks.draft import Draft
from data_recipes.tasks.mediation import draft_mediation
from data_recipes.tasks.next_reply import draft_next_reply
from data_recipes.tasks.preferences import draft_preferences
from data_recipes.tasks.verdicts import Verdicts
from tests.data_recipes.calls import all_train, articles, call, ended, logged
from tianjing.records import Dialogue, Event, Outcome, Practice, Preference, Support

MINING = PracticesConfig()
CONFIG = BuildConfig()
CLAUSES = articles(
    "还款安排办法", "延期还款每次最长30日。", "分期还款的期数为3至24期。", "因病住院的，暂停催收。", "投诉当日答复。"
)
ITEMS = [QualityRule(id="Q01", title="威胁恐吓", text="以安全相威胁。")]
# Situation, then what the agent may say to it; the first act of each is the practice that works.
TALK: dict[str, tuple[str, dict[str, str]]] = {
    "失业": (
        "活儿都停了，愁得睡不着。",
        {
            "offer_deferral": "换作是我也难，我理解您。给您申请延期，缓一段再还。",
            "demand_full_payment": "请您全额还清。",
            "confirm_date": "约个日期，您看哪天？",
        },
    ),
    "多头负债": (
        "好几家都在催我。",
        {"offer_instalment": "给您办分期，按月还。", "demand_full_payment": "请您一次性结清。"},
    ),
}

EACH = [(s, text, kept) for s, (_, said) in TALK.items() for text in said.values() for kept in (1, 0)]
# Two acts in one reply, of which either may be vetoed.
BOTH = [
    ("失业", "给您申请延期，缓一段；要不您全额还清。", 1),
    ("多头负债", "给您办分期，按月还；要不您一次性结清。", 1),
]


def practice(situation: str, action: str, effect: float = 0.4, **more: Any) -> Practice:
    values = {
        "id": f"{situation}/{action}",
        "situation": situation,
        "action": action,
        "outcome": "promise_kept",
        "support": Support(cases=200, treated=100, agents=9),
        "rate_treated": 0.5 + effect / 2,
        "rate_control": 0.5 - effect / 2,
        "effect": effect,
        "ci_low": effect - 0.1,
        "ci_high": effect + 0.1,
        "p": 0.001,
        "q": 0.001,
        "strata": (),
        "exploratory": False,
        "exemplars": (),
        "verdict": "allowed",
    }
    return Practice.model_validate(values | more)


def _case(case: str, situation: str, reply: str, kept: int) -> tuple[Dialogue, Event, Outcome]:
    reason = TALK[situation][0]
    dialogue = call(case, "坐：怎么没还上？", f"客：{reason}", f"坐：{reply}", "客：行，就这么办。", "坐：再见。")
    return dialogue, logged(case, 1, "登记逾期原因", reason=situation), ended(case, kept, "promise_kept")


def world(practices: Sequence[Practice], replies: Sequence[tuple[str, str, int]] = ()) -> Knowledge:
    """Cases of (situation, reply, kept); without any, each reply of TALK once kept and once not."""
    found = replies or EACH
    made = [_case(f"P{number}", *one) for number, one in enumerate(found)]
    breach = logged("P0", 4, "质检", turn=4, rule="Q01", evidence="再见", rewrite="祝好")
    return Knowledge(
        dialogues=[dialogue for dialogue, *_ in made],
        events=[*(event for _, event, _ in made), breach],
        outcomes=[outcome for *_, outcome in made],
        practices=practices,
        clauses=CLAUSES,
        quality_rules=ITEMS,
    )


BREACHED = {("P0", 4)}


def rows_of(knowledge: Knowledge, verdicts: Verdicts, config: BuildConfig = CONFIG) -> list[Draft]:
    splits = all_train(knowledge.dialogues) | {"CP1": "test", "CP8": "test"}
    replies = draft_next_reply(knowledge, splits, BREACHED, MINING, config)
    mediation = draft_mediation(knowledge, splits, BREACHED, MINING, "质检", verdicts, config)
    return replies.rows + mediation.rows


def pairs_of(knowledge: Knowledge, verdicts: Verdicts, config: BuildConfig = CONFIG) -> list[Preference]:
    splits = all_train(knowledge.dialogues)
    drafts = draft_next_reply(knowledge, splits, BREACHED, MINING, config).rows
    rows = select(drafts, config.model_copy(update={"near_duplicate": 1.0}), [])
    return draft_preferences(rows, knowledge, splits, BREACHED, MINING, verdicts, config)[0]


WORKS = (practice("失业", "offer_deferral"), practice("多头负债", "offer_instalment"))
