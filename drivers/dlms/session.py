"""Session from its first byte to its last: opening, link, association, and invocation counters."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from drivers.dlms.address import parse_address
from drivers.dlms.association import Association, Credentials, LoginError
from drivers.dlms.codec.hdlc import HdlcAddress, HdlcParameters
from drivers.dlms.codec.objects import INVOCATION_COUNTERS
from drivers.dlms.codec.security import Keys
from drivers.dlms.link import HdlcLink
from drivers.dlms.opening import open_head
from drivers.driver import Clock, Tally, Target
from drivers.errors import DecodeError, DriverError, MeterError, NoAnswerError
from drivers.line import Line, SerialSettings

log = logging.getLogger(__name__)

_INFORMATION = HdlcParameters(512, 512)  # the longer a frame, the fewer turns; meters agree to what they can
_PUBLIC = HdlcAddress(16)
_COUNTER_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Sessions:
    """Logs in to the meters of a line, one at a time. `home` are the settings that the line waits at."""

    def __init__(
        self, line: Line, tally: Tally, clock: Clock, *, title: bytes, random: Callable[[int], bytes]
    ) -> None:
        self.line = line
        self.tally = tally
        self.clock = clock
        self.title = title
        self.random = random
        self.home: SerialSettings = line.settings
        self._counters: dict[str, int] = {}  # by address, the last one used; 0: to be asked for

    @property
    def through_head(self) -> bool:
        """True where meters have to be signed on to first: the line waits at 300 7E1."""
        return self.home.bits == 7

    @contextmanager
    def log_in(self, target: Target) -> Iterator[Association]:
        """An association for as long as the context lasts. Raises DriverError."""
        client, server = parse_address(target.address)
        credentials = self._credentials(target)
        credentials.counter = self._counters.get(target.address, 0)
        if credentials.keys and not credentials.counter:
            credentials.counter = self._meters_counter(target, client, server)
        try:
            with self._association(target, client, server, credentials) as association:
                yield association
        except LoginError:
            credentials.counter = 0
            raise
        finally:
            self._counters[target.address] = credentials.counter

    @contextmanager
    def _association(
        self, target: Target, client: HdlcAddress, server: HdlcAddress, credentials: Credentials
    ) -> Iterator[Association]:
        with self._link(target, client, server) as link:
            association = Association(link, credentials, self.random)
            association.open()
            yield association

    @contextmanager
    def _link(self, target: Target, client: HdlcAddress, server: HdlcAddress) -> Iterator[HdlcLink]:
        self.line.configure(self.home)
        link = HdlcLink(
            self.line,
            self.tally,
            client,
            server,
            timeout=target.timeout,
            retries=target.retries,
            proposed=_INFORMATION,
        )
        try:
            if self.through_head:
                open_head(self.line)
            link.connect()
            try:
                yield link
            finally:
                link.disconnect()
        finally:
            self.line.configure(self.home)

    def _credentials(self, target: Target) -> Credentials:
        try:
            keys = None if target.key is None else Keys.parse(target.key)
        except ValueError as error:
            raise DriverError(str(error), advice="write the key as 32 or 64 hexadecimal digits") from None
        password = None if target.password is None else target.password.encode("utf-8")
        return Credentials(self.title, password, keys)

    def _meters_counter(self, target: Target, client: HdlcAddress, server: HdlcAddress) -> int:
        """The last invocation counter that the meter took: it tells the public client, else the clock does.

        Of several, the highest: to leave some out is allowed. A counter of seconds since 2000 grows faster
        than anybody asks, and across restarts.
        """
        try:
            with self._association(target, _PUBLIC, server, Credentials(self.title)) as association:
                told = [association.get_optional(attribute) for attribute in INVOCATION_COUNTERS]
            counters = [one.integer for one in told if one is not None]
        except NoAnswerError:
            with self._link(target, client, server):
                counters = []  # it is there, and deaf to the public client
        except (MeterError, DecodeError) as refusal:
            log.debug("%s: %s", target.address, refusal)
            counters = []
        return max(counters) if counters else max(int((self.clock() - _COUNTER_EPOCH).total_seconds()), 1)
