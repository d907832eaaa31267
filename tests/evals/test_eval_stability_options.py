"""Multiple choice under permuted options."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.stability import (
    circular,
    pairwise_agreement,
    pride_debiased,
    pride_prior,
    pride_prior_of_choices,
    rstd,
    undo_permutation,
)


def test_a_model_that_always_says_a_is_not_consistent() -> None:
    """lm-eval's SCORE maps a letter to the swapped one and straight back, so position bias reads as consistency."""
    orders = [[(j + turn) % 4 for j in range(4)] for turn in range(4)]
    contents = [str(undo_permutation(0, order)) for order in orders]
    assert pairwise_agreement(contents) == 0.0
    swapped = [0, 1], [1, 0]
    assert pairwise_agreement([str(undo_permutation(0, order)) for order in swapped]) == 0.0
    assert pairwise_agreement([str(undo_permutation(order.index(1), order)) for order in swapped]) == 1.0
    assert undo_permutation(None, [1, 0]) is None


@given(st.lists(st.one_of(st.none(), st.integers(0, 2)), min_size=3, max_size=3), st.integers(0, 2))
def test_circular_evaluation_of_three_options(chosen: list[int | None], gold: int) -> None:
    found = circular(chosen, gold)
    rotated = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    contents = [None if letter is None else rotated[turn][letter] for turn, letter in enumerate(chosen)]
    right = contents.count(gold)
    assert (found.perfect, found.accuracy) == (float(right == 3), right / 3)
    assert found.at_least == tuple(float(right >= j) for j in (1, 2, 3))
    votes = [contents.count(content) for content in range(3)]
    expected = (votes[gold] == max(votes)) / votes.count(max(votes)) if max(votes) else 0.0
    assert found.vote == pytest.approx(expected)
    assert found.prior == tuple(chosen.count(letter) / 3 for letter in range(3))


@pytest.mark.parametrize("options", [2, 4, 6])
def test_circular_evaluation_is_not_tied_to_four_options(options: int) -> None:
    knows = circular([(1 - turn) % options for turn in range(options)], gold=1)
    assert (knows.perfect, knows.accuracy, knows.vote) == (1.0, 1.0, 1.0)
    biased = circular([0] * options, gold=1)
    assert biased.perfect == 0 and biased.accuracy == biased.vote == pytest.approx(1 / options)
    assert biased.prior[0] == 1.0


def test_rstd_is_the_spread_of_recalls_in_points() -> None:
    gold = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    chosen = np.array([0, 0, 1, 0, 2, 0, -1, 0])
    recalls = [100.0, 50.0, 50.0, 0.0]
    assert rstd(gold, chosen)[0] == pytest.approx(np.std(recalls))
    assert rstd(gold, gold)[0] == 0.0
    copies = np.array([[1.0] * 8, [1, 1, 2, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1]])
    weighted = [np.std(recalls), np.std([100.0, 100.0, 50.0, 0.0]), np.std([50.0, 50.0, 0.0])]
    assert rstd(gold, chosen, copies).tolist() == pytest.approx(weighted)


def test_pride_separates_letter_from_content() -> None:
    rng = np.random.default_rng(1)
    letters = np.array([0.5, 0.2, 0.2, 0.1])
    for _ in range(20):
        content = rng.dirichlet(np.ones(4))
        observed = []
        for turn in range(4):
            joint = letters * np.roll(content, -turn)
            observed.append(np.log(joint / joint.sum()))
        prior = pride_prior(np.array(observed))
        assert prior == pytest.approx(letters)
        right = [(int(np.argmax(content)) - turn) % 4 for turn in range(4)]
        assert pride_debiased(np.array(observed), prior).tolist() == right


def test_a_prior_from_choices_alone() -> None:
    assert pride_prior_of_choices([0, 0, 0, None], 4).tolist() == pytest.approx([4 / 7, 1 / 7, 1 / 7, 1 / 7])
    uniform = [letter for turn, letter in product(range(5), range(3))]
    assert pride_prior_of_choices(uniform, 3).tolist() == pytest.approx([1 / 3] * 3)
