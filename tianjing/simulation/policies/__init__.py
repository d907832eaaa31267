"""The six internal policies of the fictional 晨舟消费金融有限公司, written as Markdown beside this file.

`examples/raw/rules/` holds the same texts as Markdown, HTML, DOCX and PDF; `scripts/make_policies.py` renders them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# Prefix of a clause key such as R08 (article 8 of the repayment policy), and the source that it stands for.
SOURCES: dict[str, str] = {
    "R": "repayment",
    "C": "complaints",
    "B": "conduct",
    "F": "fees",
    "P": "privacy",
    "D": "proofs",
}

_ARTICLE = re.compile(r"^(第[一二三四五六七八九十]+条) (.+)$")
_TABLE_ROW = re.compile(r"^\| (Q\d{2}) \| ([^|]+) \| ([^|]+) \|$")


@dataclass(frozen=True)
class Article:
    """One 条 of a policy; `key` is the prefix of its document and its number, `text` includes its 款 and 项."""

    key: str
    document: str
    number: str
    text: str

    @property
    def label(self) -> str:
        return f"《{self.document}》{self.number}"


def source(prefix: str) -> str:
    """Markdown source of the policy with this key prefix."""
    return (files(__package__) / f"{SOURCES[prefix]}.md").read_text(encoding="utf-8")


@cache
def articles() -> dict[str, Article]:
    """Every article of the six policies by key, in the order of the documents."""
    found: dict[str, Article] = {}
    for prefix in SOURCES:
        lines = source(prefix).splitlines()
        title = lines[0].removeprefix("# ")
        key = ""
        count = 0
        for line in lines:
            if match := _ARTICLE.match(line):
                count += 1
                key = f"{prefix}{count:02d}"
                found[key] = Article(key, title, match[1], match[2])
            elif line.startswith("#"):
                key = ""
            elif key:
                found[key] = Article(key, title, found[key].number, found[key].text + line)
    return found


@cache
def quality_rules() -> dict[str, str]:
    """Titles of the inspection items (质检项) by id, from the annex of the conduct policy."""
    rows = (_TABLE_ROW.match(line) for line in source("B").splitlines())
    return {row[1]: row[2].strip() for row in rows if row}
