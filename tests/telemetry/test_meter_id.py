"""Meter ids: manufacturer and serial, one text."""

import pytest

from telemetry.meter_id import MeterIdError, check_meter_id, meter_id, same_meter, split_meter_id


def test_an_id_is_manufacturer_and_serial_in_capitals() -> None:
    assert meter_id("kam", "06855817") == "KAM-06855817"
    assert split_meter_id("IMP-D986766E") == ("IMP", "D986766E")


@pytest.mark.parametrize(
    "text", ["06855817", "KAMS-1", "KA-1", "KAM-", "KAM-1/2", "KAM-+", "kam-1", "KAM-" + "1" * 33]
)
def test_what_is_not_an_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MeterIdError, match="such as KAM-06855817"):
        check_meter_id(text)


def test_zeros_in_front_of_a_serial_make_no_other_meter() -> None:
    assert same_meter("KAM-06855817", "KAM-6855817")
    assert not same_meter("KAM-6855817", "KAM-68558170")
    assert not same_meter("KAM-6855817", "LGZ-6855817")
