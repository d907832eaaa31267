"""What customers' turns show: several aspects at once, and none in small talk."""

from __future__ import annotations

import pytest

from data_recipes.experience.tagging.aspects import ASPECTS, aspects


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("你们有完没完！！再打我就投诉到12378", ("emotion", "complaint")),
        ("这个罚息怎么算的，是不是多收我钱了", ("dispute",)),
        ("我妈住院了，手 头 紧，这个月还不上", ("hardship", "illness")),
        ("不是本人，我是他爱人", ("third_party",)),
        ("行，１５号我一定还", ("promise",)),
        ("我就不还，爱怎么着怎么着", ("refusal",)),
        ("喂，你好，哪位", ()),
        ("好的，谢谢，再见", ()),
    ],
)
def test_aspects(text: str, shown: tuple[str, ...]) -> None:
    assert aspects(text) == shown


def test_every_aspect_has_a_name() -> None:
    assert all(ASPECTS.values())
