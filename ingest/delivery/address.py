"""Addresses that a message may go to: none in the operator's own network, unless the operator says so.

A URL that a customer names could reach what only this machine reaches: a database, a router, a cloud's
metadata. So its host is resolved once, every address of it must be public, and the connection is made to the
address that was checked, not to the name: a name server that answers differently later gains nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Resolve = Callable[[str, int], Sequence[str]]

_PORTS = {"https": 443, "http": 80}
# IPv6 that carries an IPv4 address in its last 32 bits: IPv4-compatible, and NAT64 (RFC 6052)
_EMBEDDING = (IPv6Network("::/96"), IPv6Network("64:ff9b::/96"))


class AddressError(ValueError):
    """A URL that nothing is sent to; the message says why and never holds the URL's path or query."""


@dataclass(frozen=True, slots=True)
class DestinationAddress:
    """URL of a destination, taken apart: `path` with its query; `host` for TLS and the Host header."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def secure(self) -> bool:
        """True where TLS is spoken."""
        return self.scheme == "https"


def parse(url: str, *, allow_private: bool) -> DestinationAddress:
    """The parts of a destination's URL. Raises AddressError.

    https is required, except where the operator allowed addresses of their own network.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressError("it is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise AddressError("it is not an https:// address")
    if parts.scheme == "http" and not allow_private:
        raise AddressError("it is http://, which anybody on the way can read; use https://")
    if parts.username is not None or parts.password is not None:
        raise AddressError("it holds a password; the signature shows who sends")
    if parts.fragment or not url.isascii() or any(character <= " " for character in url):
        raise AddressError("it holds a fragment, a space or a sign that is not ASCII")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise AddressError("its host is no name of the DNS") from None
    if not allow_private and _is_private_literal(parts.hostname):
        raise AddressError("it is not a public address; an operator may allow it")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return DestinationAddress(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], path)


def _is_private_literal(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:
        return False  # a name: what it stands for is looked up when something is sent


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver gives them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def checked_addresses(target: DestinationAddress, look_up: Resolve, *, allow_private: bool) -> list[str]:
    """The addresses to connect to. Raises AddressError where one is not public, OSError for none."""
    addresses = list(look_up(target.host, target.port))
    if not addresses:
        raise OSError(f"{target.host} has no address")
    if not allow_private:
        for address in addresses:
            if not is_public(address):
                raise AddressError(
                    f"{target.host} is at {address}, which is not a public address; an operator may allow it"
                )
    return addresses


def is_public(text: str) -> bool:
    """True for an address of the public internet that belongs to one host."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address.sixtofour is not None:
            return is_public(str(address.sixtofour))
        if address.teredo is not None:
            return False
        if any(address in network for network in _EMBEDDING):
            return int(address) > 1 and is_public(str(IPv4Address(int(address) & 0xFFFF_FFFF)))
    return address.is_global and not address.is_multicast
