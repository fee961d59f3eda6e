"""Every word that the M-Bus driver decodes to is in the catalogues."""

import pytest

from api.words.language import languages
from api.words.telegram_words import FUNCTIONS, MEDIA, QUANTITIES, quantity_name
from drivers.mbus.codec import header, vif
from drivers.mbus.codec.dif import Function

RU, UK = languages()["ru"], languages()["uk"]


def test_every_quantity_medium_and_function_of_the_driver_is_known() -> None:
    quantities = {
        meaning.quantity for table in (vif.MAIN, vif.FIRST, vif.SECOND) for meaning in table.values()
    }
    assert quantities == set(QUANTITIES)
    assert set(header.MEDIA.values()) == set(MEDIA)
    assert {one.value for one in Function} - {"instantaneous", "manufacturer specific"} == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        ("volume", "объём"),
        (
            "energy (negative contributions only, phase L1)",
            "энергия (только отрицательные приращения, фаза L1)",
        ),
        ("active energy import, tariff 2", "активная энергия, приём, тариф 2"),
        ("something else", "something else"),
    ],
)
def test_a_quantity_is_named_in_the_language(quantity: str, said: str) -> None:
    assert quantity_name(quantity, RU) == said
