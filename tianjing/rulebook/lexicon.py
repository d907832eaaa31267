"""All words of all patterns in one Aho-Corasick automaton over sounds, and which of them a text really says.

The automaton finds words by their sound in one pass; a find counts when the characters are the word's own, or when it
is a plausible disguise: some characters are kept or spelt in letters, and the written form is no word of its own. What
is only a part of a longer word or number that the packs name (找死 in 找死角) does not count.
"""

from __future__ import annotations

import functools
import operator
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pypinyin.constants import PHRASES_DICT

from tianjing.rulebook.automaton import Automaton
from tianjing.rulebook.folding import Folded, fold, readings
from tianjing.rulebook.homophones import FUNCTION_CHARS, SENSITIVE_WORDS, ordinary_words
from tianjing.rulebook.patterns import Beside

_READINGS_MAX: Final = 8
# Words of two characters of which people disguise one; any other pair of sounds is too likely to be said by chance.
DISGUISED_PAIRS: Final = frozenset(
    (
        "逾期 欠款 欠钱 欠债 贷款 借款 借钱 还款 还钱 网贷 债务 账单 利息 本金 家人 家属 亲戚 同事 "
        "领导 单位 公司 父母 老婆 老公 上门 堵门 轰炸 打断 砍死 整死 收拾 威胁 恐吓 报警 立案 刑事 "
        "犯罪 判决 起诉 执行 限高 追逃 抓人 传唤 批捕 案底 社保 医保 高铁 飞机 通告 群发 张贴 公布 "
        "转账 口令 码数 念给 报给 授权 相册 定位 延期 分期 协商 困难 申请 登记 受理 减免 免息 到账 "
        "扣除 预扣 砍头 手续 保证 承诺 包过 秒批 下款 洗白 监管 信访 客服 人工 主管 工号 推销 营销 "
        "退订 复核 模型 算法 系统 拒绝 贱货 畜牲 笨蛋 蠢货 混账 无赖 滚蛋 该死 去死 白痴 智障 脑残 "
        "丢人 骗子 "
    ).split()
)

# Those of two characters that may stand in other characters of their sound.
DISGUISABLE_PAIRS: Final = DISGUISED_PAIRS | {word for word in SENSITIVE_WORDS if len(word) == 2}

# How a word is written, and the sets it belongs to, as bits.
Entry = tuple[str, int]
# How a word is written, and the sounds it can be written with.
Spelling = tuple[str, list[str]]
# Number of a set -> (first cell, cell after the last) of its words, sorted.
Found = dict[int, list[tuple[int, int]]]


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@functools.lru_cache(maxsize=65536)
def _numbers(mask: int) -> tuple[int, ...]:
    return tuple(bits(mask))


class Tokens:
    """The words of one text. A common word belongs to hundreds of sets, so they are sorted only into those wanted.

    Args:
        words: (first cell, cell after the last, sets as bits) of each word.

    Attributes:
        mask: the sets that have a word, as bits.
    """

    __slots__ = ("_words", "mask")

    def __init__(self, words: list[tuple[int, int, int]]):
        words.sort()
        self._words = words
        self.mask = functools.reduce(operator.or_, (mask for _, _, mask in words), 0)

    def of(self, wanted: int = -1) -> Found:
        """The words of the wanted sets (as bits; all by default)."""
        found: Found = {}
        for first, after, mask in self._words:
            for number in _numbers(mask & wanted):
                found.setdefault(number, []).append((first, after))
        return found

    def since(self, cell: int) -> Tokens:
        """The words that begin at `cell` or behind it."""
        return Tokens(self._words[bisect_left(self._words, (cell, 0, 0)) :])


