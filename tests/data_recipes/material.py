"""A small raw folder with known content: two sites, planted practices, inspected turns, cited answers."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from data_recipes.config import BuildConfig, ExtractConfig, HoldoutConfig, PracticesConfig, SplitConfig

EXTRACT = ExtractConfig(
    split=SplitConfig(holdout=HoldoutConfig(field="site", values=("west",))),
    practices=PracticesConfig(min_group_cases=20, veto={"demand_full_payment": ("Q01",)}),
)
BUILD = BuildConfig()

RULES_MD = """# 还款安排管理办法

晨舟规〔2025〕1号 2025年12月1日发布 2026年1月1日施行

## 第一章 总则

第一条 为规范还款安排，保护客户合法权益，制定本办法。

## 第二章 延期还款

第二条 延期还款每次最长30日，同一笔借款12个月内不得超过2次。

第三条 客户申请延期的，应当提交下列材料之一：

（一）离职证明；

（二）二级以上医院的诊断书。

材料不齐的，坐席应当一次告知。

第三条之一 分期还款每期应还金额不得低于200元。
"""

CONDUCT_HTML = """<html><head><title>x</title></head><body><h1>贷后沟通行为规范</h1>
<h2>第一章 联系</h2><p>第一条 每日21时至次日8时不得拨打催收电话，客户本人同意的除外。</p>
<p>第二条 同一客户每日拨打催收电话不得超过3次。</p><h2>附表 质检项</h2>
<table><tr><th>编号</th><th>名称</th><th>说明</th></tr>
<tr><td>Q01</td><td>威胁恐吓</td><td>以安全相威胁。</td></tr>
<tr><td>Q02</td><td>言语侮辱</td><td>辱骂、嘲讽客户。</td></tr></table></body></html>"""

ZONE = timezone(timedelta(hours=8))
ACT_WORDS = {
    "east": {"work": "您可以申请延期，缓一段再还", "other": "请您尽快全额还清"},
    "west": {"work": "给您办个展期手续怎么样", "other": "麻烦您今天一次性结清"},
}
REASON_WORDS = {
    "east": "我上{n}个月被公司裁掉了，{tail}手上确实没有进账",
    "west": "厂子关门{n}周，{tail}一直在找活路，没收入",
}
TAILS = ("", "家里还有老人，", "房租也要交，", "孩子要上学，", "真是难，", "到处面试，", "补偿没拿到，")
QUESTIONS = {"east": "延期{a}最多可以延多少天{b}", "west": "{b}往后拖还款的上限是几日{a}"}


def write_raw(folder: Path, cases: int = 240, seed: int = 3) -> Path:
    """Write a raw folder with `cases` post-loan and half as many service dialogues; a third belongs to site west."""
    rng = random.Random(seed)
    (folder / "rules").mkdir(parents=True)
    (folder / "rules" / "还款安排.md").write_text(RULES_MD, encoding="utf-8")
    (folder / "rules" / "沟通.html").write_text(CONDUCT_HTML, encoding="utf-8")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("dialogues", "events", "outcomes", "customers")}
    for number in range(cases):
        _post_loan(rows, number, rng)
    for number in range(cases // 2):
        _service(rows, number, rng)
    for name, values in rows.items():
        lines = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def _customer(
    rows: dict[str, list[dict[str, Any]]], key: str, site: str, bucket: str, rng: random.Random
) -> dict[str, str]:
    name = rng.choice("王李张刘陈") + rng.choice("建晓志海玉") + rng.choice("国梅强燕峰")
    mobile = f"13{rng.randrange(10**9):09d}"
    record = {"customer": key, "site": site, "name": name, "mobile": mobile, "overdue_bucket": bucket, "amount": "3200"}
    rows["customers"].append(record)
    return record


def _post_loan(rows: dict[str, list[dict[str, Any]]], number: int, rng: random.Random) -> None:
    """偶数 cases are 失业 (offer_deferral works); the rest 情绪激动, where nothing works."""
    case, site = f"P{number:04d}", "west" if number % 3 == 2 else "east"
    bucket = rng.choice(["M1", "M2"])
    record = _customer(rows, f"C{number:04d}", site, bucket, rng)
    situation = "失业" if number % 2 == 0 else "情绪激动"
    works = rng.random() < 0.5
    kept = rng.random() < (0.9 if works and situation == "失业" else 0.4) - (0.1 if bucket == "M2" else 0)
    reason = REASON_WORDS[site].format(n=rng.randrange(2, 9), tail=rng.choice(TAILS))
    if situation == "情绪激动":
        reason = f"你们第{rng.randrange(2, 9)}次打来了，{rng.choice(TAILS)}烦死了"
    breach = rng.random() < 0.3
    answer = ACT_WORDS[site]["work" if works else "other"] + "，" + rng.choice(TAILS) + "您看呢"
    threat = f"再拖{rng.randrange(2, 30)}天我就上你家去"
    turns = [
        ("agent", f"您好，请问是{record['name']}先生吗？"),
        ("customer", f"嗯，是我，我电话{record['mobile']}没换"),
        ("agent", "您这笔款逾期了，是什么原因呢"),
        ("customer", reason),
        ("agent", answer),
        ("customer", "行，那就这么办"),
        ("agent", threat if breach else "好的，祝您顺利"),
    ]
    start = datetime(2026, 3, 1, 9, tzinfo=ZONE) + timedelta(minutes=10 * number)
    times = [(start + timedelta(seconds=20 * i)).isoformat() for i in range(len(turns))]
    rows["dialogues"].append(_dialogue(case, record["customer"], f"A{number % 7}", start, turns, times))
    note = f"{record['name']}留{record['mobile']}"
    rows["events"] += [
        {"case": case, "at": times[0], "actor": f"A{number % 7}", "activity": "打开客户档案", "attributes": {}},
        {"case": case, "at": times[3], "actor": "A", "activity": "登记逾期原因", "attributes": {"reason": situation}},
        {
            "case": case,
            "at": times[4],
            "actor": "A",
            "activity": "记录备注",
            "attributes": {"note": note},
        },
    ]
    if number % 2 == 0:
        found = {"rule": "Q01", "evidence": "我就上你家去", "rewrite": "我们会依法与您协商"}
        none = {"rule": "none", "evidence": "", "rewrite": ""}
        attributes = {"turn": 6, **(found if breach else none)}
        rows["events"].append(
            {"case": case, "at": times[6], "actor": "qa-01", "activity": "质检", "attributes": attributes}
        )
    rows["outcomes"].append({"case": case, "name": "promise_kept", "value": int(kept)})


def _service(rows: dict[str, list[dict[str, Any]]], number: int, rng: random.Random) -> None:
    case, site = f"S{number:04d}", "west" if number % 3 == 2 else "east"
    record = _customer(rows, f"D{number:04d}", site, "M0", rng)
    ask = QUESTIONS[site].format(a=rng.choice(["的话", "这个", ""]), b=rng.choice(TAILS))
    answers = (
        "根据《还款安排管理办法》第二条，每次最长三十日",
        "按《还款安排管理办法》第2条，一次最多30日，一年不超过2次",
        "《还款安排管理办法》第二条写的是最长45日",
        "《还款安排管理办法》第九条有写",
        "这个问题公司制度里没有规定，我不能乱答",
    )
    turns = [("customer", ask), ("agent", answers[number % len(answers)])]
    start = datetime(2026, 4, 1, 9, tzinfo=ZONE) + timedelta(minutes=number)
    times = [(start + timedelta(seconds=20 * i)).isoformat() for i in range(len(turns))]
    rows["dialogues"].append(_dialogue(case, record["customer"], "B1", start, turns, times))


def _dialogue(
    case: str, customer: str, agent: str, start: datetime, turns: list[tuple[str, str]], times: list[str]
) -> dict[str, Any]:
    return {
        "id": case,
        "customer": customer,
        "agent": agent,
        "channel": "phone",
        "started_at": start.isoformat(),
        "turns": [
            {"speaker": speaker, "text": text, "at": at} for (speaker, text), at in zip(turns, times, strict=True)
        ],
    }
