"""The options of a question as they are compared with an output, and the question restated in it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from evals.extract.cues import IN_BRACKETS
from evals.extract.found import Found
from evals.extract.normalise import fold, plain, squeeze

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
_ANNOUNCES = (
    r"(?:(?:答案|正确(?:选项|说法|的)|最终作答|应选|故选|选择|选|(?<!确)(?<!判)(?<!不)定)(?:应该?|应当|取)?(?:是|为|:|】|→|\s)*|→\s*|"
    r"(?:不属于|不包括|错误|不正确|不符合)[^。;,\n]{0,14}?的?(?:选项|"
    r"说法)?(?:是|为)|除了?(?=[^。;,\n]{2,30}(?:以外|之外|外)))"
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
    def _own_text(self) -> re.Pattern[str] | None:
        """A letter with the text of its option behind it, which adds nothing."""
        parts = []
        for letter, text in zip(self.letters, self.texts, strict=True):
            if len(text.strip()) > 1:
                own, head = re.escape(fold(text).strip()), rf"{letter}\s*(?:选项|项)?"
                parts.append(rf"{head}\s*[.、:—-]*\s*\({own}\)")
                mark = r"(?:\s*[.、:)\]—-]+\s*|\s+|(?=[一-鿿]))"
                parts.append(rf"{head}{mark}{own}(?![a-z0-9%]|[A-Z](?![一-鿿 .、])|(?![和与及])[一-鿿])")
        return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(parts)})") if parts else None

    @functools.cached_property
    def _announced_texts(self) -> list[tuple[str, re.Pattern[str], re.Pattern[str], str]]:
        """Per option: its text, the text where it is announced, the text with its letter behind, what a choice is."""
        found = []
        for letter, own in zip(self.letters, self.texts, strict=True):
            name = fold(own).strip()
            if len(name) > 1:
                said = re.escape(name)
                announced = re.compile(
                    rf"({_ANNOUNCES})[\"“「]?{said}[\"”」]?(?=[。;,\n外]|以外|之外|那个|这一?[项个]|$)"
                )
                lettered = re.compile(rf"{said}\s*\(\s*(?:选项)?\s*{letter}\s*(?:选?项)?\)")
                found.append((name, announced, lettered, letter))
        return found

    def without_own_texts(self, text: str) -> str:
        """`text` with the letter alone where an option's text stands beside it, or is announced."""
        if self._own_text:
            text = self._own_text.sub(lambda match: match[0][0], text)
        for name, announced, lettered, letter in self._announced_texts:
            if name in text:  # 答案是次级类, 次级类（C）
                text = announced.sub(rf"\g<1>{letter}", text)
                text = lettered.sub(letter if self.multiple else f"选{letter}{IN_BRACKETS}", text)
        return text

    @functools.cached_property
    def restated(self) -> re.Pattern[str] | None:
        """`A. … B. … C. …` with the very texts of all options, on one line or several."""
        if len(self.texts) < 2 or not all(self.texts):
            return None
        pairs = zip(self.letters, self.texts, strict=True)
        parts = [rf"[(\[]?{letter}\s*[.、:)\]]?\s*{re.escape(plain(text))}[。;,\s]*" for letter, text in pairs]
        return re.compile(r"\s*".join(parts))

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


def without_echo(text: str, known: Options) -> tuple[str, Found | None]:
    """The text without the options restated in it; and the answer, if some of several right ones are listed."""
    lines = text.split("\n")
    echoes = {}
    for number, line in enumerate(lines):
        head = re.match(r"\s*[-•]?\s*[(\[]?([A-J])\s*[.、:)\]]?\s*(\S.*?)\s*$", line)
        if head and head[1] in known.letters and squeeze(head[2]) == known.text_of(head[1]) != "":
            echoes[number] = head[1]
    named = "".join(sorted(set(echoes.values())))
    if len(named) >= 2:
        everything = named == known.letters
        rest = "\n".join(line for number, line in enumerate(lines) if number not in echoes)
        before = "\n".join(lines[: min(echoes)]).rstrip()
        if everything and not (known.multiple and re.search(r"答案(?:是|为|:)?[::\s]*$", before)):
            return rest, None
        if known.multiple:
            return rest, Found(named, "listed_options")
        return rest, None
    inline = _inline_echo(text, known)
    return (text[: inline[0]] + "\n" + text[inline[1] :], None) if inline else (text, None)


def _inline_echo(text: str, known: Options) -> tuple[int, int] | None:
    match = known.restated.search(text) if known.restated else None
    if match is None or (known.multiple and re.search(r"答案(?:是|为|:|\s)*$", text[: match.start()])):
        return None
    return match.span()
