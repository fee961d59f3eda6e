"""A webhook never reaches the operator's own network: not by its URL, a name server, or a redirect."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ingest.delivery.address import AddressError, checked_addresses, is_public, parse, resolve
from ingest.delivery.post import AttemptError, Post
from tests.ingest.delivery.conftest import listening

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.9.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:4136:e378::1",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_in_every_writing(address: str) -> None:
    assert not is_public(address)
    target = parse("https://billing.example/", allow_private=False)
    with pytest.raises(AddressError, match="not a public address"):
        checked_addresses(target, lambda _host, _port: ["93.184.216.34", address], allow_private=False)
    assert checked_addresses(target, lambda _host, _port: [address], allow_private=True) == [address]


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_addresses_are_not(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "network",
    [
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
        "fe80::/10",
        "ff00::/8",
    ],
)
def test_neither_end_of_a_network_that_iana_calls_special_is_public(network: str) -> None:
    """Whatever version of Python runs: 3.11.7 calls several of these global (CVE-2024-4032)."""
    special = ip_network(network)
    assert not is_public(str(special[0]))
    assert not is_public(str(special[-1]))


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_no_address_of_a_private_network_is_public(address: object) -> None:
    assert not is_public(str(address))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "localhost"])
def test_a_host_written_to_deceive_is_judged_by_what_it_resolves_to(host: str) -> None:
    target = parse(f"https://{host}/", allow_private=False)
    with pytest.raises(AddressError, match="not a public address"):
        checked_addresses(target, resolve, allow_private=False)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://billing.example/", "use https"),
        ("ftp://billing.example/", "not an https"),
        ("file:///etc/passwd", "not an https"),
        ("https:///hesper", "not an https"),
        ("https://user:pass@billing.example/", "password"),
        ("https://billing.example/#part", "fragment"),
        ("https://billing.example/a b", "space"),
        ("https://billing.example/\r\nX: y", "space"),
        ("https://billing.example:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://[::1]/", "not a public address"),
        ("https://10.0.0.1:8443/in", "not a public address"),
        ("nonsense", "not an https"),
    ],
)
def test_what_is_no_destination_is_refused_before_anything_is_sent(url: str, told: str) -> None:
    with pytest.raises(AddressError, match=told):
        parse(url, allow_private=False)


@given(st.text())
def test_any_text_is_a_destination_or_refused(text: str) -> None:
    try:
        target = parse(text, allow_private=True)
    except AddressError:
        return
    assert target.host
    assert target.path.startswith("/")


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    asked: list[str] = []

    def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with listening() as server:
        url = f"http://billing.invalid:{server.port}/in?token=1"  # no resolver knows that name
        assert Post(look_up=look_up)(url, {}, b"{}", allow_private=True).taken
    assert asked == ["billing.invalid"]
    assert server.came == [("/in?token=1", b"{}")]


def test_a_name_that_turns_private_later_is_refused() -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    target = parse("https://billing.example/", allow_private=False)
    checked_addresses(target, lambda _host, _port: next(answers), allow_private=False)
    with pytest.raises(AddressError):
        Post(look_up=lambda _host, _port: next(answers))(
            "https://billing.example/", {}, b"", allow_private=False
        )


def certificate(folder: Path, host: str) -> Path:
    """A key and a certificate of its own signing for a host, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "receiver.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


def test_the_certificate_has_to_be_that_of_the_name_though_the_address_is_connected_to(
    tmp_path: Path,
) -> None:
    path = certificate(tmp_path, "billing.invalid")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(path)
    post = Post(look_up=lambda _host, _port: ["127.0.0.1"], trust=ssl.create_default_context(cafile=path))
    with listening() as server:
        server.socket = ours.wrap_socket(server.socket, server_side=True)
        assert post(f"https://billing.invalid:{server.port}/", {}, b"{}", allow_private=True).taken
        with pytest.raises(AttemptError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://other.invalid:{server.port}/", {}, b"{}", allow_private=True)
        with pytest.raises(AttemptError, match="CERTIFICATE_VERIFY_FAILED"):
            Post(look_up=lambda _host, _port: ["127.0.0.1"])(
                f"https://billing.invalid:{server.port}/", {}, b"{}", allow_private=True
            )
    assert [body for _, body in server.came] == [b"{}"]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with listening() as inner, listening(307, {"Location": f"http://127.0.0.1:{inner.port}/"}) as outer:
        answer = Post()(f"http://127.0.0.1:{outer.port}/", {}, b"{}", allow_private=True)
    assert (answer.status, answer.taken) == (307, False)
    assert inner.came == []


@pytest.mark.parametrize(
    ("asked", "heard"),
    [("120", 120), ("9" * 5000, None), ("-1", None), ("Fri, 31 Dec 1999 23:59:59 GMT", None)],
)
def test_the_wish_to_be_left_alone_is_heard_where_it_is_sane(asked: str, heard: int | None) -> None:
    with listening(429, {"Retry-After": asked}) as server:
        assert Post()(f"http://127.0.0.1:{server.port}/", {}, b"", allow_private=True).retry_after == heard


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "..", ".", "xn--", "-"])
def test_a_host_that_is_no_name_is_refused_or_an_attempt_that_failed(host: str) -> None:
    with listening() as server:
        for look_up in (resolve, lambda _host, _port: ["127.0.0.1"]):
            with pytest.raises((AddressError, AttemptError)):
                Post(look_up=look_up)(f"https://{host}:{server.port}/", {}, b"", allow_private=True)


def test_a_destination_that_never_ends_its_answer_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"X: y\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(AttemptError, match="no whole answer"):
            Post(seconds=0.3)(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"{}", allow_private=True)
        stop.set()
        thread.join()


def test_nobody_there_is_an_attempt_that_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(AttemptError, match="ConnectionRefusedError"):
        Post()(f"http://127.0.0.1:{port}/", {}, b"{}", allow_private=True)
