"""Writes the implicit label into a file that is handed out: into its metadata where it can, or else beside it."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from xml.sax.saxutils import escape

from serving.errors import ServeError
from serving.labels.aigc import KEY, Metadata
from tianjing.files import atomic_write

SIDECAR_SUFFIX = ".aigc.json"
_PNG = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/">'
    "<TC260:AIGC>{}</TC260:AIGC></rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="w"?>'
)


def label_file(path: Path, label: Metadata, out: Path | None = None) -> Path:
    """Label a file and return where the label stands.

    JSON objects get the key `AIGC`, Markdown a front matter, PNG an XMP property; anything else a file beside it,
    NAME.aigc.json.

    Args:
        out: the labelled file; None writes it in place of the old one. A sidecar always stands beside `path`.

    Raises:
        ServeError: it cannot be read, carries a label already (nobody may replace one: 标识办法 Art. 10), or is not
            what its name says.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ServeError(f"{path}: cannot be read: {error.strerror}", "give a file that you may read") from None
    writer = _WRITERS.get(path.suffix.lower())
    target = out or path
    labelled = None if writer is None else writer(path, data, label)
    if labelled is None:
        target, labelled = path.with_name(path.name + SIDECAR_SUFFIX), _json(label)
        if target.exists():
            raise _labelled(target)
    atomic_write(target, labelled)
    return target


def _in_json(path: Path, data: bytes, label: Metadata) -> bytes | None:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ServeError(f"{path}: not JSON: {error}", "mend the file, or rename it") from None
    if not isinstance(value, dict):
        return None
    if KEY in value:
        raise _labelled(path)
    return _json({**label, **value})


def _in_markdown(path: Path, data: bytes, label: Metadata) -> bytes:
    import yaml

    front = yaml.safe_dump(dict(label), allow_unicode=True, sort_keys=False).encode()
    if not data.startswith(b"---\n"):
        return b"---\n" + front + b"---\n\n" + data
    if f"\n{KEY}:".encode() in data[: data.find(b"\n---", 3) + 1]:
        raise _labelled(path)
    return b"---\n" + front + data[4:]


def _in_png(path: Path, data: bytes, label: Metadata) -> bytes | None:
    header_end = len(_PNG) + 25  # the first chunk, IHDR, always has 13 bytes
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < header_end:
        raise ServeError(f"{path}: not a PNG file", "rename it by what it is")
    if b"tc260.org.cn/ns/AIGC" in data:
        raise _labelled(path)
    if _XMP_KEYWORD in data:
        return None  # one XMP packet is allowed, and merging two is for an XMP tool
    packet = _XMP.format(escape(json.dumps(label[KEY], ensure_ascii=False))).encode()
    return data[:header_end] + _chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + packet) + data[header_end:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _labelled(path: Path) -> ServeError:
    return ServeError(f"{path}: carries a label already", "leave it: a label may not be replaced (标识办法 Art. 10)")


_WRITERS = {".json": _in_json, ".md": _in_markdown, ".png": _in_png}
