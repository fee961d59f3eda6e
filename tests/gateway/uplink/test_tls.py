"""To a real Mosquitto by TLS: only the right broker is believed, only the right gateway is let in."""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.uplink.link import MqttSettings
from gateway.uplink.publisher import Publisher, PublisherLimits
from gateway.uplink.tls import Tls, context_of
from tests.support.aurora import ListSource
from tests.support.authority import Authority, Identity
from tests.support.broker import free_port
from tests.support.mosquitto import mosquitto

PACE = PublisherLimits(tick=0.02, reconnect_first=0.05, reconnect_longest=0.1)


@dataclass
class World:
    """An authority, a broker of it, and a gateway's settings that fit."""

    authority: Authority
    settings: MqttSettings
    folder: Path

    @property
    def tls(self) -> Tls:
        assert self.settings.tls is not None
        return self.settings.tls

    def presenting(self, identity: Identity) -> MqttSettings:
        return replace(self.settings, tls=replace(self.tls, cert=identity.cert, key=identity.key))


@contextmanager
def broker(folder: Path, authority: Authority, server: Identity, more: str = "") -> Iterator[int]:
    port = free_port()
    configuration = folder / f"mosquitto-{port}.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\ncafile {authority.ca}\ncertfile {server.cert}\nkeyfile {server.key}\n"
        "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\nuser root\n" + more
    )
    with mosquitto(port, configuration):
        yield port


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    gateway = authority.issue("gw-7")
    with broker(folder, authority, authority.issue("broker", host="127.0.0.1")) as port:
        tls = Tls(authority.ca, gateway.cert, gateway.key)
        yield World(authority, MqttSettings("127.0.0.1", port, "stadtwerke", "gw-7", tls), folder)


Said = Callable[[], list[logging.LogRecord]]


def attempt(settings: MqttSettings, caplog: pytest.LogCaptureFixture) -> tuple[bool, str, str]:
    """Whether a publisher gets online; what it logs, and its advice, if not."""
    publisher = Publisher(
        settings, ListSource([]), clock=lambda: datetime.now(UTC), version="0.1.0", pace=PACE
    )
    publisher.start()
    try:
        for _ in range(500):
            if publisher.online.wait(0.02):
                return True, "", ""
            for record in caplog.records:
                if record.message == "no connection to the broker":
                    return False, record.__dict__["reason"], record.__dict__.get("advice", "")
    finally:
        publisher.stop(0.0)
    raise AssertionError("neither connected nor refused")


def test_the_right_certificates_connect(world: World, caplog: pytest.LogCaptureFixture) -> None:
    assert attempt(world.settings, caplog) == (True, "", "")


@pytest.mark.expects_log("no connection to the broker")
def test_a_broker_of_another_name_is_not_believed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    online, reason, advice = attempt(replace(world.settings, host="localhost"), caplog)
    assert not online
    assert "localhost" in reason
    assert "host must be a name in the broker's certificate" in advice


@pytest.mark.expects_log("no connection to the broker")
def test_a_broker_of_another_authority_is_not_believed(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority(tmp_path, "Another CA")
    settings = replace(world.settings, tls=replace(world.tls, ca=other.ca))
    online, _, advice = attempt(settings, caplog)
    assert not online
    assert "ca must be the authority that signed the broker's certificate" in advice


@pytest.mark.expects_log("no connection to the broker")
def test_a_broker_with_an_expired_certificate_is_not_believed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    expired = world.authority.issue("broker", host="127.0.0.1", days=-1)
    with broker(world.folder, world.authority, expired) as port:
        online, reason, advice = attempt(replace(world.settings, port=port), caplog)
    assert not online
    assert "expired" in reason
    assert "renew the broker's certificate" in advice


@pytest.mark.expects_log("no connection to the broker")
def test_a_gateway_without_a_certificate_is_not_let_in(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(world.settings, tls=Tls(world.authority.ca))
    online, _, advice = attempt(settings, caplog)
    assert not online
    assert "give [mqtt] cert and key" in advice


@pytest.mark.expects_log("no connection to the broker")
def test_a_gateway_with_an_expired_certificate_is_not_let_in_and_told_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    online, _, advice = attempt(world.presenting(world.authority.issue("gw-7", days=-1)), caplog)
    assert not online
    assert "this gateway's certificate" in advice
    assert "has expired on" in advice


@pytest.mark.expects_log("no connection to the broker")
def test_a_gateway_of_another_authority_is_not_let_in(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path, "Another CA").issue("gw-7")
    online, _, advice = attempt(world.presenting(stranger), caplog)
    assert not online
    assert "of another authority, or revoked" in advice


@pytest.mark.expects_log("no connection to the broker")
@pytest.mark.parametrize("tls", [True, False])
def test_tls_on_one_side_only_is_explained(
    world: World, tmp_path: Path, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        settings = replace(world.settings, tls=None)
        if tls:
            port = free_port()
            configuration = tmp_path / "plain.conf"
            configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
            stack.enter_context(mosquitto(port, configuration))
            settings = replace(world.settings, port=port)
        online, _, advice = attempt(settings, caplog)
    assert not online
    assert ("if this port does not speak TLS" if tls else "write tls = true in [mqtt]") in advice


def test_nothing_older_than_tls_1_2_is_spoken(world: World) -> None:
    context = context_of(world.tls)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.expects_log("no connection to the broker")
def test_a_key_of_another_certificate_and_a_broker_that_is_off_are_named(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    other = world.authority.issue("gw-7")
    assert (
        "key does not belong to cert"
        in attempt(replace(world.settings, tls=replace(world.tls, key=other.key)), caplog)[2]
    )
    caplog.clear()
    assert "nothing listens there" in attempt(replace(world.settings, port=free_port()), caplog)[2]
