"""What a customer's words show of an emotion: the label and the words that show it.

Only what is said counts: a customer in trouble who does not say how it feels has shown nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tianjing.tasks.mediation import EMOTIONS

# In the order of EMOTIONS: of several shown, the first is the one to answer.
_SHOWN: dict[str, re.Pattern[str]] = {
    "愤怒": re.compile(
        r"来气|气(?:死|人|炸)|火大|冒火|恼火|鬼火|生气|发火|受(?:不|得)了|受够|烦(?:死|透|人|得很)|"
        r"有完没完|欺(?:负|人)|过分|滚|骂|混蛋|投诉|告你们|凶什么|什么态度|又是你们|没完没了|吵(?:死|人)"
    ),
    "抵触": re.compile(
        r"不想(?:跟你)?(?:讲|谈|说|听)|别(?:再)?(?:打|催|烦|问|说)了?|催(?:命|什么|啥)|懒得|爱(?:咋|怎么)|"
        r"没(?:什么|啥)好(?:说|谈)|凭什么|少来|随便你们|你看着办|不给"
    ),
    "焦虑": re.compile(
        r"透不过(?:气|来)|喘不过|不知(?:道|该)(?:怎么|先|咋|如何)|怎么办|咋办|咋个办|愁|急(?:死|得|坏)|着急|发慌|心慌|慌得|"
        r"压力(?:太|很|好|真)?大|睡不着|焦虑|撑不(?:住|下)|扛不住|熬不|没办法了|走投无路|担心|害怕|唉|哎哟|难(?:啊|呀|得很)|太难"
    ),
}


def emotion(texts: Iterable[str]) -> tuple[str, str]:
    """(label of EMOTIONS, words that show it) over a customer's turns; the words are "" where nothing is shown."""
    said = list(texts)
    for label, pattern in _SHOWN.items():
        for text in reversed(said):
            found = pattern.search(text)
            if found:
                return label, found[0]
    return EMOTIONS[-1], ""
