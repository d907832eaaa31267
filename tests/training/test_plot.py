"""The loss plot is one file that any browser shows, with named axes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from training.plot import loss_plot, ticks

SVG = "{http://www.w3.org/2000/svg}"


def history(steps: int, evaluations: int = 0) -> list[dict[str, Any]]:
    training = [{"step": n, "loss": 5.0 / n, "learning_rate": 1e-4 * n} for n in range(1, steps + 1)]
    return training + [{"step": 4 * n, "eval_loss": 4.0 / n} for n in range(1, evaluations + 1)]


def test_axes_have_names_and_the_file_needs_no_other() -> None:
    page = loss_plot(history(20))
    root = ElementTree.fromstring(page)
    words = [text.text for text in root.iter(f"{SVG}text")]
    for name in ("loss (nats per supervised token)", "learning rate", "optimiser step", "running mean"):
        assert name in words
    assert "validation" not in words
    assert not re.search(r"(href|src|url\()", page)


def test_validation_is_drawn_where_there_is_one() -> None:
    root = ElementTree.fromstring(loss_plot(history(20, evaluations=5)))
    assert len(list(root.iter(f"{SVG}circle"))) == 5
    assert "validation" in [text.text for text in root.iter(f"{SVG}text")]


def test_a_falling_loss_falls_on_the_page_and_stays_on_it() -> None:
    root = ElementTree.fromstring(loss_plot(history(20)))
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    lines = {line.attrib["class"]: line.attrib["points"] for line in root.iter(f"{SVG}polyline")}
    points = [tuple(float(value) for value in point.split(",")) for point in lines["raw"].split()]
    assert len(points) == 20
    assert points[0][0] < points[-1][0] and points[0][1] < points[-1][1]  # y grows downwards
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_run_without_a_curve_still_gives_a_valid_file(steps: int) -> None:
    ElementTree.fromstring(loss_plot(history(steps)))


def test_ticks_are_round_and_within() -> None:
    assert ticks(0.0, 1.0, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(7.93, 8.41, 5) == [8.0, 8.1, 8.2, 8.3, 8.4]
