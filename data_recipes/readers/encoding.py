"""UTF-8 or GB 18030: what a file is written in, and what one of its lines is where a file mixes the two.

Chinese office software and older log systems write GB 18030 (or its subset GBK). Its second bytes are never a line
end, a comma or a quote, so a file can be cut into records before its encoding is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Literal

from data_recipes.errors import DataError

Encoding = Literal["utf-8", "gb18030"]

UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_SAMPLE_BYTES = 1 << 20
_THREE_BYTES = "\u0800"  # GB 18030 read as UTF-8 gives two-byte letters and breaks, hardly ever a three-byte character


def detect(stream: BinaryIO) -> tuple[Encoding, int]:
    """What an open file is written in, by its first megabyte beyond ASCII, and where its text starts (after a BOM).

    Raises:
        DataError: it opens with a UTF-16 byte order mark.
    """
    stream.seek(0)
    sample = stream.read(_SAMPLE_BYTES)
    _refuse_utf16(str(stream.name), sample)
    start = len(UTF8_BOM) if sample.startswith(UTF8_BOM) else 0
    while sample and sample.isascii():
        sample = stream.read(_SAMPLE_BYTES)
    return ("utf-8" if _mostly_utf8(sample) else "gb18030"), start


def decode_line(data: bytes, encoding: Encoding) -> str:
    """Text of a line of a file in `encoding`; a line in the other one is read as what it is.

    Raises:
        ValueError: it is neither. Damaged UTF-8 is never read as GB 18030, which would give other characters.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _mostly_utf8(data):
            raise ValueError(f"not UTF-8 at byte {error.start}") from None
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError as other:
            raise ValueError(f"neither UTF-8 nor GB 18030 at byte {other.start}") from None
    if encoding == "utf-8" or text.isascii() or max(text) >= _THREE_BYTES:
        return text
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return text


def readable(data: bytes) -> str:
    """Text of bytes that may be in no encoding; what cannot be read is written as \\xNN, so that nothing is lost."""
    try:
        return decode_line(data, "utf-8")
    except ValueError:
        return data.decode("utf-8", errors="backslashreplace")


def decode_file(path: Path) -> str:
    """Text of a whole file in UTF-8 or GB 18030.

    Raises:
        DataError: it is neither.
    """
    data = path.read_bytes()
    _refuse_utf16(str(path), data)
    data = data.removeprefix(UTF8_BOM)
    try:
        return decode_line(data, "utf-8")
    except ValueError as error:
        raise DataError(f"{path}: {error}", "save the file as UTF-8") from None


def _refuse_utf16(path: str, head: bytes) -> None:
    # Excel's “Unicode text”: its records cannot be cut at bytes.
    if head.startswith(_UTF16_BOMS):
        raise DataError(f"{path}: UTF-16 text", "save the file as UTF-8")


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return not broken or sum(character >= _THREE_BYTES for character in text) >= 2 * broken
