"""What stands around the item and has nothing to do with it: small talk, earlier messages, other clauses."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evals.perturb.ordering import needed
from evals.perturb.slots import Asked, strings
from tianjing.records import Message

# (who, what) exchanges of a call that are about nothing; no number, no negation, no word that decides anything.
_SMALL_TALK = (
    (
        ("customer", "喂，你那边声音有点小。"),
        ("agent", "好的，我大声一些，现在听得清吗？"),
        ("customer", "嗯，现在清楚了。"),
    ),
    (("customer", "稍等，我这边过个马路。"), ("agent", "好的，您慢慢走，注意安全。"), ("customer", "好，你接着说。")),
    (("customer", "今天雨下得真大，路上都是水。"), ("agent", "是啊，您出门带好伞。"), ("customer", "嗯，你说吧。")),
    (("customer", "等我把锅里的菜翻个面。"), ("agent", "好的，您先忙，我等着。"), ("customer", "好了，你讲。")),
    (("customer", "刚在坐电梯，信号断断续续的。"), ("agent", "现在信号好了，您请讲。"), ("customer", "好，继续吧。")),
    (("customer", "这天热得很，出门就满身汗。"), ("agent", "是的，您多喝水。"), ("customer", "嗯嗯，你接着讲。")),
    (("customer", "我先把电视声音关小。"), ("agent", "好的，您请便。"), ("customer", "行了，你说。")),
    (("customer", "快递在敲门，我拿一下。"), ("agent", "好的，您去拿，我等您。"), ("customer", "拿好了，你继续说。")),
)
# (asked, answered) in a chat before the question: about the shop, the weather, the app's looks.
_CHATTER = (
    ("你好，在吗？", "您好，在的，请问有什么可以帮您？"),
    ("你们的小程序换了新的图标，挺好看的。", "谢谢您的喜欢，我会把您的话转达给设计小组。"),
    ("今天外面下大雨，你们那边呢？", "这边也在下雨，您出门请带好雨伞。"),
    ("刚才的语音播报是哪位播音员录的？", "是一位年轻的播音员录的，谢谢您的关注。"),
    ("你们公众号昨天发的那篇养花的文章写得真好。", "谢谢您的阅读，之后还会有更多生活类的文章。"),
    ("字体能调大吗？我看着有点费劲。", "可以的，在“我的—设置—字体大小”里就能调整。"),
)
# Paragraphs on matters of an office, for tasks that have no clauses of their own.
_NOTICES = (
    "关于办公区绿植养护的说明：各楼层绿植由行政部统一养护，员工可在休息区自行摆放小型盆栽，浇水时请注意保护地毯和电源插座。",
    "关于职工食堂窗口调整的说明：面食窗口移至东侧，清真窗口位置照旧，就餐高峰时段请按地面标识排队，用餐后将餐盘送至回收处。",
    "关于阅览室使用的说明：阅览室向全体员工开放，图书阅后请放回原处，室内请保持安静，饮料请放在门口的置物架上。",
    "关于会议室预订的说明：会议室通过内部日历预订，临时取消的请及时释放，会后请关闭投影设备并将桌椅归位。",
    "关于班车站点的说明：早班车途经地铁口和人民公园两处站点，遇道路施工时在临近路口停靠，乘车请系好安全带。",
    "关于门厅照明的说明：门厅照明改为感应控制，傍晚开启，如遇灯光闪烁请联系物业值班室更换灯管。",
    "关于健身角的说明：健身角设有跑步机和瑜伽垫，使用前请做好热身，使用后请擦拭器械，垫子卷好放回架上。",
    "关于打印机耗材的说明：打印机缺纸时请到文印室领取，双面打印为默认设置，彩色打印用于对外展示。",
)
_CHARS = re.compile(r"\s")
_SHINGLE = 4
# Of a clause's runs of four characters, how many a question or the needed clause may share before it is related.
_RELATED = 0.08


def distracted(asked: Asked, suffix: str, rng: random.Random) -> tuple[dict[str, Any] | None, tuple[Message, ...]]:
    """Small talk in the dialogue, before its last exchange; without a dialogue, an earlier chat before the prompt."""
    turns = asked.fields.get("turns")
    if not turns:
        ask, answer = rng.choice(_CHATTER)
        return None, (Message(role="user", content=ask), Message(role="assistant", content=answer))
    # Before the agent's last words, so that the last exchange stays together.
    place = max((i for i, turn in enumerate(turns[:-1]) if turn["speaker"] == "agent"), default=0)
    talk = [{"speaker": speaker, "text": text} for speaker, text in rng.choice(_SMALL_TALK)]
    return dict(asked.fields) | {"turns": [*turns[:place], *talk, *turns[place:]]}, ()


def padded(asked: Asked, suffix: str, rng: random.Random) -> tuple[dict[str, Any] | None, tuple[Message, ...]]:
    """Unrelated clauses until the material has so many thousand characters, the needed one at another place.

    A task without clauses gets earlier messages about matters of an office instead.
    """
    wanted = 1000 * int(suffix.removesuffix("k"))
    clauses = asked.fields.get("clauses")
    if not clauses:
        return None, _notices(wanted - sum(map(len, strings(asked.fields))), rng)
    if not any(needed(clause, asked.reference) for clause in clauses):
        return None, ()  # where no clause answers, another one might
    related = _runs(" ".join((*strings(asked.fields), *strings(asked.reference))))
    labels = {clause["label"] for clause in clauses} | {clause["id"] for clause in clauses}
    added: list[Mapping[str, str]] = []
    length = sum(len(clause["text"]) + len(clause["label"]) for clause in clauses)
    for clause in rng.sample(list(asked.pool), len(asked.pool)):
        if length >= wanted:
            break
        if clause["label"] in labels or clause["id"] in labels or _shared(clause["text"], related) > _RELATED:
            continue
        labels |= {clause["label"], clause["id"]}
        added.append({name: clause[name] for name in ("id", "label", "text")})
        length += len(clause["text"]) + len(clause["label"])
    if length < wanted:
        return None, ()
    return dict(asked.fields) | {"clauses": _spread(clauses, added, rng)}, ()


def _spread(clauses: Sequence[Any], added: Sequence[Any], rng: random.Random) -> list[Any]:
    """The given clauses, in their order, at random places among the added ones."""
    places = set(rng.sample(range(len(clauses) + len(added)), len(clauses)))
    given, others = iter(clauses), iter(added)
    return [next(given if place in places else others) for place in range(len(clauses) + len(added))]


def _notices(length: int, rng: random.Random) -> tuple[Message, ...]:
    messages: list[Message] = []
    told = 0
    while told < length:
        for text in rng.sample(_NOTICES, len(_NOTICES)):
            messages.append(Message(role="user", content=f"请阅读：{text}"))
            messages.append(Message(role="assistant", content="好的，已阅读。"))
            told += len(text)
            if told >= length:
                break
    return tuple(messages)


def _runs(text: str) -> frozenset[str]:
    plain = _CHARS.sub("", text)
    return frozenset(plain[i : i + _SHINGLE] for i in range(len(plain) - _SHINGLE + 1))


def _shared(text: str, runs: frozenset[str]) -> float:
    own = _runs(text)
    return len(own & runs) / len(own) if own else 1.0
