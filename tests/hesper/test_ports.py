"""Ports chosen before their servers listen."""

import socket

import pytest

from hesper.ports import Ports
from hesper.supervise import StartError
from tests.support.broker import free_port


def test_two_that_start_at_once_do_not_choose_the_same_port() -> None:
    preferred = free_port()
    first, second = Ports(), Ports()
    try:
        assert first.free(preferred) == preferred
        assert second.free(preferred) != preferred
    finally:
        first.close()
        second.close()


def test_without_a_preference_each_choice_is_another_free_port() -> None:
    ports = Ports()
    chosen = [ports.free(0) for _ in range(5)]
    assert len(set(chosen)) == 5
    assert all(chosen)
    ports.close()


def test_a_port_is_free_again_for_the_next_one() -> None:
    preferred = free_port()
    for _ in range(2):
        ports = Ports()
        assert ports.free(preferred) == preferred
        ports.close()


def test_a_port_insisted_on_is_refused_where_somebody_listens() -> None:
    ports = Ports()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        with pytest.raises(StartError, match="name another one"):
            ports.free(taken, insisted=taken)
        assert ports.free(taken) != taken
    ports.close()
