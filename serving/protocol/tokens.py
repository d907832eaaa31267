"""The most tokens that a prompt may have, told before an engine counts them: limits reserve it, and give back the rest.

A token has a byte at least, so no text has more tokens than bytes. Where that is far from the truth, in Chinese, a
measured bound stands instead: of the 7,296 characters of GB 2312 that are three bytes in UTF-8, Qwen2.5's tokenizer
knows all but 228 as one token (those are two: ①, Ⅲ, and rare ones such as 矽), and common words as one. Ordinary
Chinese has 0.7 tokens a character. Traditional and rare characters, one to three tokens each, count as three.
"""

from __future__ import annotations

# Of Qwen2.5's chat template, which is as long as others: the system prompt that stands where a request has none, and
# the opening of the answer; role and marks of a message, of a tool's result, and of a call; the words about tools.
CHAT_TOKENS = 32
MESSAGE_TOKENS = 8
RESULT_TOKENS = 24
CALL_TOKENS = 32
TOOLS_TOKENS = 128
TOOL_TOKENS = 8

_TWO_BYTES = bytes(range(0xC2, 0xE0))  # in UTF-8, what a character of two bytes begins with


def most_tokens(text: str) -> int:
    """A byte counts one, and a common Chinese character one; a millisecond for a hundred thousand characters."""
    data = text.encode()
    if len(data) == len(text):
        return len(data)
    single = len(text.encode("ascii", "ignore"))
    # GB 2312 has two bytes for each of its characters. Some of those, as Greek letters, are two bytes in UTF-8 too:
    # whatever has two there is left out, so that nothing counts less than one.
    common = (len(text.encode("gb2312", "ignore")) - single) // 2
    short = len(data) - len(data.translate(None, _TWO_BYTES))
    return len(data) - 2 * max(0, common - short)
