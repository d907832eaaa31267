"""A JSON list of objects read element by element: no more of it is held than the element that is read."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_recipes.errors import DataError
from data_recipes.readers.encoding import detect
from data_recipes.readers.rows import HEAD_CHARS, Row, parse_json

_CHUNK_BYTES = 1 << 18
_MOST_CHARS = 8 << 20  # of one element
_REMEDY = "an instruction file is a JSON list of objects"
_SCAN = json.JSONDecoder().raw_decode


def read_json_list(path: Path) -> Iterator[Row]:
    """The elements of the list; `line` counts them from 1, `offset` counts characters.

    Raises:
        DataError: the file holds no JSON list, or the list breaks off.
    """
    with open(path, "rb") as stream:
        text = _Window(path, stream)
        if text.skip_space() != "[":
            raise DataError(f"{path}: the top level is no list", _REMEDY)
        text.take(1)
        number = 0
        while (mark := text.skip_space()) != "]":
            number += 1
            if number > 1:
                if mark != ",":
                    raise DataError(f"{path}: not a JSON list after row {number - 1}: no comma", _REMEDY)
                text.take(1)
                text.skip_space()
            offset = text.position
            raw = text.element(number)
            try:
                yield Row(number, offset, len(raw), raw, parse_json(raw))
            except ValueError as error:
                yield Row(number, offset, len(raw), raw[:HEAD_CHARS], None, str(error))


class _Window:
    """The part of a file's text that is being read."""

    def __init__(self, path: Path, stream: BinaryIO):
        self._path = path
        self._stream = stream
        encoding, start = detect(self._stream)
        self._stream.seek(start)
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False

    @property
    def position(self) -> int:
        return self._before + self._at

    def take(self, count: int) -> str:
        taken = self._text[self._at : self._at + count]
        self._at += count
        return taken

    def skip_space(self) -> str:
        """The next character that is no white space, or nothing at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if not self._more(_CHUNK_BYTES):
                return ""

    def element(self, number: int) -> str:
        """Text of the value that starts here."""
        chunk = _CHUNK_BYTES
        while True:
            try:
                end = _SCAN(self._text, self._at)[1]
                if end < len(self._text) or not self._more(chunk):  # a number may go on in what is not read yet
                    return self.take(end - self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                if len(self._text) - self._at > _MOST_CHARS or not self._more(chunk):
                    raise DataError(f"{self._path}: row {number}: broken JSON: {reason}", _REMEDY) from None
            chunk *= 2

    def _more(self, size: int) -> bool:
        """Read on; what lies behind is forgotten."""
        if self._ended:
            return False
        data = self._stream.read(size)
        self._ended = not data
        try:
            more = self._decoder.decode(data, self._ended)
        except UnicodeDecodeError as error:
            raise DataError(f"{self._path}: not a JSON file: {error}", _REMEDY) from None
        self._before += self._at
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(data)
