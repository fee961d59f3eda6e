"""A client that is not ours reads our virtual meter: dlms-cosem 21.3.2 (MIT), over a real pty."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from dlms_cosem import enumerations, utils
from dlms_cosem.clients.dlms_client import DataResultError, DlmsClient
from dlms_cosem.cosem import CosemAttribute, Obis
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.parsers import AssociationObjectListParser, ProfileGenericBufferParser

from drivers.dlms.codec.clock import encode_date_time
from drivers.dlms.codec.data import encode_data, octet_string
from drivers.dlms.codec.objects import CLOCK
from drivers.dlms.codec.security import Keys
from drivers.dlms.server import ServerAccess
from drivers.dlms.virtual import VirtualDlmsMeter
from drivers.host import PtyMeterHost
from tests.drivers.dlms.household import BERLIN, household

ENCRYPTION, AUTHENTICATION = bytes(range(16)), bytes(range(0x20, 0x30))
ENUM_OF = enumerations.CosemInterface
IMPORT_VALUE = CosemAttribute(ENUM_OF.REGISTER, Obis(1, 0, 1, 8, 0), 2)
IMPORT_SCALING = CosemAttribute(ENUM_OF.REGISTER, Obis(1, 0, 1, 8, 0), 3)
BUFFER = CosemAttribute(ENUM_OF.PROFILE_GENERIC, Obis(1, 0, 99, 1, 0), 2)
CLOCK_TIME = CosemAttribute(ENUM_OF.CLOCK, Obis(0, 0, 1, 0, 0), 2)


@contextmanager
def client_of(meter: VirtualDlmsMeter, client: int = 16, **options: object) -> Iterator[DlmsClient]:
    """A session of theirs with our meter behind a pty."""
    with PtyMeterHost(meter) as host:
        theirs = DlmsClient.with_serial_hdlc_transport(
            serial_port=host.spec,
            client_logical_address=client,
            server_logical_address=1,
            server_physical_address=None,
            timeout=2,
            **options,
        )
        theirs.io_interface._read_frame = _reading(theirs.io_interface._read_frame)
        try:
            with theirs.session():
                yield theirs
        finally:
            theirs.io_interface._serial.close()


def _reading(read: Callable[[], bytes]) -> Callable[[], bytes]:
    """Theirs waits for ever for a frame that does not come."""

    def reading() -> bytes:
        frame = read()
        assert frame, "no frame came in time"
        return frame

    return reading


def meter_with(access: ServerAccess | None = None, longest: int = 0xFFFF) -> VirtualDlmsMeter:
    return VirtualDlmsMeter(household(), access=access or ServerAccess(), longest=longest, reaction=0)


def their_value(client: DlmsClient, attribute: CosemAttribute) -> object:
    return utils.parse_as_dlms_data(client.get(attribute))


def test_it_reads_registers_scalers_and_the_object_list() -> None:
    with client_of(meter_with()) as client:
        assert their_value(client, IMPORT_VALUE) == 12_345_678
        assert their_value(client, IMPORT_SCALING) == [0, 30]
        told = client.get(CosemAttribute(ENUM_OF.ASSOCIATION_LN, Obis(0, 0, 40, 0, 0), 2))
        names = {str(one.logical_name) for one in AssociationObjectListParser.parse_bytes(told[:])}
        assert len(names) == 13
        with pytest.raises(DataResultError):
            client.get(CosemAttribute(ENUM_OF.REGISTER, Obis(1, 0, 9, 9, 9), 2))


@pytest.mark.parametrize("longest", [0xFFFF, 300], ids=["in one answer", "in blocks"])
def test_it_reads_a_profile_by_range(longest: int) -> None:
    clock = CaptureObject(cosem_attribute=CLOCK_TIME, data_index=0)
    descriptor = RangeDescriptor(
        restricting_object=clock,
        from_value=datetime(2026, 11, 20, 12, tzinfo=UTC),
        to_value=datetime(2026, 11, 20, 18, tzinfo=UTC),
    )
    with client_of(meter_with(longest=longest)) as client:
        raw = client.get(BUFFER, descriptor)
    columns = [CLOCK_TIME, *(CosemAttribute(ENUM_OF.REGISTER, Obis(1, 0, c, 8, 0), 2) for c in (1, 2))]
    parsed = ProfileGenericBufferParser(columns, 15).parse_bytes(raw)
    first, last = ([column.value for column in parsed[place]] for place in (0, -1))
    assert len(parsed) == 25
    assert first == [datetime(2026, 11, 20, 12, tzinfo=UTC), 148, 48]
    assert last == [datetime(2026, 11, 20, 18, tzinfo=UTC), 172, 72]


def test_it_logs_in_with_a_password() -> None:
    options = {
        "authentication_method": enumerations.AuthenticationMechanism.LLS,
        "password": b"gateway",
    }
    with client_of(meter_with(ServerAccess(password=b"gateway", public=False)), 32, **options) as client:
        assert their_value(client, IMPORT_VALUE) == 12_345_678


@pytest.mark.expects_log("apdu_bytes")  # theirs warns with every APDU that it deciphers
def test_it_logs_in_with_keys_and_ciphers_every_apdu() -> None:
    options = {
        "authentication_method": enumerations.AuthenticationMechanism.HLS_GMAC,
        "encryption_key": ENCRYPTION,
        "authentication_key": AUTHENTICATION,
        "client_system_title": b"PEER\0\0\0\1",
        "client_initial_invocation_counter": 5,
    }
    meter = meter_with(ServerAccess(keys=Keys(ENCRYPTION, AUTHENTICATION), public=False))
    with client_of(meter, 1, **options) as client:
        assert their_value(client, IMPORT_VALUE) == 12_345_678


def test_it_sets_the_clock() -> None:
    meter = meter_with(ServerAccess(writable=frozenset({CLOCK})))
    shown = octet_string(encode_date_time(datetime(2026, 1, 1, tzinfo=UTC), BERLIN))
    with client_of(meter) as client:
        client.set(CLOCK_TIME, encode_data(shown))
    assert meter.server.objects[CLOCK] == shown
