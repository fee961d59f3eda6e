"""Limits: how often somebody may ask. In memory, so for one process each.

The clock is an argument; what was not heard of for long is forgotten, the oldest first.
"""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

_REMEMBERED = 10_000  # addresses, keys, persons


class TokenBuckets:
    """A bucket for each subject: it holds `burst` tokens, gains `rate` a second, and a request takes one."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], datetime]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, subject: str) -> timedelta | None:
        """Take a token; None if there was one, else how long until there is."""
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.get(subject, (float(self._burst), now))
            gained = max((now - since).total_seconds(), 0) * self._rate
            tokens = min(tokens + gained, self._burst)
            wait = None if tokens >= 1 else timedelta(seconds=(1 - tokens) / self._rate)
            self._buckets[subject] = (tokens if wait else tokens - 1, now)
            self._buckets.move_to_end(subject)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        return wait


@lru_cache(10_000)
def network_of(address: str) -> str:
    """Network that is counted as one: an IPv4 address, or the /64 of an IPv6 one, which one customer has."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))
