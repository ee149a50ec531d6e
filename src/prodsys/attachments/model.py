"""Which files are taken, told from what is in them and never from what somebody says they are."""

import codecs
import hashlib
from collections.abc import Callable, Mapping

MOST_BYTES = 20_000_000
CHUNK = 256 * 1024
MOST_UNUSED_BYTES = 2_000_000_000
"""Of one partner, not named by any order: as much as one order may name."""

ENDINGS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/tiff": "tif",
    "image/vnd.dwg": "dwg",
    "image/vnd.dxf": "dxf",
    "model/step": "step",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "text/plain": "txt",
}
"""The media types that are taken, and the ending a file of each gets when it is handed out."""

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"AC10", "image/vnd.dwg"),
    (b"AutoCAD Binary DXF", "image/vnd.dxf"),
    (b"ISO-10303-21;", "model/step"),
)
_IN_A_ZIP: tuple[tuple[bytes, str], ...] = (
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
)
_MACROS = b"vbaProject"
_WHITE = frozenset("\t\n\r\f")


class Inspector:
    """Reads a file piece by piece: its size, its hash, and what it is."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._kind: str | None = None
        self._decode: Callable[[bytes, bool], str] = codecs.getincrementaldecoder("utf-8")().decode
        self._is_text = True
        self._end = b""
        self._has_macros = False

    def read(self, piece: bytes) -> None:
        """Take the next piece; the first one must hold the file's beginning, 256 KiB unless it is shorter."""
        if self.size == 0:
            self._kind = _kind_of(piece)
        self.size += len(piece)
        self._hash.update(piece)
        self._is_text = self._is_text and self._reads_as_text(piece)
        self._has_macros = self._has_macros or _MACROS in self._end + piece
        self._end = piece[-len(_MACROS) :]

    @property
    def sha256(self) -> str:
        """Of what has been read so far."""
        return self._hash.hexdigest()

    @property
    def media_type(self) -> str | None:
        """What the file is; None for one that is not taken: an empty one, a program, an archive, an office file with macros."""
        if self.size == 0 or self._has_macros:
            return None
        return self._kind or ("text/plain" if self._is_text else None)

    def _reads_as_text(self, piece: bytes) -> bool:
        try:
            text = self._decode(piece, False)
        except UnicodeDecodeError:
            return False
        return all(sign.isprintable() or sign in _WHITE for sign in text) if not text.isascii() else _is_plain_ascii(piece)


_CONTROLS = bytes(code for code in range(32) if chr(code) not in _WHITE) + b"\x7f"


def _is_plain_ascii(piece: bytes) -> bool:
    return len(piece.translate(None, _CONTROLS)) == len(piece)


def _kind_of(beginning: bytes) -> str | None:
    for start, kind in _BEGINNINGS:
        if beginning.startswith(start):
            return kind
    if beginning.startswith(b"PK\x03\x04") and b"[Content_Types].xml" in beginning:
        return next((kind for name, kind in _IN_A_ZIP if name in beginning), None)
    return None
