"""The options of a question as they are compared with an output, and the question restated in it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from evals.extract.found import Found
from evals.extract.normalise import fold, plain, squeeze
from evals.extract.owntexts import without_texts

# Option texts that speak of all the others.
_EACH = r"(?:全部|全|都|均|皆|全都)"
ALL_OF_THEM = re.compile(
    r"allofthe(?:above|m)|all(?:two|three|four|five|six)?arecorrect|all(?:the|two|three|four|five|six)*options|[二三四五六七八](?:项|者)(?:说法)?"
    + _EACH
    + r"(?:是|为)?(?:对|正确|符合|属于)|"
    r"这?[二三四五六][项个](?:选项)?(?:全|都|均|应|该)*选|全选|都选|(?:所有|全部)选项$|一个(?:不落|都不少|不少)$|(?:题中|所列|题目中|上面)?[二三四五六七八][项个](?:无一例外)?(?:全|都|均)(?:包括|为|是|属于|符合)(?:在内|正确)?|(?:以上|上述|上面|前面)(?:全部|所有)(?:选项|各项)?$|[二三四五六七八](?:大|种|类)[一-鿿]{0,4}(?:全|都|均)(?:包含|包括|属于|是)|"
    r"(?:所有|全部|[二三四五六]个)(?:的)?(?:选项|说法|答案)" + _EACH + r"?(?:是|为)?(?:对|正确|符合|选|可以)|"
    r"(?:以上|上述)[一-鿿]{0,6}?" + _EACH + r"可|(?:以上|上述|前面|前述|这些|所有选项|全部)?(?:选项|说法|各项|"
    r"答案|内容|情况|三项|四项|三者|业务|做法|行为|情形)?"
    + _EACH
    + r"(?:是|对|正确|包括|属于|符合|可以|有|选|当选|入选)"
)
NONE_OF_THEM = re.compile(
    r"noneoftheabove|(?:以上|上述|前面|前述|所有|全部|[二三四五六]个)?(?:的)?(?:选项|说法|各项|答案|三项|四项)?"
    + _EACH
    + r"(?:不|错|非|没)"
)


@dataclass(frozen=True)
class Options:
    """The options shown, A first."""

    texts: tuple[str, ...]
    multiple: bool

    @functools.cached_property
    def letters(self) -> str:
        return "".join(chr(ord("A") + place) for place in range(len(self.texts)))

    @functools.cached_property
    def squeezed(self) -> tuple[str, ...]:
        return tuple(_without_own_letter(text, place) for place, text in enumerate(self.texts))

    @functools.cached_property
    def words(self) -> frozenset[str]:
        """Latin words of the options (CPA, GDP): they name no letters."""
        return frozenset(word for text in self.texts for word in re.findall(r"[A-Z]{2,}", fold(text)))

    def text_of(self, letter: str) -> str:
        letter = letter.strip("()[]【】 .").upper()
        return self.squeezed[self.letters.index(letter)] if len(letter) == 1 and letter in self.letters else ""

    def name_of(self, letter: str) -> str:
        """The text of the option as outputs have it, marks and all."""
        return fold(self.texts[self.letters.index(letter)]).strip() if letter in self.letters and letter else ""

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        named = {letter: fold(text).strip() for letter, text in zip(self.letters, self.texts, strict=True)}
        return {letter: name for letter, name in named.items() if len(name) > 1}

    def without_own_texts(self, text: str) -> str:
        """`text` with the letter alone where an option's text stands beside it, or is announced."""
        return without_texts(text, self._names, self.multiple)

    @functools.cached_property
    def _shown(self) -> tuple[str, ...]:
        return tuple(plain(text) for text in self.texts)

    @functools.cached_property
    def _listing(self) -> re.Pattern[str]:
        pairs = zip(self.letters, self._shown, strict=True)
        parts = [rf"[(\[]?{letter}\s*[.、:)\]]?\s*{re.escape(text)}[。;,\s]*" for letter, text in pairs]
        return re.compile(r"\s*".join(parts))

    def restated(self, text: str) -> re.Match[str] | None:
        """`A. … B. … C. …` with the very texts of all options, on one line or several."""
        whole = len(self.texts) > 1 and all(self.texts) and all(shown in text for shown in self._shown)
        return self._listing.search(text) if whole else None

    def contradicts(self, answer: str, behind: str) -> bool:
        """Whether one letter is followed at once by the text of another option."""
        if len(answer) != 1:
            return False
        opening = re.match(r"\s*(?:选项|项)?\s*(?:[.、:)(,\-—]|即|也就是|就是|对应的)+\s*([^\n。;]*)", behind)
        if not opening:
            return False
        said = squeeze(opening[1])
        own = self.text_of(answer)
        if not said or (own and said.startswith(own)):
            return False
        return any(len(text) > 1 and text != own and said == text for text in self.squeezed)

    def mentions(self, phrase: str, question: str) -> bool:
        return any(phrase in fold(text) for text in (*self.texts, question))

    def only_with(self, part: str) -> str:
        """Letter of the one option whose squeezed text has `part`, at least two characters and a third of it; or ""."""
        found = [place for place, own in enumerate(self.squeezed) if part in own]
        exact = [place for place, own in enumerate(self.squeezed) if part == own]
        place = exact[0] if len(exact) == 1 else found[0] if len(found) == 1 else None
        if place is None or len(part) < 2 or re.search(r"\d", part) or 3 * len(part) < len(self.squeezed[place]):
            return ""
        before = self.squeezed[place].partition(part)[0]
        return "" if re.search("[不非无未没否]", before) else self.letters[place]

    def special(self, pattern: re.Pattern[str]) -> str | None:
        """Letter of the one option that speaks of all others in the way of `pattern`."""
        found = [self.letters[n] for n, text in enumerate(self.squeezed) if len(text) <= 16 and pattern.match(text)]
        return found[0] if len(found) == 1 else None


