"""Settings of the guard: which rails stand, what each does, and within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from serving.guard.base import REFUSAL
from tianjing.config import StrictModel
from tianjing.rulebook.schema import Institution

# `mark` lets the request through and names what was found; `off` does not look for it.
InputAction = Literal["block", "handoff", "mark", "off"]
EndingAction = Literal["block", "handoff"]


class InjectionSettings(StrictModel):
    """What each family of attempts to turn the model against its instructions causes."""

    override: InputAction = "block"
    """“Ignore your instructions”: no customer needs to say it."""

    prompt_leak: InputAction = "block"
    """Asking for the system prompt: it holds how the company judges and talks."""

    role_play: InputAction = "block"
    """A role without rules (DAN, developer mode)."""

    encoded: InputAction = "block"
    """One of the other families, written in base64, hexadecimal, escapes, or backwards."""

    delimiter: InputAction = "block"
    """Tokens of a chat template inside a text: they would open a turn of another speaker."""

    exfiltration: InputAction = "block"
    """Asking for the data of all or other customers."""

    indirect: InputAction = "block"
    """A tool's result that addresses the model instead of answering the tool's question."""

    authority: InputAction = "mark"
    """Claiming to be a developer or an administrator: by itself it does nothing, so it is only reported."""

    learned: InputAction = "block"
    """Found by the learned model and by no pattern. In `staff_tasks` it is only marked: the model was trained on what
    customers type, not on the staff's material."""


class UnlawfulSettings(StrictModel):
    """What each family of requests for unlawful help causes; the phrases stand in `serving/guard/packs`."""

    credit_repair: InputAction = "block"
    """Paid removal of true credit records (征信洗白)."""

    anti_collection: InputAction = "block"
    """Templates and agents of organised refusal to pay (反催收)."""

    forgery: InputAction = "block"
    """Forged papers: income, bank statements, illness, seals."""

    impersonation: InputAction = "block"
    """Another person's identity, or a way around the identity check."""

    account_trading: InputAction = "block"
    """Trading bank or telephone cards, money laundering (两卡, 跑分)."""

    cash_out: InputAction = "block"
    """Turning a credit line into cash by sham purchases (套现)."""

    data_trade: InputAction = "block"
    """Other people's personal data."""

    evasion: InputAction = "block"
    """Hiding assets, or borrowing without meaning to repay (逃废债, 骗贷)."""

    learned: InputAction = "block"
    """Found by the learned model and by no phrase."""


class LearnedSettings(StrictModel):
    """From which score (0 to 1) the learned models find a text. Higher refuses less."""

    injection: float | None = Field(default=None, gt=0, le=1)
    """None: the threshold of the weights, which refused at most 1 % of hard clean texts out of fold."""

    unlawful: float | None = Field(default=None, gt=0, le=1)
    """As `injection`."""


class InputSettings(StrictModel):
    """Rails over what the model would read. Personal data is always masked."""

    piece_chars: int = Field(default=8000, ge=1)
    """Characters of one message; a long statute has fewer, and the guard's time grows with it."""

    total_chars: int = Field(default=32_000, ge=1)
    """Characters of all messages together: more than a context of 16,000 tokens of Chinese holds."""

    pieces: int = Field(default=512, ge=1)
    """Texts of one request, tool calls and results included."""

    staff_tasks: tuple[str, ...] = (
        "quality_inspection",
        "intent",
        "call_summary",
        "handoff_triage",
        "complaint_prediction",
    )
    """Tasks of tianjing.tasks in which the staff shows the model a customer's words: what is asked for there is
    material, so unlawful requests are only marked."""

    injection: InjectionSettings = InjectionSettings()
    unlawful: UnlawfulSettings = UnlawfulSettings()
    learned: LearnedSettings = LearnedSettings()


class Canary(StrictModel):
    """A secret that must never leave, known by its digest; `serving.guard.canary.canary` makes one."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """Stands in reasons and in the audit log in place of the secret."""

    prefix: str = Field(min_length=4, max_length=16)
    """The first characters of the secret, in clear: where to look. Held back when they appear."""

    chars: int = Field(ge=12, le=256)
    """Characters of the whole secret."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the whole secret in UTF-8; a secret of random characters cannot be found from it."""


