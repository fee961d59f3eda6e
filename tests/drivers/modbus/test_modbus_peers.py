"""What is not ours: mbpoll reads our virtual meters, our driver the servers of pymodbus and libmodbus."""

import asyncio
import ctypes
import ctypes.util
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusBaseServer, ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from drivers.catalogue import open_driver, open_line
from drivers.driver import Target
from drivers.host import MeterHost, PtyMeterHost, TcpMeterHost
from drivers.line import SerialSettings
from drivers.modbus.framing import Transport
from drivers.modbus.profile_file import load_profile
from drivers.modbus.virtual import VirtualModbusMeter

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FAST = SerialSettings(115200, 8, "N", 1)
SDM630 = load_profile("eastron-sdm630")
VALUES = {register.obis: Decimal(position) / 8 + 100 for position, register in enumerate(SDM630.registers)}

# What the peers' servers hold.
OWN = """
protocol = "modbus"
title = "A server that is not ours"
source = "https://example.org/peer"
registers = [
  { obis = "1-0:32.7.0", function = 4, address = 10, unit = "V" },
  { obis = "1-0:14.7.0", function = 4, address = 12, unit = "Hz" },
  { obis = "1-0:1.8.0", function = 3, address = 20, encoding = "uint32", unit = "kW.h", scale = 0.01 },
  { obis = "1-0:16.7.0", function = 3, address = 22, encoding = "int16", unit = "W" },
]
"""
EXPECTED = {
    "1-0:32.7.0": 230_200_000,
    "1-0:14.7.0": 49_980_000,
    "1-0:1.8.0": 1_234_567_890_000,
    "1-0:16.7.0": -58_000_000,
}


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return str(path)


@contextmanager
def wire() -> Iterator[tuple[str, str]]:
    """Two pty devices that hear each other, as the two ends of a serial cable."""
    masters, slaves = zip(*(os.openpty() for _ in range(2)), strict=True)
    for slave in slaves:
        tty.setraw(slave)
    stop, wake = os.pipe()

    def relay() -> None:
        while True:
            ready, _, _ = select.select([*masters, stop], [], [])
            if stop in ready:
                return
            for end in ready:
                os.write(masters[1 - masters.index(end)], os.read(end, 4096))

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    try:
        yield os.ttyname(slaves[0]), os.ttyname(slaves[1])
    finally:
        os.write(wake, b"\0")
        thread.join()
        for file in (*masters, *slaves, stop, wake):
            os.close(file)


def read(spec: str, own: str, unit: int, **options: object) -> dict[str, int]:
    line = open_line(spec, SerialSettings(9600))
    try:
        driver = open_driver("modbus", line, lambda: NOW, **options)
        [readout] = driver.read(Target(str(unit), meter="XXX-1", profile=own))
        return {obis: value.micro for obis, value in readout.values.items()}
    finally:
        line.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# pymodbus


def memory(unit: int) -> SimDevice:
    inputs = [SimData(10, values=[230.2, 49.98], datatype=DataType.FLOAT32)]
    holdings = [
        SimData(20, values=123_456_789, datatype=DataType.UINT32),
        SimData(22, values=-58, datatype=DataType.INT16),
    ]
    unused = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    return SimDevice(unit, (unused, unused, holdings, inputs))


