"""Chinese numbers as people type and say them."""

from __future__ import annotations

import pytest

from tianjing.text import arabic, han_quantities, numbers


@pytest.mark.parametrize(
    ("text", "stated", "digits"),
    [
        ("还剩三千三个月还完", {"3"}, "还剩三千3个月还完"),
        ("先还五百三天后再还", {"3"}, "先还五百3天后再还"),
        ("先还八百二月再还", {"2"}, "先还八百2月再还"),
        ("还三千三块", {"3300"}, "还3300块"),
        ("借一万五人民币", {"15000"}, "借15000人民币"),
        ("宽限一百零五天", {"105"}, "宽限105天"),
        ("宽限一百二十天", {"120"}, "宽限120天"),
    ],
)
def test_an_amount_does_not_swallow_the_count_behind_it(text: str, stated: set[str], digits: str) -> None:
    assert numbers(text) == stated and arabic(text) == digits
    assert {value for _, _, value in han_quantities(text)} == stated
