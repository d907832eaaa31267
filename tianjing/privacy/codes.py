"""Codes of letters and digits: e-mail, WeChat id, licence plate, passport, permits, unified social credit code."""

from __future__ import annotations

import re
from typing import Final

from tianjing.privacy.checks import is_credit_code
from tianjing.privacy.digits import DIGITS, GAP, GAPS, SECOND, SPOKEN_DIGITS, read_digits
from tianjing.privacy.findings import LEFT_CONTEXT_CHARS, Match, View
from tianjing.privacy.numbers import label_of

# As written, and as read out: li下划线wei八八艾特一六三点com, wufan at 126 dot com.
_SPOKEN_SIGNS: Final = {"下划线": "_", "下横线": "_", "横杠": "-", "中杠": "-", "减号": "-", "杠": "-", "点": "."}
_SPOKEN: Final = "|".join(_SPOKEN_SIGNS)
_SPOKEN_CHARS: Final = "".join(sorted(set("".join(_SPOKEN_SIGNS))))
_AT: Final = r" ?(?:@|艾特|圈[aA]|小老鼠) ?| [aA][tT] "
_DOT: Final = r" ?[.点] ?| dot "
_EMAIL: Final = re.compile(
    rf"((?:[A-Za-z0-9._%+-]|{_SPOKEN}|[{SPOKEN_DIGITS}]){{1,64}}?)(?:{_AT})"
    rf"((?:(?:[A-Za-z0-9-]|[{SPOKEN_DIGITS}]){{1,40}}(?:{_DOT})){{1,3}}[A-Za-z]{{2,10}})"
)
_EMAIL_RUN: Final = re.compile(rf"[A-Za-z0-9._%+@艾特圈小老鼠{_SPOKEN_CHARS}{SPOKEN_DIGITS} -]+")
LOCAL_PART: Final[str] = rf"[A-Za-z0-9._%+{_SPOKEN_CHARS}{SPOKEN_DIGITS}-]"
_EMAIL_LOCAL: Final = re.compile(f"{LOCAL_PART}+")
_EMAIL_BEFORE: Final = re.compile(r"[A-Za-z0-9._%+@-]$")
_EMAIL_LOCAL_CHARS, _EMAIL_CHARS_MAX = 64, 199
_AT_WORDS: Final = ("@", "艾特", "圈a", "圈A", "小老鼠", "at ", "AT ", "At ")

_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")
SPOKEN_SYMBOL: Final[str] = rf"[A-Za-z0-9_{_SPOKEN_CHARS}{SPOKEN_DIGITS}-]"
_SPOKEN_WORD: Final = re.compile(f"{SPOKEN_SYMBOL}+")
_WECHAT_ID: Final = re.compile(
    rf"[A-Za-z](?:[-_A-Za-z0-9]|{_SPOKEN}|[{SPOKEN_DIGITS}](?=[{SPOKEN_DIGITS}A-Za-z0-9])){{4,18}}"
    rf"(?:[-_A-Za-z0-9]|(?<=[{SPOKEN_DIGITS}])[{SPOKEN_DIGITS}])"
)
_WECHAT: Final = re.compile(
    r"(?:微信|威信|薇信|徽信|绿泡泡|\+ ?v|加v|v信|[vw]x|(?<![A-Za-z0-9])v(?=[号: ])|wechat|weixin|[加的我]薇|微)"
    r"(?:号码|账号|号|id)?(?:就是|是|为|叫|加|搜|我|的|一下|上|用|改成|换成|填|写|[:,\s])*$",
    re.IGNORECASE,
)
# Part of each of these words: much cheaper to look for.
WECHAT_CUE: Final = re.compile("[微威薇徽绿vV]|[wW](?:[xX]|[eE][cCiI])")
_SPOKEN_FIRST: Final = frozenset(SPOKEN_DIGITS) | frozenset(word[0] for word in _SPOKEN_SIGNS)
_NOT_WECHAT: Final = frozenset(("wechat", "weixin", "android", "iphone"))

_CREDIT_WORDS: Final = re.compile(r"代码|税号|执照|注册号|识别号|信用码")
# What says that 18 symbols are such a code even if one was misheard.
_CREDIT_CALLED: Final = re.compile(r"信用代码|税号|纳税人识别号|信用码|统一代码")
_CREDIT_SHAPE: Final = re.compile(r"[159][1-39]\d{6}[0-9A-HJ-NPQRTUWXY]{10}")
_PASSPORT: Final = re.compile(r"[EGDSPKegdspk][0-9A-Ha-hJ-Nj-nP-Zp-z]?\d{7}")
_PASSPORT_WORDS: Final = re.compile(r"护照|passport|证件|旅行证", re.IGNORECASE)
_PERMIT: Final = re.compile(r"[HMCWhmcw]\d{8}(?:\d\d)?|[TtLl]\d{8}")
_PERMIT_WORDS: Final = re.compile(r"通行证|回乡证|返乡证|港澳|台湾|台胞|证件|签注")
_FOREIGNER: Final = re.compile(r"[A-Za-z]{3}\d{12}")
_FOREIGNER_WORDS: Final = re.compile(r"永久居留|永居|居留|外国人|绿卡|证件")

