"""What a text says once its disguise is taken off: for patterns that look for intent, not for offsets.

Full width, look-alike letters, traditional characters, invisible characters, spaces between letters and punctuation
inside of words are undone. Every step is linear in the text.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from tianjing.rulebook.folding import PLAIN

# Cyrillic and Greek letters that are drawn like Latin ones.
_LOOKALIKES: Final = str.maketrans(
    "аеорсухіјѕһӏԁԛԝӓвкмнтαοενικρτυχγ\u0131\u0251\u0261",
    "aeopcyxijshldqwabkmhtaoevikptuxyiag",
)
# Traditional characters of the words that the patterns look for, beside those that the rulebook's table has.
_TRADITIONAL: Final = str.maketrans(
    "則統詞設無視記預輸發給員戶電話證號碼資訊數據庫開規範違過濾審從現擬裝關閉導顯詢將為與個請對應復遵訓練權繞間執",
    "则统词设无视记预输发给员户电话证号码资讯数据库开规范违过滤审从现拟装关闭导显询将为与个请对应复遵训练权绕间执",
)
_UNDISGUISED: Final = {**_LOOKALIKES, **_TRADITIONAL}
_LEET: Final = str.maketrans("01345@$", "oieasas")
_LEET_WORD: Final = re.compile(
    r"(?<![0-9a-z@$])(?=[a-z0-9@$]*[a-z][0134@$5]|[a-z0-9@$]*[0134@$5][a-z])[a-z0134@$5]{4,40}"
)
_STOP: Final = re.compile(r"[。！!？?；;,，、\n\r|]+|\.(?=\s|$)")
_NOISE: Final = re.compile(r"[^\w|]+|_+")
# 忽，略，以，上: marks between single characters separate nothing.
_SPELT_OUT: Final = re.compile(r"(?:(?<=\|)|^)(?:\w\|){4,}(?:\w$)?")

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[\s,]?){12,}")
_ESCAPES: Final = re.compile(r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}")
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2}){6,}")
_ENTITY: Final = re.compile(r"&#x?[0-9A-Fa-f]{2,6};")
# What a text may hide is decoded no deeper: base64 of base64 is one disguise too many for any honest sender.
_MOST_LAYERS: Final = 2


def visible(text: str) -> str:
    """`text` in compatibility form (NFKC) without characters that nobody sees."""
    if text.isascii():
        return text
    return "".join(
        char for char in unicodedata.normalize("NFKC", text) if char in "\n\r\t" or unicodedata.category(char) != "Cf"
    )


def bare(text: str) -> str:
    """Letters, digits and Chinese characters of `text` in lower case, without spaces; `|` stands for punctuation."""
    plain = visible(text).translate(PLAIN).translate(_UNDISGUISED)
    plain = _LEET_WORD.sub(lambda word: word[0].translate(_LEET), plain)
    tight = _NOISE.sub("", _STOP.sub("|", plain))
    return _SPELT_OUT.sub(lambda run: run[0].replace("|", "") + "|", tight)


def hidden(text: str) -> Iterator[str]:
    """What the text may hide: what is `encoded` in it, rot13, and the text backwards."""
    yield from encoded(text)
    yield codecs.decode(text, "rot13") if re.search("[A-Za-z]{4}", text) else ""
    yield text[::-1]


def encoded(text: str) -> Iterator[str]:
    """What base64, hexadecimal, escapes and entities in the text stand for."""
    layer = [text]
    for _ in range(_MOST_LAYERS):
        layer = [found for one in layer for found in _decoded(one)]
        yield from layer


def _decoded(text: str) -> Iterator[str]:
    for run in _BASE64.finditer(text):
        yield from _text_of(_from_base64(run[0]))
    for run in _HEX.finditer(text):
        digits = re.sub(r"\\x|0x|[\s,]", "", run[0])
        if len(digits) % 2 == 0:
            yield from _text_of(bytes.fromhex(digits))
    if _ESCAPES.search(text):
        yield _ESCAPES.sub(lambda escape: _char(int(escape[0][2:], 16)), text)
    if _PERCENT.search(text):
        yield unquote(text, errors="replace")
    if _ENTITY.search(text):
        yield html.unescape(text)


def _from_base64(run: str) -> bytes:
    body = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""


def _text_of(data: bytes) -> Iterator[str]:
    for encoding in ("utf-8", "gb18030", "utf-16-le"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if len(text) > 3 and text.isprintable():
            yield text
            return


def _char(point: int) -> str:
    return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else " "