@functools.lru_cache(maxsize=8192)
def _without_own_letter(text: str, place: int) -> str:
    return squeeze(re.sub(rf"^\s*{chr(ord('A') + place)}\s*[.、:)]\s*", "", fold(text)))


_DENIES = re.compile(r"错误|有误|不(?:正确|属于|包括|符合|选|是|对)|(?i:\b(?:not|incorrect|wrong|except)\b)")


def without_echo(text: str, known: Options, negative: bool = False) -> tuple[str, Found | None]:
    """The text without the options restated in it; and the answer, if some of several right ones are listed.

    Args:
        negative: the question asks for what is not so, so that a list of what is not so is one of answers.
    """
    lines = text.split("\n")
    echoes: dict[int, str] = {}
    for number, line in enumerate(lines):
        head = re.match(r"\s*[-•]?\s*[(\[]?([A-J])\s*[.、:)\]]?\s*(\S.*?)\s*$", line)
        if head and head[1] in known.letters:
            said, own = squeeze(head[2]), known.text_of(head[1])
            cut = said and own.startswith(said) and _lists_on(echoes, number, head[1]) and not any(lines[number + 1 :])
            if said == own != "" or cut:
                echoes[number] = head[1]
    named = "".join(sorted(set(echoes.values())))
    if len(named) >= 2:
        everything = named == known.letters
        before = "\n".join(lines[: min(echoes)]).rstrip()
        chosen = max(echoes)  # B. …, once more behind the whole list
        if everything and not known.multiple and len(echoes) == len(named) + 1 and echoes[chosen] != "A":
            del echoes[chosen]
        rest = "\n".join(line for number, line in enumerate(lines) if number not in echoes)
        if everything and not (known.multiple and re.search(r"答案(?:是|为|:)?[::\s]*$", before)):
            return rest, None
        denied = _DENIES.search(before.rpartition("\n")[2]) is not None and not negative
        if known.multiple and not denied:
            return rest, Found(named, "listed_options")
        return rest, None
    return _without_inline_echo(text, known), None


def _lists_on(echoes: dict[int, str], number: int, letter: str) -> bool:
    """Whether the line before was the option before it: what is listed last may be cut off."""
    before = echoes.get(number - 1)
    return before is not None and (ord(before) + 1 == ord(letter) or letter == "A")


def _without_inline_echo(text: str, known: Options) -> str:
    match = known.restated(text)
    while match and not (known.multiple and re.search(r"答案(?:是|为|:|\s)*$", text[: match.start()])):
        rest = text[match.end() :]
        text = text[: match.start()] + "\n" + ("" if _opens_list(rest, known) else rest)
        match = known.restated(text)
    return text


def _opens_list(text: str, known: Options) -> bool:
    """Whether a text is the beginning of the list of options, cut off."""
    said = squeeze(text)
    whole = squeeze("".join(f"{letter}{own}" for letter, own in zip(known.letters, known.squeezed, strict=True)))
    return len(said) > 2 and said != whole and whole.startswith(said)
