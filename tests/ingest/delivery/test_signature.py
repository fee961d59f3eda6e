"""Standard Webhooks: the published vector, rotation, and the project's own library as the receiver."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.delivery.signature import SecretError, headers, new_secret

VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_vector_is_signed_as_published() -> None:
    signed = headers(VECTOR["webhook-id"], 1614265330, b'{"test": 2432232314}', [SECRET])
    assert signed == VECTOR


def test_during_rotation_both_secrets_sign() -> None:
    old, new = SECRET, new_secret()
    both = headers("msg_1", 1, b"{}", [new, old])["webhook-signature"].split(" ")
    alone = [headers("msg_1", 1, b"{}", [each])["webhook-signature"] for each in (new, old)]
    assert both == alone


@given(body=st.text(max_size=200), message_id=st.from_regex(r"msg_[a-z0-9]{1,32}", fullmatch=True))
def test_the_library_of_the_standard_verifies_what_we_sign(body: str, message_id: str) -> None:
    from standardwebhooks import Webhook

    old, new = new_secret(), new_secret()
    signed = headers(message_id, int(time.time()), body.encode(), [new, old])
    for secret in (old, new):
        Webhook(secret).verify(body.encode(), signed, json_parse=False)


def test_the_library_of_the_standard_refuses_what_was_altered() -> None:
    from standardwebhooks import Webhook, WebhookVerificationError

    secret = new_secret()
    signed = headers("msg_1", int(time.time()), b'{"consumption":"1"}', [secret])
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"consumption":"2"}', signed)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_not base64!", "", "whsec_" + "A" * 88])
def test_a_text_that_is_no_secret_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(SecretError) as caught:
        headers("msg_1", 1, b"", [secret])
    assert secret.removeprefix("whsec_") not in str(caught.value) or len(secret) <= 6


def test_secrets_are_long_enough_and_not_repeated() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in made} == {32}
