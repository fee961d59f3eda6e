"""Addresses that a message may go to: none in the operator's own network, unless the operator says so.

A URL that a customer names could reach what only this machine reaches: a database, a router, a cloud's
metadata. So its host is resolved once, every address of it must be public, and the connection is made to the
address that was checked, not to the name: a name server that answers differently later gains nothing.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Resolve = Callable[[str, int], Sequence[str]]

_PORTS = {"https": 443, "http": 80}
# IPv6 that carries an IPv4 address in its last 32 bits: NAT64 (RFC 6052)
_NAT64 = IPv6Network("64:ff9b::/96")

# Not globally reachable, or no single host, by the IANA special-purpose address registries (RFC 6890) as of
# October 2026. The list is ours, since `ipaddress` has another one in each version of Python.
_SPECIAL_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared, behind carriers' NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and clouds' metadata
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # IETF protocol assignments, also those that are anycast
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")  # all that was ever given out (RFC 4291, 2.4)
_SPECIAL_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarks, ORCHID, drone identifiers
        "2001:db8::/32",  # documentation
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


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
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    carried = address.ipv4_mapped or address.sixtofour
    if carried is None and address in _NAT64:
        carried = IPv4Address(int(address) & 0xFFFF_FFFF)
    if carried is not None:
        return is_public(str(carried))
    return address in _GLOBAL_IPV6 and not any(address in network for network in _SPECIAL_IPV6)
