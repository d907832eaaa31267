"""The body of POST /v1/decide: a loan, its log of contacts, and what happens now."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, ValidationError

from serving.errors import ApiError
from tianjing.config import StrictModel
from tianjing.finance.terms import LoanTerms
from tianjing.records import DEFAULT_TIME_ZONE, Account, Contact, TimeZone

MAX_CONTACTS = 500
MAX_WORDS = 4000
# Beyond these a calendar ends somewhere in the middle of a sum.
FIRST_DAY, LAST_DAY = date(1980, 1, 1), date(2199, 12, 31)

Name = Annotated[str, Field(min_length=1, max_length=64)]


class Session(StrictModel):
    """What happens now."""

    at: AwareDatetime
    """When, with an offset; a log of contacts ends here."""

    contact: Literal["begin", "answer"] = "begin"
    """`begin`: we would speak first (a call, a message, a notice when the app is opened). `answer`: the customer has
    spoken and waits; rules on contacting do not keep anybody from answering."""

    channel: Literal["voice", "sms", "app", "chat"] = "app"
    """Through which; a voice contact counts as a call, the others as messages."""

    number: str | None = Field(default=None, min_length=1, max_length=64)
    """Number or address; needed for voice and sms, since unanswered calls and refusals count by number."""

    time_zone: TimeZone = DEFAULT_TIME_ZONE
    """IANA name of the zone of the person contacted: quiet hours and daily counts are theirs."""

    consent: Literal["none", "given", "night", "revoked"] = "none"
    """What the person has agreed to for this contact, as in a contact record."""

    situations: tuple[Name, ...] = Field(default=(), max_length=32)
    """What is known of why the account is in arrears, in the words of the knowledge, e.g. 失业; or ids such as
    hardship."""

    words: str | None = Field(default=None, min_length=1, max_length=MAX_WORDS)
    """What the customer has just said; only with `answer`. Read for signals, neither kept nor repeated."""

    @property
    def local(self) -> datetime:
        """`at` in the zone of the person contacted."""
        return self.at.astimezone(ZoneInfo(self.time_zone))


class Profile(StrictModel):
    """What is known of the customer beside the loan."""

    age: int | None = Field(default=None, ge=0, le=150)
    """Years."""

    flags: tuple[Name, ...] = Field(default=(), max_length=32)
    """Ids such as complaint, lawyer or deceased."""

    deferrals_in_12_months: int = Field(default=0, ge=0, le=100)
    """Deferrals that were granted in the last twelve months; a policy may limit them."""


class DecideBody(StrictModel):
    """Body of POST /v1/decide."""

    account: Account
    contacts: Annotated[tuple[Contact, ...], Field(max_length=MAX_CONTACTS)] = ()
    """Contacts so far about this debtor, and those to his numbers about anybody."""
    session: Session
    profile: Profile = Profile()
    loan: LoanTerms | None = None
    """The contract, with fees and penalties; without it they are what the account's row shows."""


def parse_decide(raw: bytes) -> DecideBody:
    """Check a request body.

    Raises:
        ApiError: 400 naming the field.
    """
    try:
        body = DecideBody.model_validate_json(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            raise _wrong(field, "unsupported field") from None
        if problem["type"] == "json_invalid":
            raise ApiError(400, "the body is not valid JSON") from None
        raise _wrong(field, problem["msg"].removeprefix("Value error, ")) from None
    _check_session(body.session)
    _check_times(body)
    return body


def _check_session(session: Session) -> None:
    if session.words is not None and session.contact == "begin":
        raise _wrong("session.words", "who has spoken is answered: give 'contact': 'answer'")
    if session.contact == "begin" and session.channel in ("voice", "sms") and session.number is None:
        raise _wrong("session.number", f"needed where a contact by {session.channel} would begin")


def _check_times(body: DecideBody) -> None:
    account = body.account
    days = {
        "session.at": body.session.at.date(),
        "account.as_of": account.as_of,
        "account.schedule.first_due_on": account.schedule.first_due_on,
        **{f"contacts.{number}.at": contact.at.date() for number, contact in enumerate(body.contacts)},
    }
    for field, day in days.items():
        if not FIRST_DAY < day < LAST_DAY:
            raise _wrong(field, f"must lie between {FIRST_DAY} and {LAST_DAY}")
    for number, contact in enumerate(body.contacts):
        if contact.at > body.session.at:
            raise _wrong(f"contacts.{number}.at", f"lies after 'session.at' ({body.session.at.astimezone(UTC):%F %T}Z)")
    if account.as_of > body.session.local.date():
        raise _wrong("account.as_of", f"lies after the day of the session, {body.session.local.date()}")


def _wrong(field: str, message: str) -> ApiError:
    return ApiError(400, f"field '{field}': {message}", param=field or None)
