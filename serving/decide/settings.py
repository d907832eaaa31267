"""Settings of the decision service: where its sources lie, what is offered, what goes to a person."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tianjing.config import StrictModel

_Id = Annotated[str, Field(min_length=1, max_length=64)]


class DecideSettings(StrictModel):
    """The `decide` section of ServeConfig."""

    policy: Path | None = None
    """Policy file on restructuring (docs/finance.md). Without one nothing is offered."""

    knowledge: Path | None = None
    """Knowledge artefact of `tianjing data extract`, whose practices are suggested. Without one none is."""

    decisions: Path | None = None
    """Decisions of `tianjing data review`. With them only what somebody accepted is suggested."""

    outcome: str = Field(default="promise_kept", min_length=1)
    """The outcome that a suggested practice raises, as `practices.outcome` of the extraction."""

    max_q: float = Field(default=0.05, gt=0, le=1)
    """Largest adjusted p-value of a suggested practice; the default is that of `next_reply.max_q`."""

    deferral_days: tuple[Annotated[int, Field(ge=1, le=366)], ...] = (7, 15, 30)
    """Deferrals that are tried on the policy, in days; those that it permits are offered."""

    instalments: tuple[Annotated[int, Field(ge=1, le=120)], ...] = (3, 6, 12, 24)
    """Numbers of new monthly instalments that are tried on the policy."""

    max_account_age_days: int = Field(default=1, ge=0)
    """Days by which the account's row may be older than the session; on an older one nothing is offered, since amounts
    grow by the day."""

    human_situations: tuple[_Id, ...] = (
        *("complaint", "hardship", "dispute", "third_party", "lawyer", "self_harm", "fraud", "minor", "deceased"),
        *("投诉", "争议", "费用争议", "第三方", "律师", "自伤", "欺诈", "未成年人"),
        *("困难", "失业", "重病", "生病住院", "残疾", "受灾", "家人去世", "身故"),
    )
    """Situations of a session, and flags of a profile, that go to a person whatever else holds."""

    adult_age: int = Field(default=18, ge=0)
    """Years; somebody younger goes to a person (民法典 第十七条)."""

    reload_s: float = Field(default=1.0, ge=0)
    """Seconds between two looks at whether policy, knowledge or decisions have changed."""

    horizon_days: int = Field(default=14, ge=1, le=31)
    """Days in which the next permitted time of contact is looked for. Counters start anew each day, so one or two are
    enough with the shipped rules."""

    max_body_bytes: int = Field(default=1 << 18, ge=1024)
    """Largest request body: 256 KiB hold more contacts than the 500 that a request may bring."""
