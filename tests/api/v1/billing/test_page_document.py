"""A page of billing readings is written without pydantic: that it is a `BillingPage` is shown here."""

from fastapi.testclient import TestClient

from api.v1.billing.reading_models import BillingPage
from tests.api.seeding import Seeded


def test_a_page_is_to_the_byte_what_its_model_would_write(client: TestClient, ours: Seeded) -> None:
    answer = client.get("/v1/billing/2026-10")
    assert answer.status_code == 200
    page = BillingPage.model_validate_json(answer.content, strict=True)
    assert len(page.readings) == len(ours.bills)
    assert page.model_dump_json().encode() == answer.content
