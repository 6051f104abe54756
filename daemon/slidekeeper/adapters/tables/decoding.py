"""Strict decoding: bytes that are not what the contract says refuse the file, by the number of their line and nothing else."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from slidekeeper.errors import Permanent

CODECS = {"utf-8": "utf-8-sig", "utf-8-sig": "utf-8-sig", "utf-16": "utf-16", "latin-1": "latin-1", "cp1252": "cp1252"}
"""A mark before UTF-8 is no content, whether the contract expects it or not; UTF-16 without one could be read in two ways."""
FOREIGN_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
CONTROLS = re.compile(rb"[\x80-\x9f]")
"""Bytes that in Latin-1 are control characters nobody writes; where they occur, the file is cp1252 or something else."""


def decoded(stream: BinaryIO, encoding: str, block_bytes: int) -> Iterator[bytes]:
    """The stream's text as blocks of UTF-8; a character is never cut in two.

    Raises:
        Permanent: ``wrong-encoding`` or ``nul-byte``, with the line.
    """
    decoder = codecs.getincrementaldecoder(CODECS[encoding])("strict")
    lines = 1
    last = ""
    while True:
        block = stream.read(block_bytes)
        if lines == 1 and not last and encoding in {"latin-1", "cp1252"} and block.startswith(FOREIGN_MARKS):
            raise _wrong(encoding, 1)
        text = _decode(decoder, block, encoding, lines)
        if "\0" in text:
            line = lines + line_ends(text[: text.index("\0")].encode(), last)
            raise Permanent("nul-byte", f"line {line} holds a zero byte", "Export the file again; a text has none")
        if text:
            utf8 = text.encode()
            yield utf8
            lines += line_ends(utf8, last)
            last = text[-1]
        if not block:
            return


def line_ends(text: bytes, before: str = "") -> int:
    """How many lines end in ``text``, by LF, CR or CR LF; ``before`` is the character ahead of it."""
    torn = before == "\r" and text.startswith(b"\n")
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n") - torn


def _decode(decoder: codecs.IncrementalDecoder, block: bytes, encoding: str, lines: int) -> str:
    _, flag = decoder.getstate()
    controls = CONTROLS.search(block) if encoding == "latin-1" else None
    if controls:
        raise _wrong(encoding, lines + line_ends(block[: controls.start()]))
    try:
        return decoder.decode(block, final=not block)
    except UnicodeDecodeError as error:
        # What precedes the wrong bytes is decoded once more, to count its lines; the message itself would quote them.
        decoder.setstate((b"", flag))
        sound = decoder.decode(bytes(error.object[: error.start]))
        raise _wrong(encoding, lines + line_ends(sound.encode())) from None
    except UnicodeError:
        raise _wrong(encoding, 1) from None


def _wrong(encoding: str, line: int) -> Permanent:
    return Permanent("wrong-encoding", f"line {line} is not {encoding}", "Export the file in this encoding, or correct the contract's")
