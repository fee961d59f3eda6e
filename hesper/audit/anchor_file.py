"""File of anchors in a folder outside of the database, one line each, and the key that signs them.

audit/anchors      the lines; only ever appended to
audit/key.pem      the private key, made with the first anchor (mode 0600)
audit/key.pub      the public key: who has a copy of it and of the anchors needs nothing else
audit/receipts/    what the hook printed for an anchor, named by the line's SHA-256
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hesper.audit.anchor import Anchor, AnchorError, read_line, signed_line
from store.audit import Head


class AnchorFile:
    """Anchors of a folder. Its methods raise OSError where the folder cannot be used, and AnchorError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "anchors"

    def anchors(self) -> Iterator[Anchor]:
        """All of them, each verified; none where there is no file."""
        before = b""
        for number, line in enumerate(self._lines(), 1):
            try:
                anchor = read_line(line, self._public_key)
            except AnchorError as error:
                raise AnchorError(f"{self.path}, line {number}: {error}") from None
            if not anchor.follows(before):
                raise AnchorError(f"{self.path}, line {number}: it does not follow the line before it")
            yield anchor
            before = line

    def last(self) -> Anchor | None:
        """The newest one; those before it are not looked at."""
        line = self.last_line()
        return read_line(line, self._public_key) if line else None

    def append(self, at: datetime, heads: Iterable[Head]) -> bytes:
        """Sign an anchor and keep it, on the disk when this returns. Gives its line."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two workers may share a folder
            before = self.last_line()
            file.truncate(
                sum(map(len, self._lines()))
            )  # a line that a power cut left half was never an anchor
            line = signed_line(at, before, heads, self._private_key(make=not before))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        return line

    def keep_receipt(self, line: bytes, receipt: bytes) -> None:
        """Keep what a witness said of an anchor's line."""
        folder = self.folder / "receipts"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / hashlib.sha256(line).hexdigest()).write_bytes(receipt)

    def _lines(self) -> Iterator[bytes]:
        """Whole lines."""
        if self.path.exists():
            with self.path.open("rb") as lines:
                yield from (line for line in lines if line.endswith(b"\n"))

    def last_line(self) -> bytes:
        """The newest one as it is written; empty: there is none."""
        last = b""
        for line in self._lines():
            last = line
        return last

    def _private_key(self, *, make: bool) -> Ed25519PrivateKey:
        path = self.folder / "key.pem"
        if make and not path.exists():
            self._make_key(path)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (FileNotFoundError, ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise AnchorError(
                f"{path} does not hold the key of the anchors: put it back, or move {self.folder} aside, "
                "keep it, and begin anew"
            )
        return key

    def _make_key(self, path: Path) -> None:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.folder / "key.pub").write_bytes(public)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
            file.flush()
            os.fsync(file.fileno())

    @cached_property
    def _public_key(self) -> Ed25519PublicKey:
        path = self.folder / "key.pub"
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (FileNotFoundError, ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise AnchorError(
                f"{path} does not hold the public key of the anchors: put a copy there that you trust"
            )
        return key
