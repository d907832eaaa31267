"""Raw input, as a user brings it. Times are ISO 8601 with an offset."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, model_validator

from tianjing.config import StrictModel

Speaker = Literal["customer", "agent", "system"]
Split = Literal["train", "validation", "test"]
Yuan = Annotated[Decimal, Field(ge=0, decimal_places=2)]
DEFAULT_TIME_ZONE = "Asia/Shanghai"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone; use an IANA name such as Asia/Shanghai") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""IANA name of a time zone."""


class Turn(StrictModel):
    """One utterance of a dialogue."""

    speaker: Speaker
    text: str
    at: datetime | None = None


class Dialogue(StrictModel):
    """A service or post-loan (贷后) conversation between one customer and one agent."""

    id: str = Field(min_length=1)
    customer: str
    agent: str
    channel: str
    started_at: datetime
    turns: tuple[Turn, ...] = Field(min_length=1)


class Event(StrictModel):
    """One line of an operation log. `case` is a dialogue id or a business case id."""

    case: str
    at: datetime
    logged_at: datetime | None = None
    """The time as it was logged, where extraction put `at` on the clock of the dialogues."""
    clock: Literal["unreadable"] | None = None
    """Set by extraction where no shift of the actor's clock brings the entry into its dialogue: `at` tells no turn."""
    actor: str
    activity: str
    attributes: dict[str, Any] = {}


class Outcome(StrictModel):
    """What became of a case, e.g. promise_kept 1, complaint 0, csat 5."""

    case: str
    name: str
    value: float
    at: datetime | None = None


class Customer(StrictModel):
    """A customer's profile: free fields, used to match personal data and to stratify."""

    model_config = ConfigDict(extra="allow", frozen=True)

    customer: str

    def field(self, name: str) -> Any:
        """Value of a profile field, or None."""
        return (self.model_extra or {}).get(name)


class Schedule(StrictModel):
    """How a loan is repaid: `instalments` monthly dates from `first_due_on`, in yuan."""

    method: Literal["equal_instalment", "equal_principal", "interest_first", "daily_interest", "irregular"]
    instalments: int = Field(ge=1)
    first_due_on: date
    instalment: Yuan
    """The usual instalment; the last one settles what rounding left."""


class Arrears(StrictModel):
    """What is overdue on the day of an account's row, in yuan; the parts add up to `total`."""

    days: int = Field(ge=0)
    """Since the oldest unpaid due date."""
    instalments: int = Field(ge=0)
    principal: Yuan
    interest: Yuan
    penalty: Yuan
    total: Yuan

    @model_validator(mode="after")
    def _adds_up(self) -> Arrears:
        if self.principal + self.interest + self.penalty != self.total:
            raise ValueError("'principal', 'interest' and 'penalty' do not add up to 'total'")
        return self


class Account(StrictModel):
    """A loan of a customer on one day."""

    account: str = Field(min_length=1)
    customer: str
    product: str
    principal: Yuan
    """Amount of the contract in yuan."""
    rate: Decimal = Field(ge=0)
    """Nominal annual rate in percent."""
    schedule: Schedule
    arrears: Arrears
    as_of: date


class Contact(StrictModel):
    """One line of the log of contacts: a call or a message to somebody about a debt."""

    customer: str = Field(min_length=1)
    """The debtor (债务人) that the contact is about."""
    number: str = Field(min_length=1)
    """Number or address that was contacted."""
    at: AwareDatetime
    """Start, with an offset: a time without one is refused."""
    kind: Literal["attempt", "effective", "message"]
    """Unanswered call, answered call, or written message."""
    consent: Literal["none", "given", "night", "revoked"] = "none"
    """What the person has last agreed to: night also permits the quiet hours; revoked permits nothing more."""
    time_zone: TimeZone = DEFAULT_TIME_ZONE
    """IANA name of the zone of the person called."""

    @property
    def local(self) -> datetime:
        """Start in the zone of the person called."""
        return self.at.astimezone(ZoneInfo(self.time_zone))


class Record(StrictModel):
    """What a third party (credit bureau, social insurance, data vendor) said of a customer on one day."""

    customer: str = Field(min_length=1)
    source: str = Field(min_length=1)
    as_of: date
    fields: dict[str, Any]


class Box(StrictModel):
    """A piece of recognised text and where it stands on the page, in pixels."""

    text: str
    x: int
    y: int
    width: int = Field(ge=0)
    height: int = Field(ge=0)


class Document(StrictModel):
    """A proof document (证明材料) that a customer handed in, after text recognition: its text, or its boxes."""

    id: str = Field(min_length=1)
    customer: str
    kind: str
    text: str | None = None
    boxes: tuple[Box, ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Document:
        if (self.text is None) == (self.boxes is None):
            raise ValueError("give either 'text' or 'boxes'")
        return self