@contextmanager
def served(server_of: Callable[[], ModbusBaseServer]) -> Iterator[None]:
    """A pymodbus server in a loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    servers: list[ModbusBaseServer] = []
    started = threading.Event()

    async def serve() -> None:
        servers.append(server_of())
        await servers[0].serve_forever(background=True)
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(servers[0].shutdown())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def test_our_driver_reads_a_pymodbus_server_by_tcp(own: str) -> None:
    port = free_port()
    with served(lambda: ModbusTcpServer([memory(5)], address=("127.0.0.1", port))):
        assert read(f"tcp://127.0.0.1:{port}", own, 5, transport="tcp") == EXPECTED


def test_our_driver_reads_a_pymodbus_server_by_rtu_over_tcp(own: str) -> None:
    port = free_port()
    with served(lambda: ModbusTcpServer([memory(5)], framer=FramerType.RTU, address=("127.0.0.1", port))):
        assert read(f"tcp://127.0.0.1:{port}", own, 5) == EXPECTED


def test_our_driver_reads_a_pymodbus_server_by_rtu(own: str) -> None:
    with (
        wire() as (here, there),
        served(lambda: ModbusSerialServer([memory(5), memory(9)], port=there, baudrate=9600)),
    ):
        assert read(here, own, 9) == EXPECTED


# libmodbus, which Debian's mbpoll brings


class RegisterMapping(ctypes.Structure):
    """modbus_mapping_t of modbus.h: counts and first addresses of four tables, then the tables."""

    _fields_ = [
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    ]


def libmodbus() -> ctypes.CDLL:
    name = ctypes.util.find_library("modbus")
    if name is None:
        pytest.skip("needs libmodbus")
    library = ctypes.CDLL(name)
    for function in ("modbus_new_tcp", "modbus_new_rtu"):
        getattr(library, function).restype = ctypes.c_void_p
    library.modbus_new_rtu.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char,
        ctypes.c_int,
        ctypes.c_int,
    ]
    library.modbus_mapping_new_start_address.restype = ctypes.POINTER(RegisterMapping)
    library.modbus_set_indication_timeout.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32]
    for function in ("modbus_set_slave", "modbus_tcp_listen"):
        getattr(library, function).argtypes = [ctypes.c_void_p, ctypes.c_int]
    for function in ("modbus_connect", "modbus_close", "modbus_free"):
        getattr(library, function).argtypes = [ctypes.c_void_p]
    library.modbus_tcp_accept.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    library.modbus_receive.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.modbus_reply.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    return library


@contextmanager
def libmodbus_server(library: ctypes.CDLL, context: int, connect: Callable[[], int]) -> Iterator[None]:
    """Serves unit 5 until it is left."""
    mapping = library.modbus_mapping_new_start_address(0, 0, 0, 0, 20, 3, 10, 4)
    tables = mapping.contents
    for table, layout, numbers in (
        (tables.tab_registers, ">Ih", (123_456_789, -58)),
        (tables.tab_input_registers, ">ff", (230.2, 49.98)),
    ):
        packed = struct.pack(layout, *numbers)
        for position, word in enumerate(struct.unpack(f">{len(packed) // 2}H", packed)):
            table[position] = word
    stop = threading.Event()

    def serve() -> None:
        if connect() == -1:
            return
        query = ctypes.create_string_buffer(260)
        while not stop.is_set():
            length = library.modbus_receive(context, query)
            if length > 0:
                library.modbus_reply(context, query, length, mapping)

    library.modbus_set_slave(context, 5)
    library.modbus_set_indication_timeout(context, 0, 50_000)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        library.modbus_close(context)
        library.modbus_free(context)
        library.modbus_mapping_free(mapping)


def test_our_driver_reads_a_libmodbus_server_by_tcp(own: str) -> None:
    library, port = libmodbus(), free_port()
    context = library.modbus_new_tcp(b"127.0.0.1", port)
    listener = ctypes.c_int(library.modbus_tcp_listen(context, 1))
    with libmodbus_server(library, context, lambda: library.modbus_tcp_accept(context, listener)):
        assert read(f"tcp://127.0.0.1:{port}", own, 5, transport="tcp") == EXPECTED
    os.close(listener.value)


def test_our_driver_reads_a_libmodbus_server_by_rtu(own: str) -> None:
    library = libmodbus()
    with wire() as (here, there):
        context = library.modbus_new_rtu(there.encode(), 9600, b"N", 8, 1)
        assert library.modbus_connect(context) == 0
        with libmodbus_server(library, context, lambda: 0):
            assert read(here, own, 5) == EXPECTED


# mbpoll


def mbpoll(*arguments: str) -> str:
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("needs mbpoll")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def poll_energy(host: MeterHost, *arguments: str) -> str:
    """Import and export energy of unit 7 as another master reads them."""
    where = "127.0.0.1" if isinstance(host, TcpMeterHost) else host.spec
    return mbpoll(*arguments, "-a", "7", "-0", "-r", "72", "-c", "2", "-t", "3:float", "-B", "-1", where)


def assert_energies(shown: str) -> None:
    assert f"[72]: \t{VALUES['1-0:1.8.0'].normalize()}" in shown
    assert f"[74]: \t{VALUES['1-0:2.8.0'].normalize()}" in shown


def test_mbpoll_reads_our_virtual_meter_by_rtu() -> None:
    with PtyMeterHost(VirtualModbusMeter(7, SDM630, VALUES), FAST) as host:
        assert_energies(poll_energy(host, "-m", "rtu", "-b", "9600", "-P", "none"))


def test_mbpoll_reads_our_virtual_meter_by_modbus_tcp() -> None:
    with TcpMeterHost(VirtualModbusMeter(7, SDM630, VALUES, transport=Transport.TCP)) as host:
        assert_energies(poll_energy(host, "-m", "tcp", "-p", str(host.port)))
