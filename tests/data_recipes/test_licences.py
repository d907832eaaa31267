"""Licence policy: what a licence's wording permits, and that nothing restricted is trained on unasked."""

from __future__ import annotations

import pytest

from data_recipes.errors import DataError
from data_recipes.publish.licences import LicencePolicy, SourceKind, classify, count_rows, judge
from tianjing.config import parse
from tianjing.errors import TianjingError

WORDINGS = {
    "permissive": (
        "Apache-2.0",
        "Apache License, Version 2.0",
        "apache 2.0 (repo LICENSE)",
        "MIT",
        "The MIT License",
        "BSD-3-Clause",
        "CC BY 4.0",
        "cc-by-4.0",
        "Creative Commons Attribution 4.0 International",
        "CDLA-Permissive-2.0 (data), Apache-2.0 (code)",
        "WTFPL",
        "木兰宽松许可证 第2版",
        "Apache-2.0，可商用",
        "MIT, without restriction on commercial use",
    ),
    "public-domain": (
        "CC0-1.0",
        "CC0",
        "Unlicense",
        "statutes, outside copyright (PRC Copyright Law, Art. 5)",
        "法律法规，依据著作权法第五条不受保护",
    ),
    "share-alike": ("CC-BY-SA-4.0", "cc by sa 3.0", "ODbL", "CDLA-Sharing-1.0"),
    "copyleft": ("GPL-3.0-or-later", "GNU General Public License version 2 or later", "AGPL-3.0", "MPL-2.0"),
    "no-derivatives": ("CC-BY-ND-4.0",),
    "non-commercial": (
        "CC-BY-NC-SA 4.0",
        "cc_by_nc_4.0",
        "CC BY-NC-ND 4.0",
        "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International",
        "Apache-2.0, not for commercial use",
        "仅限非商业用途",
        "不得用于商业目的",
        "禁止商用",
        "未经许可不得作商业使用",
    ),
    "research-only": (
        "research use only",
        "Apache-2.0 (for research purposes only)",
        "academic use",
        "仅供学术研究使用",
        "仅供研究，禁止商用",
        "本数据集只能用于科研",
    ),
    "unknown": ("", "none", "无", "未注明", "no LICENSE file in the repository", "see the website", "unlicensed"),
}


@pytest.mark.parametrize(("expected", "wording"), [(c, w) for c, words in WORDINGS.items() for w in words])
def test_a_wording_is_read_as_what_it_permits(expected: str, wording: str) -> None:
    assert classify(wording).licence_class == expected


def test_a_choice_takes_the_freer_licence_and_a_restriction_the_stricter() -> None:
    assert classify("GPL-3.0 or MIT").licence_class == "permissive"
    assert classify("MIT, CC-BY-NC-4.0").licence_class == "non-commercial"
    assert classify("CDLA-Permissive-2.0 (data), Apache-2.0 (code)").spdx == "CDLA-Permissive-2.0 AND Apache-2.0"
    assert classify("Creative Commons Attribution-NonCommercial 3.0").spdx == "CC-BY-NC-3.0"


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "仅供学术研究", "", "CC-BY-ND-4.0"])
def test_a_restricted_source_is_refused_for_training_with_its_name_and_the_remedy(licence: str) -> None:
    with pytest.raises(DataError) as caught:
        judge([("laws", "statutes", ""), ("forum", "instructions", licence)], LicencePolicy())
    assert "'forum'" in caught.value.message and "laws" not in caught.value.message
    assert "allow: {forum:" in caught.value.remedy and "evaluation_only: [forum]" in caught.value.remedy


def test_a_restricted_source_may_be_allowed_by_name_tested_on_or_left_out() -> None:
    sources: list[tuple[str, SourceKind, str]] = [("forum", "instructions", "CC-BY-NC-4.0")]
    allowed = judge(sources, LicencePolicy(allow={"forum": "contract of 2026-03"}))[0]
    assert (allowed.use, allowed.rule) == ("train", "allowed by name: contract of 2026-03")
    assert judge(sources, LicencePolicy(evaluation_only=("forum",)))[0].use == "evaluation"
    assert judge(sources, LicencePolicy(refused="drop"))[0].use == "refused"


def test_the_owners_raw_folder_and_statutes_need_no_licence() -> None:
    entries = judge([(".", "raw", ""), ("laws", "statutes", "none")], LicencePolicy())
    assert [(entry.licence_class, entry.use) for entry in entries] == [
        ("own-material", "train"),
        ("public-domain", "train"),
    ]
    with pytest.raises(DataError):  # a raw folder that was fetched says so, and is judged by what it says
        judge([(".", "raw", "CC-BY-NC-4.0")], LicencePolicy())


def test_a_policy_that_names_no_source_or_contradicts_itself_is_an_error() -> None:
    with pytest.raises(DataError, match="no source 'forums'") as caught:
        judge([("forum", "instructions", "MIT")], LicencePolicy(allow={"forums": "contract"}))
    assert "forum" in caught.value.remedy
    with pytest.raises(TianjingError, match="both 'allow' and 'evaluation_only'"):
        parse(LicencePolicy, {"allow": {"a": "x"}, "evaluation_only": ["a"]}, "x")
    with pytest.raises(TianjingError, match="a reason"):
        parse(LicencePolicy, {"allow": {"a": " "}}, "x")
    with pytest.raises(DataError, match="'a' is given twice"):
        judge([("a", "instructions", "MIT"), ("a", "instructions", "GPL-3.0")], LicencePolicy())


def test_the_ledger_counts_rows_by_source_and_split() -> None:
    entries = judge([("a", "instructions", "MIT"), ("b", "statutes", "")], LicencePolicy())
    rows = count_rows(entries, [("a", "train"), ("a", "train"), ("a", "test")])
    assert [dict(entry.rows) for entry in rows] == [{"test": 1, "train": 2}, {}]
