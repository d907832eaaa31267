from __future__ import annotations

import pytest

from evals.perturb import NOT_APPLICABLE
from tests.evals.perturb.conftest import CLAUSES, choice, policy, triage
from tianjing.tasks import TASKS


def test_every_rotation_of_k_options_and_the_reverse(varied) -> None:  # type: ignore[no-untyped-def]
    for count in (3, 4, 5, 7):
        asked = choice(*(f"第{number}种担保" for number in range(count)))
        variants, dropped = varied(asked, "option")
        assert list(variants) == [*(f"option{number}" for number in range(1, count)), "option_reversed"] and not dropped
        shown = {tuple(variant.fields["options"]) for variant in variants.values()}
        assert len(shown) == count, "all differ, from each other and from the given order"
        # Each content stands at each place once over the rotations, which is what a position bias is measured on.
        rotations = [asked.fields["ids"], *(variants[f"option{number}"].fields["ids"] for number in range(1, count))]
        assert all(len(set(place)) == count for place in zip(*rotations, strict=True))


def test_the_same_content_is_the_same_answer_at_every_place(varied) -> None:  # type: ignore[no-untyped-def]
    asked = choice("保证", "抵押权", "违约金", "定金")
    for variant in varied(asked, "option")[0].values():
        letter = chr(65 + variant.fields["options"].index("抵押权"))
        assert asked.task.read(letter, variant.fields).answer == "B"
        assert asked.task.score(asked.task.read(letter, variant.fields), asked.reference, variant.fields) == 1.0
        assert asked.task.read("抵押权", variant.fields).answer == "B"


@pytest.mark.parametrize(
    "options",
    [
        ("抵押权", "质权", "留置权", "以上都是"),
        ("抵押权", "质权", "A和B", "留置权"),
        ("抵押权", "质权", "前两项均正确", "留置权"),
        ("抵押权", "质权", "留置权", "都不对"),
        ("抵押权", "质权", "A或B", "留置权"),
        ("抵押权", "质权", "仅A", "留置权"),
        ("抵押权", "质权", "A正确，其余存疑", "留置权"),
        ("抵押权", "质权", "第二个选项加上留置权", "留置权"),
        ("抵押权", "质权", "质权", "留置权"),
    ],
)
def test_options_that_speak_of_one_another_are_not_moved(options: tuple[str, ...], varied) -> None:  # type: ignore[no-untyped-def]
    assert varied(choice(*options), "option") == ({}, {"option": NOT_APPLICABLE})
    assert varied(choice(*options), "option1") == ({}, {"option1": NOT_APPLICABLE})


def test_options_that_only_sound_like_it_are(varied) -> None:  # type: ignore[no-untyped-def]
    assert varied(choice("30天以上", "60天以上", "90天以上", "A股账户"), "option")[0]
    assert varied(choice("仅A股", "A对B的请求权", "第三十条第二款", "无"), "option")[0]
    assert varied(choice("对", "错", question="以上说法是否正确？"), "option")[0].keys() == {"option1"}
    asked = choice("抵押权", "质权", question="选项A与选项B的区别是？")
    assert not varied(asked, "option")[0]


def test_material_is_rotated_and_nothing_is_lost(varied) -> None:  # type: ignore[no-untyped-def]
    variants, _ = varied(policy(), "order")
    assert list(variants) == ["order1", "order2", "order_reversed"]
    places = [[clause["id"] for clause in variant.fields["clauses"]].index("a") for variant in variants.values()]
    assert places == [2, 1, 2], "the needed clause stands at every place but its own"
    assert varied(triage(), "order") == ({}, {"order": NOT_APPLICABLE})


def test_fewer_keeps_what_is_needed_and_alone_is_nothing_else(varied) -> None:  # type: ignore[no-untyped-def]
    variants, _ = varied(policy(), "fewer", "alone")
    assert len(variants["fewer"].fields["clauses"]) == 2 and CLAUSES[0] in variants["fewer"].fields["clauses"]
    assert variants["alone"].fields["clauses"] == [CLAUSES[0]]


def test_where_no_clause_answers_none_is_added(varied) -> None:  # type: ignore[no-untyped-def]
    asked = policy()
    nothing = type(asked)(
        TASKS["policy_qa"], asked.fields, {"clause_id": "", "clause_label": "", "quote": ""}, asked.pool
    )
    assert varied(nothing, "context2k", "alone")[0] == {}, "an added one might"
    assert varied(nothing, "order1")[0]


def test_context_grows_to_the_length_asked_for_and_the_needed_clause_moves(varied) -> None:  # type: ignore[no-untyped-def]
    places = set()
    for seed in range(8):
        clauses = varied(policy(), "context2k", seed=str(seed))[0]["context2k"].fields["clauses"]
        assert 2000 <= sum(len(clause["label"] + clause["text"]) for clause in clauses) < 2400
        assert [clause for clause in clauses if clause in CLAUSES] == CLAUSES
        places.add([clause["id"] for clause in clauses].index("a"))
    assert len(places) > 3
    talk = varied(triage(), "context2k")[0]["context2k"]
    assert talk.fields is None and 1700 < sum(len(message.content) for message in talk.before) < 2400
