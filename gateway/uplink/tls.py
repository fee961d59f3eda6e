"""TLS to the broker: who is believed, who we are, and what to say when it fails.

At least TLS 1.2; the broker's name and chain are always verified, there is no setting that turns it off.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

_EXPIRED, _OTHER_NAME = 10, 62  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_HOSTNAME_MISMATCH
_NOT_YET_VALID = 9
_UNTRUSTED = {18, 19, 20, 21}  # self-signed, or no issuer that we know


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS files: `ca` verifies the broker (None: the system's authorities); `cert` and `key` the gateway."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class _HandshakingSocket(ssl.SSLSocket):
    """paho leaves a socket open whose handshake failed."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def context_of(tls: Tls) -> ssl.SSLContext:
    """Raises OSError for files that cannot be read or do not belong together."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.sslsocket_class = _HandshakingSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def advice_on(error: OSError) -> str:
    """Advice for an installer when the broker cannot be reached; empty where the error says it."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code):
            if code == _OTHER_NAME:
                return "[mqtt] host must be a name in the broker's certificate: correct the one or the other"
            if code in (_EXPIRED, _NOT_YET_VALID):
                return "renew the broker's certificate; if it is valid, this machine's clock is wrong"
            if code in _UNTRUSTED:
                return "[mqtt] ca must be the authority that signed the broker's certificate"
            return "check the broker's certificate"
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER") | ssl.SSLEOFError() | ConnectionResetError():
            return "if this port does not speak TLS, correct [mqtt] port: usually it is 8883"
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "[mqtt] key does not belong to cert: give the key that the certificate was made for"
        case ssl.SSLError():
            return "check that ca, cert and key are PEM files, and that the broker speaks TLS 1.2 or later"
        case ConnectionRefusedError():
            return "nothing listens there: check [mqtt] host and port, and that the broker runs"
        case _:
            return ""


def advice_when_closed(tls: Tls | None, now: datetime) -> str:
    """The broker closed the connection before it said a word of MQTT: it did not like who we are.

    TLS 1.3 tells a client of a refused certificate only after the handshake, so no error names it.
    """
    if tls is None:
        return "if the broker wants TLS on this port, write tls = true in [mqtt]"
    if tls.cert is None:
        return "the broker may want to see a certificate: give [mqtt] cert and key"
    until = x509.load_pem_x509_certificate(tls.cert.read_bytes()).not_valid_after_utc
    if until < now.astimezone(UTC):
        return f"this gateway's certificate {tls.cert.name} has expired on {until:%Y-%m-%d}: renew it"
    return f"the broker may not accept the certificate {tls.cert.name}: of another authority, or revoked"
