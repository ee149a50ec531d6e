"""Where secrets that must be used again are sealed: partners' tokens and other systems' credentials."""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

MASK = "••••••••"
MIN_PASSPHRASE = 12

_WRAPPED = b"prodsys-key-1:"
_SCRYPT = {"n": 2**17, "r": 8, "p": 1, "maxmem": 256 * 1024 * 1024, "dklen": 32}


class VaultLocked(Exception):
    """The key that sealed this secret is not here; put its key file back, or enter the secret again."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.__doc__)


class BadKeyFile(VaultLocked):
    """The key file holds no key, or a line in it is not one; restore it from a backup."""


class WrongPassphrase(VaultLocked):
    """The passphrase does not open the keys in this backup."""


class WeakPassphrase(ValueError):
    """A passphrase has at least 12 characters."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Secret:
    """A text that nobody sees by accident: printing, logging, formatting or encoding it shows a mask, only `reveal()` shows the text.

    As a field of a Struct it needs the hooks of this file: `read_secret` to read, and `revealed` when the encoded Struct goes straight
    into `Vault.seal`. Without a hook msgspec raises TypeError rather than show anything.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not written down")


def revealed(value: object) -> str:
    """msgspec enc_hook for the one place where a Secret is written out: into `Vault.seal`."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"Objects of type {type(value).__name__} are not supported")


def read_secret(kind: type, value: object) -> Any:
    """msgspec dec_hook: text becomes a Secret. The mask is refused with ValueError: it came from our own form, unchanged."""
    if kind is not Secret:
        raise NotImplementedError(f"Objects of type {kind.__name__} are not supported")
    if not isinstance(value, str):
        raise ValueError("Expected a text")
    if value == MASK:
        raise ValueError("Expected the secret itself, or leave the field out to keep the present one")
    return Secret(value)


class Vault:
    """Seals and opens texts with a ring of Fernet keys: the first seals, all of them open.

    The key file has one key per line, newest first; blank lines and lines starting with # are skipped. `from_text` takes the same text
    from an environment value or a systemd credential.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            ring = [Fernet(key) for key in keys]
        except ValueError:
            # `from None`: the traceback must not show the line.
            raise BadKeyFile from None
        self._keys = tuple(keys)
        self._first = ring[0]
        self._ring = MultiFernet(ring)

    def __repr__(self) -> str:
        return f"Vault({len(self._keys)} keys)"

    @classmethod
    def from_text(cls, text: str) -> "Vault":
        """Take the keys from a text; raises BadKeyFile."""
        return cls(_keys_in(text))

    @classmethod
    def open(cls, path: Path) -> "Vault":
        """Take the keys from a file; raises FileNotFoundError and BadKeyFile."""
        return cls.from_text(path.read_text("utf-8"))

    @classmethod
    def create(cls, path: Path) -> "Vault":
        """Make a key file only its owner can read and open it. When two starts meet, both get the key of the one that was first."""
        with contextlib.suppress(FileExistsError):
            cls([_new_key()]).save(path)
        return cls.open(path)

    @classmethod
    def rotate(cls, path: Path) -> "Vault":
        """Put a new key on top of the file's. What was sealed before still opens; `reseal` each of it, then `retire` the old keys."""
        keys = [_new_key(), *_keys_in(path.read_text("utf-8"))]
        fresh = cls(keys)
        _replace(path, _as_text(keys))
        return fresh

    @classmethod
    def retire(cls, path: Path) -> "Vault":
        """Keep only the newest key: whatever was not resealed is lost."""
        keys = _keys_in(path.read_text("utf-8"))[:1]
        newest = cls(keys)
        _replace(path, _as_text(keys))
        return newest

    def save(self, path: Path) -> None:
        """Write the keys to a new file only its owner can read; raises FileExistsError rather than overwrite one."""
        half_way = _written(path, _as_text(self._keys))
        try:
            os.link(half_way, path)
        finally:
            half_way.unlink()
        _sync_folder(path)

    def seal(self, text: str) -> str:
        return self._ring.encrypt(text.encode("utf-8")).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Open what was sealed; raises VaultLocked when none of the keys fits or it was altered."""
        try:
            return self._ring.decrypt(sealed.encode("utf-8")).decode("utf-8")
        except InvalidToken:
            raise VaultLocked from None

    def is_current(self, sealed: str) -> bool:
        """Whether the newest key sealed it."""
        try:
            self._first.decrypt(sealed.encode("utf-8"))
        except InvalidToken:
            return False
        return True

    def reseal(self, sealed: str) -> str:
        """Seal it again with the newest key; raises VaultLocked."""
        try:
            return self._ring.rotate(sealed.encode("utf-8")).decode("ascii")
        except InvalidToken:
            raise VaultLocked from None

    def wrap_key(self, passphrase: str) -> bytes:
        """The keys under a passphrase, for `backup --with-key` (ruling 27); takes half a second and 128 MiB. Raises WeakPassphrase."""
        if len(passphrase) < MIN_PASSPHRASE:
            raise WeakPassphrase
        salt = secrets.token_bytes(16)
        wrapped = _passphrase_key(passphrase, salt).encrypt(_as_text(self._keys).encode("ascii"))
        return _WRAPPED + base64.urlsafe_b64encode(salt) + b":" + wrapped

    @classmethod
    def unwrap(cls, wrapped: bytes, passphrase: str) -> "Vault":
        """The vault whose keys were wrapped; `save` writes them to their file. Raises WrongPassphrase and BadKeyFile."""
        salt, colon, locked = wrapped.strip().removeprefix(_WRAPPED).partition(b":")
        if not wrapped.startswith(_WRAPPED) or not colon or len(salt) != 24:
            raise BadKeyFile("These are not keys wrapped by this program.")
        try:
            return cls.from_text(_passphrase_key(passphrase, base64.urlsafe_b64decode(salt)).decrypt(locked).decode("ascii"))
        except (InvalidToken, ValueError):
            raise WrongPassphrase from None


def _new_key() -> str:
    return Fernet.generate_key().decode("ascii")


def _keys_in(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys:
        raise BadKeyFile
    return keys


def _as_text(keys: Sequence[str]) -> str:
    return "".join(f"{key}\n" for key in keys)


def _passphrase_key(passphrase: str, salt: bytes) -> Fernet:
    # The same words typed on another keyboard may arrive composed differently.
    words = unicodedata.normalize("NFC", passphrase).encode("utf-8")
    return Fernet(base64.urlsafe_b64encode(hashlib.scrypt(words, salt=salt, **_SCRYPT)))


def _written(path: Path, text: str) -> Path:
    half_way = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(half_way, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return half_way


def _replace(path: Path, text: str) -> None:
    _written(path, text).replace(path)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
