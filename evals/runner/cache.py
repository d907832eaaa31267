"""Answers of earlier runs, by key: SQLite, so that runs may share it and memory does not grow with it.

Off unless a folder is given. Evidence for a release should come from the model as it is served now: a server's flags or
its accelerator can change without its name, version or digest telling. A cached answer says so (`reused`). Errors are
never kept. Answers are stored when an arm is finished; repeats that are copies only where the seed canary differed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from evals.errors import EvalError
from evals.records import Arm, RawAttempt, Request

FILE = "answers.sqlite"
# What an answer is, apart from who asked it and how it went there.
_KEPT = (
    *("output", "finish_reason", "latency_s", "prompt_tokens", "output_tokens", "first_token_s", "cached_tokens"),
    "served",
)


class Cache:
    """`Cache(folder)`: answers by `Request.key`, which covers the model's identity and everything it is asked."""

    def __init__(self, folder: Path):
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=60)
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise EvalError(
                f"{self.path}: cannot be used as a cache: {error}", "give another folder, or leave --cache out"
            ) from None

    def get(self, key: str, arm: Arm, request: Request) -> RawAttempt | None:
        """The attempt of `arm` that the answer to an earlier, equal request makes; None where there is none."""
        found = self._database.execute("SELECT answer FROM answers WHERE key = ?", (bytes.fromhex(key),)).fetchone()
        if found is None:
            return None
        return RawAttempt(
            key=key,
            item=request.item,
            task=request.task,
            arm=arm,
            condition=request.condition,
            repeat=request.repeat,
            prompt=request.prompt_digest,
            seed=request.seed,
            temperature=request.temperature,
            concurrency=request.concurrency,
            reused=True,
            **json.loads(found[0]),
        )

    def put(self, attempts: Iterable[RawAttempt]) -> None:
        """Keep the answers among `attempts`; the first answer to a key stays."""
        rows = (
            (bytes.fromhex(attempt.key), attempt.model_dump_json(include=set(_KEPT), exclude_defaults=True))
            for attempt in attempts
            if attempt.error is None and not attempt.reused
        )
        try:
            with self._database:  # one transaction: all or nothing
                self._database.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise EvalError(f"{self.path}: cannot be written: {error}", "make room, or leave --cache out") from None

    def close(self) -> None:
        self._database.close()
