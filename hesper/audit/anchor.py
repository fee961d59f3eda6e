"""Anchor of the audit log: the heads of all chains at an instant, signed, to be kept outside of the database.

A chain proves the order of its rows and not that they are all there: whoever owns the tables can cut its end,
delete it, or write all of it anew with hashes that hold. A head that is signed and kept elsewhere shows it.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from store.audit import Head, Witness


class AnchorError(ValueError):
    """An anchor that is not what was signed, or an order of them that is not what was written."""


class AnchoredHead(msgspec.Struct, frozen=True):
    """Newest row of a chain: the utility's id (0: of none) and code, the row's position and SHA-256."""

    chain: int
    utility: str
    position: int
    hash: bytes


class Anchor(msgspec.Struct, frozen=True):
    """Heads at an instant. `previous` is the SHA-256 of the line before; empty: it is the first."""

    at: datetime
    previous: bytes
    heads: tuple[AnchoredHead, ...]

    def follows(self, before: bytes) -> bool:
        """Whether this is the anchor that was written after that line."""
        return self.previous == _digest(before)


def signed_line(at: datetime, before: bytes, heads: Iterable[Head], key: Ed25519PrivateKey) -> bytes:
    """The line of an anchor: its Ed25519 signature in hexadecimal, a space, and the JSON that is signed.

    `before` is the line that it follows, with its end; empty: there is none.
    """
    content = msgspec.json.encode(
        Anchor(
            at,
            _digest(before),
            tuple(AnchoredHead(one.chain, one.utility, one.position, bytes(one.hash)) for one in heads),
        )
    )
    return b"%b %b\n" % (key.sign(content).hex().encode(), content)


def read_line(line: bytes, key: Ed25519PublicKey) -> Anchor:
    """The anchor of a line. Raises AnchorError where the signature is not that of `key`."""
    signature, _, content = line.rstrip(b"\n").partition(b" ")
    try:
        key.verify(bytes.fromhex(signature.decode()), content)
        return msgspec.json.decode(content, type=Anchor)
    except (InvalidSignature, ValueError) as error:  # no hexadecimal and no UTF-8 are ValueErrors, too
        raise AnchorError("its signature does not hold") from error


def witnesses(anchors: Iterable[Anchor]) -> dict[int, Witness]:
    """What anchors know of each chain."""
    known: dict[int, Witness] = {}
    for anchor in anchors:
        for head in anchor.heads:
            witness = known.setdefault(head.chain, Witness(head.utility))
            witness.hashes.setdefault(head.position, set()).add(head.hash)
    return known


def _digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest() if line else b""
