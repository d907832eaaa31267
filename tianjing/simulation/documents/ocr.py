"""Noise as text recognition makes it: look-alike characters, lost or added spaces, a seal over the words."""

from __future__ import annotations

import random

# Only what a reader can undo: a letter among digits, a look-alike character in a word.
_LOOK_ALIKES = {
    "日": "曰",
    "已": "己",
    "末": "未",
    "元": "兀",
    "人": "入",
    "土": "士",
    "天": "夭",
    "：": ":",
    "（": "(",
    "）": ")",
    "，": ",",
    "号": "号 ",
    "额": "额 ",
}
_DIGIT_LOOK_ALIKES = {"0": "O", "1": "l", "5": "S"}
_SEALS = ("★", "（章）", "~", "·")
_CHAR_RATE, _DIGIT_RATE, _SPACE_RATE, _SEAL_RATE = 0.06, 0.012, 0.25, 0.08


def noisy_text(text: str, rng: random.Random) -> str:
    """`text` as a recogniser would write it; the number of lines stays."""
    return "\n".join(_noisy_line(line, rng) for line in text.split("\n"))


def _noisy_line(line: str, rng: random.Random) -> str:
    read = "".join(_read(char, rng) for char in line)
    if rng.random() < _SPACE_RATE:
        read = read.replace("  ", " ") if "  " in read else _with_space(read, rng)
    return read + rng.choice(_SEALS) if rng.random() < _SEAL_RATE else read


def _read(char: str, rng: random.Random) -> str:
    if char in _LOOK_ALIKES and rng.random() < _CHAR_RATE:
        return _LOOK_ALIKES[char]
    if char in _DIGIT_LOOK_ALIKES and rng.random() < _DIGIT_RATE:
        return _DIGIT_LOOK_ALIKES[char]
    return char


def _with_space(line: str, rng: random.Random) -> str:
    place = rng.randint(0, len(line))
    return f"{line[:place]} {line[place:]}"
