"""A guard for each request, by the rules in force today, which follow their files."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from serving.errors import ApiError
from serving.guard.request import RequestGuard
from serving.guard.rules import Book, RuleSet, stamps
from serving.guard.settings import GuardSettings
from serving.identity.principal import Principal
from serving.protocol.call import Call
from tianjing.errors import TianjingError
from tianjing.records import DEFAULT_TIME_ZONE
from tianjing.rulebook import Rulebook

_log = logging.getLogger(__name__)


def today() -> date:
    """The Chinese day."""
    return datetime.now(ZoneInfo(DEFAULT_TIME_ZONE)).date()


class GuardFactory:
    """Makes guards. Rules are compiled once, at the start and when a pack changes, and shared by all requests.

    Raises:
        RulebookError, ServeError: as `serving.guard.rules.Book`.
    """

    def __init__(self, settings: GuardSettings | None = None, day: Callable[[], date] = today):
        self.settings = settings or GuardSettings()
        self.faults: Counter[str] = Counter()
        """What failed so far, by rail and kind of error; never any text."""
        self.problem = ""
        """Why the packs as they lie on disk are not in force, "" when they are."""
        self._day = day
        self._stamps = stamps(self.settings.rule_packs)
        self._book = Book(self.settings)
        self._book.on(day())
        self._next_look = time.monotonic() + self.settings.reload_s
        self._prepared = day()
        self._at_work = threading.Lock()

    @property
    def rules(self) -> RuleSet:
        """The rules in force."""
        return self._book.on(self._day())

    @property
    def spoken(self) -> Rulebook:
        """The book that holds for what this institution says in a chat."""
        return self._book.spoken

    @property
    def policy(self) -> str:
        """SHA-256 of settings, rules and patterns in force; each guard has that of its own request."""
        return self.rules.policy

    def __call__(self, call: Call, caller: Principal) -> RequestGuard:
        """The guard of a request.

        Raises:
            ApiError: 400, the request wants a disclosure that cannot be made.
        """
        self._keep_up()
        rules = self.rules
        for rule_id in call.extension.require:
            owed = rules.owed.get(rule_id)
            if owed is None or owed.wording is None:
                raise _unmet(f"'{rule_id}' is no disclosure that can be added here; known: {', '.join(rules.owed)}")
            if call.structured:
                raise _unmet("nothing can be added to a structured answer; show the disclosure beside it")
        return RequestGuard([], self.settings, rules, call.extension, structured=call.structured, faults=self.faults)

    def reload(self) -> bool:
        """Read the packs again. When one is wrong the rules stay as they are, and `problem` says why."""
        with self._at_work:
            seen = stamps(self.settings.rule_packs)
            try:
                book = Book(self.settings)
                book.on(self._day())
            except TianjingError as error:
                self.problem = str(error)
                _log.error("the rules stay as they are: %s", error)
            else:
                self._book, self.problem = book, ""
                _log.info("rules read again, policy %s", self.policy)
            self._stamps = seen
            return not self.problem

    def _keep_up(self) -> None:
        """In the background, so that no request waits: packs that changed, and the rules of tomorrow."""
        now = time.monotonic()
        if self.settings.reload_s and now >= self._next_look and not self._at_work.locked():
            self._next_look = now + self.settings.reload_s
            if stamps(self.settings.rule_packs) != self._stamps:
                threading.Thread(target=self.reload, name="rules", daemon=True).start()
        if self._day() > self._prepared - timedelta(days=1):
            self._prepared = self._day() + timedelta(days=1)
            threading.Thread(target=self._book.on, args=(self._prepared,), name="rules", daemon=True).start()


def _unmet(reason: str) -> ApiError:
    return ApiError(400, f"field 'tianjing.require': {reason}", param="tianjing.require")
