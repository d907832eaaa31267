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
# Notices on matters of an office, for tasks that have no clauses of their own: what each is about, and its own lines.
_NOTICES: dict[str, str] = {
    "绿植养护": "绿植由行政部养护，浇水时请避开地毯和插座。休息区可摆放小型盆栽。叶片发黄时请贴上标签。",
    "食堂窗口": "面食窗口移至东侧，清真窗口位置照旧。就餐高峰请按地面标识排队。用餐后请将餐盘送至回收处。",
    "阅览室": "阅览室向员工开放，图书阅后请放回原处。室内请保持安静。饮料请放在门口的置物架。",
    "会议室": "会议室通过内部日历预订，临时取消请及时释放。会后请关闭投影并将桌椅归位。白板请擦净。",
    "班车": "早班车途经地铁口和人民公园。遇道路施工时在临近路口停靠。乘车请系好安全带。",
    "门厅照明": "门厅灯改为感应控制。灯光闪烁时请联系物业更换灯管。窗帘由保洁员早晨拉开。",
    "健身角": "健身角设有跑步机和瑜伽垫，使用前请热身。用后请擦拭器械。垫子请卷好放回架子。",
    "打印机": "缺纸时请到文印室领取。双面打印为默认设置。彩色打印用于对外展示。",
    "茶水间": "茶水间的咖啡机由值日小组清洗。杯子请贴名签。微波炉用后请擦净内壁。",
    "电梯": "电梯维护时请走东侧楼梯。搬运大件请用货梯。轿厢内请勾起背包带。",
    "雨伞架": "雨天请将雨伞放入门口的雨伞架。长柄伞放左侧，折叠伞放右侧。遗忘的雨伞送前台保管。",
    "快递柜": "快递柜设在北门内侧。生鲜包裹请当日取走。空纸箱请压平后放入回收筐。",
    "公告栏": "公告栏由宣传小组更新。张贴海报请用磁贴。过期海报请及时取下。",
    "停车棚": "自行车请停入停车棚并锁好。电动车在充电区充电。车棚通道请保持畅通。",
    "母婴室": "母婴室在西侧走廊尽头。使用时请拨转门牌。尿布台用后请擦拭。",
    "广播": "午间广播播放轻音乐。点歌请写在便签上。音量由值班员调节。",
}
_COMMON_LINES = (
    "关于{about}的安排由行政部负责说明。",
    "对{about}有建议的，请写在意见簿上。",
    "新员工请向身边的老员工了解{about}的使用习惯。",
    "{about}的示意图贴在走廊的墙面上，图上标出了位置和走法。",
    "感谢大家爱护{about}，让办公环境整洁舒适。",
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
    """Exchanges about notices, each told once until there are no more (about 2,400 characters)."""
    messages: list[Message] = []
    told = 0
    while told < length:
        for about in rng.sample(sorted(_NOTICES), len(_NOTICES)):
            common = [line.format(about=about) for line in rng.sample(_COMMON_LINES, len(_COMMON_LINES))]
            text = f"请阅读{about}的通知：{_NOTICES[about]}{''.join(common)}"
            messages.append(Message(role="user", content=text))
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