class Disclosure(StrictModel):
    """The words that meet a disclosure rule when an answer lacks them."""

    text: str = Field(min_length=4, max_length=500)
    """Added at the end of the answer."""

    with_facts: str = Field(default="", max_length=500)
    """Used instead when the request gives every fact it names in braces, such as {annual_rate_irr}."""


class OutputSettings(StrictModel):
    """Rails over what the model writes. Personal data is always masked, and the rulebook always holds."""

    reasoning: Literal["drop", "guard"] = "drop"
    """Reasoning text is withheld, or guarded as content is. It is written for no customer."""

    restore_arguments: bool = True
    """Placeholders of this request in tool-call arguments become the application's own values again; it knows the
    customer, the model never did. Every other personal datum stays masked."""

    restore_content: bool = False
    """The same in the answer itself. Off: what a customer says to whom is not known here, and logs keep answers."""

    wrong_number: Literal["rewrite", "block", "handoff", "off"] = "rewrite"
    """A stated number that the facts contradict: rewritten where the right value and its form are certain, otherwise
    blocked."""

    prompt_leak: Literal["mask", "block", "handoff", "off"] = "mask"
    """The system prompt, word for word, in the answer."""

    leak_chars: int = Field(default=40, ge=16, le=256)
    """Characters that count as word for word. Shorter ones are quoted in honest answers; text is held back while it
    agrees with the prompt, so no more than this."""

    canaries: tuple[Canary, ...] = ()
    """Secrets of the deployment, each by its digest."""

    canary: EndingAction = "block"
    """What a canary in the answer causes."""

    rewrites: dict[str, str] = {}
    """Rule id -> lawful words for its phrase, over the shipped ones. A rule of action `rewrite` without words blocks;
    "" takes shipped words away."""

    disclosures: dict[str, Disclosure] = {}
    """Rule id -> what is added when its disclosure is due and missing, over the shipped ones."""

    held_chars: int = Field(default=512, ge=128)
    """Characters held back at most; what is held longer is withheld for good."""

    held_ms: float = Field(default=5000, gt=0)
    """Milliseconds that text is held back at most, by the times the gateway gives; then it is withheld."""

    on_cap: Literal["mask", "block"] = "mask"
    """Whether held text that meets a cap is withheld, or ends the answer."""


class Refusals(StrictModel):
    """What is said in place of an answer."""

    other: str = Field(default=REFUSAL, min_length=1)
    """When nothing more particular fits, and when the guard itself failed."""

    length: str = Field(default="您的消息太长了，请分成几条发送。", min_length=1)
    """The request is longer than the limits."""

    injection: str = Field(default="抱歉，这个要求我无法照办。请直接告诉我您想咨询的业务问题。", min_length=1)
    """An attempt to turn the model against its instructions."""

    unlawful: str = Field(
        default="抱歉，这类事情违反规定，我们无法协助。如果还款有困难，可以直接和我们协商还款安排，不收取任何费用。",
        min_length=1,
    )
    """A request for unlawful help; says what lawful help there is."""


class GuardSettings(StrictModel):
    """The guard of the endpoint."""

    institution: Institution = "consumer_finance"
    """Who lends: decides which rules apply to what the endpoint says."""

    channel: str = Field(default="chat", min_length=1)
    """Channel of the dialogues, by the rulebook's names; `ai_chat` makes the disclosure of the machine due."""

    product: str | None = None
    """Product type, by the company's own names; none does not narrow the rules."""

    rule_packs: tuple[Path, ...] = ()
    """Your own rule packs (YAML), after the shipped ones; see docs/rulebook.md."""

    reload_s: float = Field(default=10, ge=0)
    """Seconds between two looks at whether a rule pack has changed; 0 never looks."""

    cpu_ms: float = Field(default=2000, gt=0)
    """Milliseconds of processor time that the rails may take for one request, the whole answer included; over it the
    answer ends. An answer of 2,000 characters takes about ten."""

    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    refusals: Refusals = Refusals()