_PROVINCES: Final = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使"
_PLATE_LETTERS: Final = frozenset("ABCDEFGHJKLMNOPQRSTUVWXYZ")
_PLATE_SYMBOLS: Final = frozenset("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789")
_PLATE_LAST: Final = frozenset("挂学警港澳试超领")
_PLATE_SIGNS: Final = frozenset(" ·•.-,，、—嗯")
_PLATE_GAP_CHARS: Final = 2

_CODE_LENGTHS: Final = (18, 15, 11, 9, 8)
# Necessary for a code to begin here; see `digits.HINT`. The local part and a sign of at; six characters from a letter;
# digits behind one to three letters; eighteen symbols. And a plate.
HINT: Final[str] = (
    r"[A-Za-z0-9](?<![A-Za-z0-9_-].)"
    rf"(?=[A-Za-z0-9._%+{_SPOKEN_CHARS}{SPOKEN_DIGITS}-]{{0,63}} ?(?:@|艾特|圈|小老|[aA][tT] )"
    rf"|(?<![0-9])[A-Za-z0-9_-]{{5}}"
    rf"|(?<![0-9])[A-Za-z0-9_{_SPOKEN_CHARS}{SPOKEN_DIGITS}-]{{5}}"
    rf"|(?<![0-9])(?:{GAPS}[A-Za-z]){{0,2}}(?:{GAPS}[0-9A-Za-z{SPOKEN_DIGITS}]){{7}})"
    rf"|[0-9AaNnYy{SPOKEN_DIGITS}](?<![A-Za-z0-9_-].)(?=(?:{GAPS}[0-9A-Za-z{SPOKEN_DIGITS}]){{16}})"
)
# What `read_digits` may make a code of, in a text that may go on: up to three letters and seven digits, or a symbol,
# seven digits and as many symbols as a credit code has. What the end of the text (\Z) cuts short may still come true.
_DIGIT: Final = rf"{GAPS}[0-9{SPOKEN_DIGITS}]"
_SYMBOL: Final = rf"{GAPS}[0-9A-Za-z{SPOKEN_DIGITS}]"
LETTERED: Final = re.compile(
    rf"[A-Za-z](?:{GAPS}[A-Za-z]){{0,2}}(?:(?:{_DIGIT}){{7}}|(?:{_DIGIT}){{0,6}}+{GAPS}\Z)"
    rf"|.(?:(?:{_DIGIT}){{7}}(?:(?:{_SYMBOL}){{10}}|(?:{_SYMBOL}){{0,9}}+{GAPS}\Z)|(?:{_DIGIT}){{0,6}}+{GAPS}\Z)",
    re.S,
)
_PLATE_GAP: Final = r"[ ·•.,，、—嗯-]{0,2}"
PLATE_HINT: Final[str] = rf"[{_PROVINCES}](?={_PLATE_GAP}[A-Za-z]{_PLATE_GAP}[A-Za-z0-9{SPOKEN_DIGITS}])"
# The same without look-around, wider: see `batch`.
_ANY_SYMBOL: Final = rf"[{GAP}]*[0-9A-Za-z{SPOKEN_DIGITS}]"
LIKELY: Final[str] = (
    rf"{LOCAL_PART} ?(?:@|艾特|圈|小老|[aA][tT] )|[A-Za-z]{SPOKEN_SYMBOL}{{5}}|[A-Za-z](?:{_ANY_SYMBOL}){{7}}"
    rf"|(?:{_ANY_SYMBOL}){{17}}|[{_PROVINCES}]{_PLATE_GAP}[A-Za-z]"
)
STARTS: Final[frozenset[str]] = frozenset(_PROVINCES)


def match_code(view: View, start: int) -> Match | None:
    """The longest code that begins at the letter or digit at `start`."""
    written = view.at(start).isascii()
    email = _match_email(view, start) if written else None
    if email or view.short:
        return email
    before = view.before(start, LEFT_CONTEXT_CHARS)
    last = before[-1:]
    if last.isascii() and (last.isalnum() or last in "-_") and last:
        return None
    if written and view.at(start).isalpha() and WECHAT_CUE.search(before) and _WECHAT.search(before):
        return _match_wechat(view, start)
    if not (second := view.at(start + 1)) or (second not in SECOND and not (second.isascii() and second.isalpha())):
        return None
    if not LETTERED.match(view.text, start):
        return None
    window = read_digits(view, start, letters=True)
    for length in _CODE_LENGTHS:
        if length <= len(window.digits) and window.cuts[length - 1]:
            end, run = window.ends[length - 1], window.digits[:length]
            kind = kind_of_code(run, before)
            if kind:
                return Match(kind, end, run)
    return None


