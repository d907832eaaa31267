"""What the learned rail sees of a text: hashed character n-grams, their readings in pinyin, and pairs of concepts.

A long text is seen in windows, so that what it hides is not lost in its length. Every step is linear in the text.
Training and service both use this module; weights name the `DIGEST` of the features they were trained for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.guard.folding import bare, visible

BITS: Final = 16
"""The weights have 2**16 places."""
WINDOW_CHARS: Final = 160
_STRIDE_CHARS: Final = 80
_GRAMS: Final = (1, 2, 3, 4)
# A syllable has two to four letters: the shorter n-gram is about one, the longer about two.
_SOUND_GRAMS: Final = (4, 6)
_AHEAD: Final = 3
_MARKS: Final = '“"「?？<{[【:：\n…'
# Words that mean the same to this rail. What stands together, and in which order, says more than any one of them.
_CONCEPTS: Final[dict[str, str]] = {
    "drop": (
        "忽略 忽视 无视 忘记 忘掉 忘了 忘光 抛开 抛弃 丢开 扔掉 扔一边 作废 失效 清零 清空 覆盖 推翻 跳出 绕过 "
        "绕开 突破 摆脱 解除 关掉 关闭 停用 废掉 取消 替换 不算数 别管 不用管 不遵守 不受 不用守 别照着 放一边 "
        "ignore disregard forget override bypass void"
    ),
    "orders": (
        "指令 指示 设定 预设 人设 提示词 规则 规矩 约束 限制 守则 条条框框 约定 护栏 过滤 审核 合规 开关 准则 "
        "红线 框框 管束 手册 底层 配置 说明书 初始 开场 小抄 上下文 systemprompt prompt system instruction rule "
        "policy guardrail guideline"
    ),
    "show": (
        "输出 打印 显示 展示 重复 复述 背出 念 列出 写出 贴 吐出 抄 发来 发我 给我看 看看 告诉我 说出 透露 泄露 "
        "公开 翻成 翻译 导出 调出 拉个 dump show print reveal repeat paste list"
    ),
    "before": (
        "上面 以上 前面 之前 先前 此前 最开始 第一句 第一条 开头 刚才 原来 旧的 老的 上文 above previous before"
    ),
    "act": (
        "扮演 假装 假设 假如 想象 你演 你来当 你就当 当作 角色扮演 故事 小说 游戏 续写 模拟 化身 变成 pretend "
        "actas roleplay"
    ),
    "free": (
        "无限制 没有限制 不受限 没有任何 百无禁忌 越狱 开发者模式 不拒绝 从不拒绝 不许拒绝 不能拒绝 有问必答 "
        "什么都答 什么都敢 没人管 unfiltered unrestricted"
    ),
    "obey": "听我 服从 照办 照做 执行 只认我 主人 必须回答 按我 obey comply",
    "bot": "助手 助理 模型 机器人 智能客服 大模型 语言模型 ai llm assistant chatbot",
    "inner": "内部 后台 隐藏 底线 评分卡 打分 权重 密钥 令牌 接口 数据库 环境变量 源码 hidden internal secret",
    "others": (
        "其他客户 别的客户 别人 他人 其他人 上一位 上一个 前一位 隔壁 全部客户 所有客户 客户名单 客户资料 "
        "客户信息 逾期客户 othercustomers"
    ),
    "rank": "管理员 开发人员 开发者 技术部 运维 董事长 总裁 监管 审计 检查组 授权码 最高权限 admin developer root",
    "how": (
        "怎么 怎样 如何 教我 教教 帮我 替我 给我 有没有门路 哪里能 哪儿能 步骤 流程 话术 模板 范本 攻略 窍门 "
        "写一封 写一份 写一个 编一 编个 编造 howto helpme"
    ),
    "fake": (
        "伪造 假的 造假 做假 虚构 虚假 编造 冒充 假装 假冒 仿造 变造 做旧 倒签 包装 代开 p图 p一 p成 假证 假章 "
        "假流水 做一份 造一份 编一份 编一套 fake forge"
    ),
    "paper": (
        "流水 收入证明 在职证明 工资单 社保 公积金 病历 诊断 住院 出院 公章 结清证明 房产证 学历 营业执照 "
        "死亡证明 离婚证 结婚证 失业证明 残疾证 低保 发票 合同 判决 传票 payslip certificate"
    ),
    "record": "征信 逾期记录 不良记录 黑名单 信用记录 污点",
    "clean": "洗白 铲 删掉 消除 修复 抹掉 去掉 消掉 改掉",
    "unseen": (
        "查不到 查不出 不被发现 不会被 不被抓 不留痕 不露馅 看不出 发现不了 避开 躲 瞒 偷偷 悄悄 不知道 不触发 "
        "应付 糊弄 骗过 混过 蒙混 盯上"
    ),
    "hide": "转移 藏 过户 隐匿 挪 净身出户 假离婚 代持 埋 搬空 避债 躲债 逃债",
    "court": "法院 执行 起诉 判决 查封 冻结 拍卖 债主 债权人 强制执行 老赖 限高 court",
    "force": (
        "威胁 恐吓 吓唬 逼 曝光 打一顿 堵门 泼 跟踪 定位 爆通讯录 呼死 勒索 敲诈 封口 报复 人肉 闹 裸照 threaten"
    ),
    "identity": "身份证 刷脸 人脸 活体 换脸 面签 核身 名义 冒用 他的名字 她的名字 别人的脸 验证码 机主",
    "scheme": (
        "套现 跑分 洗钱 过账 走账 黑钱 刷单 钓鱼 骗贷 撸 跑路 断供 背债 四件套 裸贷 砍头息 资金盘 钱变干净 拆着存 "
        "phishing launder"
    ),
    "bribe": "红包 好处费 贿赂 回扣 塞钱 打点 送礼 疏通",
    "doubt": (
        "是真的吗 是不是 真假 靠谱 骗子 被骗 诈骗 上当 违法吗 犯法 违法 合法吗 判刑 坐牢 罪 举报 投诉 报警 维权 "
        "防止 怎么防 识别 听说 有人 对方 短信 收到 自称 什么意思 啥意思 什么是 是什么 是啥 会不会 责任 后果 处罚 "
        "怎么处理 辨真假 分辨 防着 风险 科普 普法 安全吗 入刑 劝 scam"
    ),
    "victim": "报案 追究 撤销 不知情 不认 怎么办 求助 被冒用 被盗 追回 起诉他",
    "mine": "我的 我自己 本人 我名下 我上个月 我这期 my",
    "error": "报错 弹窗 弹出 页面 app 登录 密码 失败 升级 繁忙 收不到 打不开 订单号 编号 流水号",
    "trouble": "失业 住院 生病 困难 协商 延期 减免 分期 还款 利息 额度 扣款 逾期",
    "undo": "发错 写错 输错 选错 弄错 改成 以这条为准 重新选 mistake",
}
_ID: Final = {word: at for at, words in enumerate(_CONCEPTS.values()) for word in words.split()}
_LONGEST: Final = {
    start: max(len(word) for word in _ID if word[:2] == start) for start in {word[:2] for word in _ID if len(word) > 1}
}
_PRIME: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(64 - BITS)
DIGEST: Final = hashlib.sha256(
    json.dumps([BITS, WINDOW_CHARS, _STRIDE_CHARS, _GRAMS, _SOUND_GRAMS, _AHEAD, _MARKS, _CONCEPTS]).encode()
).hexdigest()
Places = npt.NDArray[np.uint64]


def windows(text: str, readings: Mapping[int, str]) -> list[Places]:
    """The places of the features that each window of `text` has, each place once, ascending; below 2**BITS.

    Args:
        readings: code point -> syllable without tone, for `str.translate`; other characters stand for themselves.
    """
    said, plain = bare(text), visible(text)
    marks = [at for at, mark in enumerate(_MARKS) if mark in plain]
    starts = range(0, max(1, len(said) - WINDOW_CHARS + _STRIDE_CHARS), _STRIDE_CHARS)
    return [_places(f"^{said[at : at + WINDOW_CHARS]}$", marks, readings) for at in starts]


def _places(said: str, marks: list[int], readings: Mapping[int, str]) -> Places:
    # ü is typed as v, or as u.
    sound = said.translate(readings).replace("|", "").replace("v", "u")
    words = concepts(said)
    pairs = [(one << 8) + other for at, one in enumerate(words) for other in words[at + 1 : at + 1 + _AHEAD]]
    places = _hashed(
        np.concatenate(
            [
                *_grams(said, _GRAMS, 1),
                *_grams(sound, _SOUND_GRAMS, 2),
                _marked(np.array(words, dtype=np.uint64), 3),
                _marked(np.array(pairs, dtype=np.uint64), 4),
                _marked(np.array(marks, dtype=np.uint64), 5),
            ]
        )
    )
    # np.unique takes several times as long for so few.
    places.sort()
    first = np.ones(len(places), dtype=np.bool_)
    np.not_equal(places[1:], places[:-1], out=first[1:])
    return places[first]


def concepts(said: str) -> list[int]:
    """The concepts named in a folded text, in order, the longest word first."""
    found: list[int] = []
    at = 0
    while at < len(said):
        for size in range(_LONGEST.get(said[at : at + 2], 1), 0, -1):
            concept = _ID.get(said[at : at + size])
            if concept is not None:
                found.append(concept)
                at += size
                break
        else:
            at += 1
    return found


def _grams(text: str, sizes: tuple[int, ...], kind: int) -> list[Places]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    found, rolling = [], codes
    for size in range(1, max(sizes) + 1):
        if len(rolling) == 0:
            break
        if size in sizes:
            found.append(_marked(rolling, 16 * kind + size))
        rolling = rolling[:-1] * _PRIME + codes[size:]
    return found


def _marked(values: Places, kind: int) -> Places:
    """Values that differ from the same values of another kind."""
    return values + np.uint64(kind << 40)


def _hashed(values: Places) -> Places:
    """Multiplicative hashing (Knuth, TAOCP 3, 6.4): the upper bits of a product modulo 2**64."""
    mixed = values * _PRIME
    return ((mixed ^ (mixed >> np.uint64(29))) * _PRIME) >> _SHIFT