class Lexicon:
    """Sets of words, numbered as given.

    Args:
        part_of: by word, what may stand beside it that makes it a part of something longer.

    Attributes:
        sets: the words of each set.
        longest: cells of the longest word of each set.
        entries: sound -> the words that have it.
    """

    def __init__(self, sets: Iterable[frozenset[str]], part_of: Mapping[str, tuple[Beside, ...]]):
        self.sets = list(sets)
        self.longest = [max(len(fold(word).codes) for word in words) for words in self.sets]
        memberships: dict[str, int] = defaultdict(int)
        for number, words in enumerate(self.sets):
            for word in words:
                memberships[word] |= 1 << number
        entries: dict[str, list[Entry]] = defaultdict(list)
        spelling: dict[str, Spelling] = {}
        for word, mask in memberships.items():
            cells = fold(word)
            spelling[word] = cells.chars, _keys(cells)
            for key in spelling[word][1]:
                entries[key].append((cells.chars, mask))
        self.entries: dict[str, tuple[Entry, ...]] = {key: tuple(values) for key, values in entries.items()}
        self._automaton = Automaton(self.entries, frozenset(self.entries))
        self._spelling: dict[str, Spelling] = spelling
        self._part_of = {spelling[word][0]: beside for word, beside in part_of.items() if word in spelling}
        self._heads: dict[int, dict[str, list[tuple[str, str]]]] = {}

    def tokens(self, cells: Folded) -> Tokens:
        """The words that a text says, plainly or in disguise."""
        found: list[tuple[int, int, int]] = []
        chars = cells.chars
        for end, size, entries in self._automaton.iter(cells.codes):
            start = end - size
            said = chars[start:end]
            for word, mask in entries:
                if (said == word or _stands_for(word, said, start, cells)) and not self._is_part(
                    word, start, end, cells
                ):
                    found.append((start, end, mask))
        return Tokens(found)

    def words_of(self, numbers: Iterable[int], cells: Folded) -> Found:
        """`tokens(cells).of(...)` of a few sets, many times faster."""
        codes, chars = cells.codes, cells.chars
        heard = frozenset(codes)
        found: Found = {}
        for number in numbers:
            words: set[tuple[int, int]] = set()
            head = self._head(number)
            for code in heard.intersection(head):
                for sound, word in head[code]:
                    start = codes.find(sound)
                    while start >= 0:
                        end = start + len(sound)
                        said = chars[start:end]
                        if (said == word or _stands_for(word, said, start, cells)) and not self._is_part(
                            word, start, end, cells
                        ):
                            words.add((start, end))
                        start = codes.find(sound, start + 1)
            if "" in head:
                words.update((end, end) for end in range(1, len(codes) + 1))
            if words:
                found[number] = sorted(words)
        return found

    def _is_part(self, word: str, start: int, end: int, cells: Folded) -> bool:
        """Whether `word`, said in cells `start` to `end`, is a part of something longer.

        What stands beside it must be in plain characters: nothing that comes later can read them otherwise, and so
        far as it is known no stream takes it back.
        """
        known = self._part_of.get(word)
        if known is None:
            return False
        first, behind = cells.starts[start], cells.ends[end - 1]
        for left, right in known:
            if cells.plain.endswith(left, 0, first) and cells.plain.startswith(right, behind):
                return True
        return False

    def _head(self, number: int) -> dict[str, list[tuple[str, str]]]:
        """The words of a set, with their sounds, by the first sound."""
        head = self._heads.get(number)
        if head is None:
            head = self._heads[number] = {}
            for word in self.sets[number]:
                chars, sounds = self._spelling[word]
                for sound in sounds:
                    head.setdefault(sound[:1], []).append((sound, chars))
        return head

    def open_cell(self, codes: str) -> int:
        """First cell of the longest unfinished word at the end, or the number of cells."""
        return len(codes) - self._automaton.unfinished_at_end(codes)


def _keys(cells: Folded) -> list[str]:
    """The sounds a word can be written with: its usual ones, and other readings of its characters."""
    keys = [""]
    for index in range(len(cells.codes)):
        code, char = cells.codes[index], cells.chars[index]
        also = readings(char) if char != code else ()
        if not also or also == (code,):
            keys = [key + code for key in keys]
        else:
            sounds = dict.fromkeys((code, *also))
            keys = [key + sound for key in keys for sound in sounds][:_READINGS_MAX]
    return keys


def _stands_for(word: str, said: str, start: int, cells: Folded) -> bool:
    """Whether `said`, which sounds like `word`, is it in disguise."""
    if len(said) == 1:
        return start in cells.spelt
    # Most words of two characters are disguised in letters or not at all: no need to ask further.
    return (len(said) > 2 or bool(cells.spelt) or word in DISGUISABLE_PAIRS) and disguised(word, said, start, cells)


def disguised(word: str, said: str, start: int, cells: Folded) -> bool:
    """Whether `said` is `word` with some characters replaced by others of their sound, and not a word of its own,
    nor cut out of one: 思打 in 意思打扰 is no 死打."""
    if len(said) != len(word) or said in ordinary_words():
        return False
    known, chars, end = dictionary(), cells.chars, start + len(said)
    if said[0] != word[0] and start and start not in cells.spelt and chars[start - 1] + said[0] in known:
        return False
    if said[-1] != word[-1] and end < len(chars) and end - 1 not in cells.spelt and said[-1] + chars[end] in known:
        return False
    if word in SENSITIVE_WORDS:
        return True
    if any(i in cells.spelt for i in range(start, end)):
        return True
    if said in known or (len(said) == 2 and word not in DISGUISED_PAIRS):
        return False
    return any(char == word[i] and char not in FUNCTION_CHARS for i, char in enumerate(said))


@functools.lru_cache(maxsize=1)
def dictionary() -> frozenset[str]:
    """Words of two characters in the word list of pypinyin (MIT)."""
    return frozenset(word for word in PHRASES_DICT if len(word) == 2)