def kind_of_code(run: str, before: str) -> str:
    """The kind of a whole code (capital letters and digits) by the words before it; "" if it is none."""
    if len(run) == 18:
        right = is_credit_code(run) and not (run.isdigit() and not _CREDIT_WORDS.search(before))
        called = _CREDIT_SHAPE.fullmatch(run) and _CREDIT_CALLED.search(before)
        return "credit_code" if right or called else ""
    if label_of(before) < 0:
        return ""
    if len(run) == 15:
        return "permit" if _FOREIGNER.fullmatch(run) and _FOREIGNER_WORDS.search(before) else ""
    if _PASSPORT.fullmatch(run) and _PASSPORT_WORDS.search(before):
        return "passport"
    return "permit" if _PERMIT.fullmatch(run) and _PERMIT_WORDS.search(before) else ""


def _match_wechat(view: View, start: int) -> Match | None:
    word = view.run(start, _WORD, 21)
    if view.at(start + len(word)) in _SPOKEN_FIRST:
        spoken = _WECHAT_ID.match(view.run(start, _SPOKEN_WORD, 32))
        word = spoken[0] if spoken else word
    if not _WECHAT_ID.fullmatch(word) or word.lower() in _NOT_WECHAT:
        return None
    return Match("wechat", start + len(word), _spelled(word).lower())


def _spelled(text: str) -> str:
    """What was read out, as it is written: 下划线 and digits."""
    for word, sign in _SPOKEN_SIGNS.items():
        text = text.replace(word, sign)
    return "".join(DIGITS.get(char, char) for char in text)


def _match_email(view: View, start: int) -> Match | None:
    if _EMAIL_BEFORE.search(view.before(start, 1)):
        return None
    local = view.run(start, _EMAIL_LOCAL, _EMAIL_LOCAL_CHARS + 1)
    if not local or len(local) > _EMAIL_LOCAL_CHARS or view.short:
        return None
    after = start + len(local)
    if view.at(after) == " ":
        after += 1
    if not any(view.startswith(word, after) for word in _AT_WORDS if view.at(after) == word[0]):
        return None
    match = _EMAIL.match(view.run(start, _EMAIL_RUN, _EMAIL_CHARS_MAX))
    if not match:
        return None
    domain = _spelled(match[2].replace(" dot ", ".")).replace(" ", "")
    if domain.lower().endswith(".invalid"):  # RFC 2606: nobody's, used for surrogates
        return None
    return Match("email", start + match.end(), f"{_spelled(match[1])}@{domain}".lower())


def match_plate(view: View, start: int) -> Match | None:
    """The licence plate that begins with the province character at `start`: five symbols, or six (new energy)."""
    index = _behind_signs(view, start + 1)
    letter = view.at(index).upper()
    if not letter or letter not in _PLATE_LETTERS:
        return None
    symbols, index = [view.text[start], letter], index + 1
    while len(symbols) < 9:
        skipped = _behind_signs(view, index)
        char = view.at(skipped).upper()
        char = DIGITS.get(char, char)
        if not char or (char not in _PLATE_SYMBOLS and not (len(symbols) == 6 and char in _PLATE_LAST)):
            break
        if skipped > index and len(symbols) > 6 and _is_plate("".join(symbols[2:])) and not _is_last(view, skipped):
            break  # a plate is complete, and what follows behind a sign is something else
        symbols.append(char)
        index = skipped + 1
    return Match("plate", index, "".join(symbols)) if _is_plate("".join(symbols[2:])) else None


def _behind_signs(view: View, index: int) -> int:
    end = index
    while end < index + _PLATE_GAP_CHARS and (char := view.at(end)) and char in _PLATE_SIGNS:
        end += 1
    return end


def _is_last(view: View, index: int) -> bool:
    """Whether one symbol stands at `index` and none behind it: 粤B 1234 5."""
    char = view.at(index + 1).upper()
    return not char or DIGITS.get(char, char) not in _PLATE_SYMBOLS


def _is_plate(body: str) -> bool:
    if len(body) not in (5, 6) or not any(char.isdigit() for char in body):
        return False
    return len(body) == 5 or body[0] in "ABCDEFGHJK" or body[-1] in "ABCDEFGHJK"
