"""Which written forms are no disguise: words of their own, and characters that prove nothing.

`ordinary_words.txt` lists forms that sound like a word of the shipped vocabulary but are common words or common
neighbours themselves (a 在晚 inside 在晚上 is no 再晚). They were collected by running the vocabulary over open texts:
the CrossWOZ dialogues, the statutes, DISC-FinLLM samples, and the word list of jieba (MIT), from which also come the
pairs of which one character ends and the other begins common words: 须审 in 必须审核 is no 畜生. 陶先 is a name before
its title.
"""

from __future__ import annotations

import functools
from importlib import resources

# Kept alone they do not tie a form to its word: 的时 is not 的事.
FUNCTION_CHARS = frozenset(
    "的一人你我您他她它不了是在这那里上下个就都也再有没给把让为来去到要会能可以大小中得着过和与所之其各某最很更"
)

# The words that people disguise throughout, such as 气素 for 起诉: every character may be another one of its sound.
SENSITIVE_WORDS = frozenset(
    (
        "起诉 坐牢 征信 密码 验证码 法院 公安 警察 老赖 砍头息 拘留 通讯录 投诉 套现 包过 "
        "催收 暴力 诈骗 律师 传票 冻结 查封 派出所 黑名单 失信 曝光 畜生 混蛋 人渣 废物 "
        "垃圾 傻逼 不要脸 王八蛋 贱人 判刑 逮捕 通缉 刑拘 坐监狱 弄死 打死 砍死 堵门 泼油漆 "
        "爆通讯录 百分百 洗白征信 征信修复 修复征信 身份证 支付密码 征信黑名单 法官 民警 检察院 "
        "银保监 举报 减免 网贷 以贷养贷 真人 机器人"
    ).split()
)


@functools.lru_cache(maxsize=1)
def ordinary_words() -> frozenset[str]:
    """Forms that are never read as a disguise."""
    text = (resources.files("tianjing.rulebook") / "ordinary_words.txt").read_text(encoding="utf-8")
    return frozenset(text.split())
