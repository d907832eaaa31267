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
        r"来气|气(?:死|人|炸|不过|都顶)|越想越气|火大|冒火|恼火|鬼火|生气|发火|上火|毛了|受(?:不|得)了|遭(?:不|得)住|受够|够了|"
        r"烦(?:死|透|人|得很)|有完没完|没完没?了?[！!]|欺(?:负|人)|作践|洗刷|逼(?:人|疯|到|死)|要疯|过分|滚(?:开|蛋|远)|骂|混蛋|"
        r"投诉|告你们|[凶吼](?:什么|啥)|什么态度|(?:服务|态度)(?:太|那么|这么)?差|没良心|有没有良心|又是你们|吵(?:死|人)|"
        r"(?:不停地|三天两头|追着)(?:我)?(?:打|不停)|十几个电话|血压"
    ),
    "抵触": re.compile(
        r"不想(?:跟你)?(?:讲|谈|说|听)|别(?:再)?(?:打|催|烦)了?|催(?:命|什么|啥)|懒得|爱(?:咋|怎么)|不认(?:账|这|！|!|。|，)|"
        r"没(?:什么|啥)好(?:说|谈)|凭(?:什么|啥)|少来|随便你们|你看着办|就不给|不(?:会|得)给"
    ),
    "焦虑": re.compile(
        r"透不过(?:气|来)|喘不过|不知(?:道|该)(?:怎么|先|咋|如何)|愁|急(?:死|得|坏)|着急|发慌|心慌|慌得|"
        r"压力(?:太|很|好|真)?大|睡不着|焦虑|撑不(?:住|下)|扛不住|熬不|走投无路|担心|害怕|难(?:啊|呀|得很)|太难"
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
