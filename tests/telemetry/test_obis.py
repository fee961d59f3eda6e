"""OBIS codes: one text per register, with a name and a unit beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.obis import Medium, Obis, ObisError, RegisterKind

groups = st.integers(0, 255)


@given(st.builds(Obis, groups, groups, groups, groups, groups))
def test_text_and_code_are_inverse(code: Obis) -> None:
    assert Obis.parse(str(code)) == code


@given(st.text(max_size=20))
def test_any_text_is_a_code_or_an_error(text: str) -> None:
    try:
        code = Obis.parse(text)
    except ObisError:
        return
    assert str(code) == text


@pytest.mark.parametrize(
    "text", ["1.8.0", "08-0:1.0.0", "8-0:1.0.0*255", "8-0:1.0.300", "8-0:1.0.0 ", "٨-0:1.0.0"]
)
def test_only_the_canonical_form_is_a_key(text: str) -> None:
    with pytest.raises(ObisError):
        Obis.parse(text)


@pytest.mark.parametrize(
    ("text", "name", "unit", "kind"),
    [
        ("8-0:1.0.0", "cold water volume", "m3", RegisterKind.COUNTER),
        ("1-0:1.8.2", "active energy import, tariff 2", "kW.h", RegisterKind.COUNTER),
        ("6-1:10.0.0", "flow temperature, channel 1", "Cel", RegisterKind.GAUGE),
        ("1-0:52.7.0", "voltage L2", "V", RegisterKind.GAUGE),
        ("1-0:36.8.0", "active energy, import minus export L1", "kW.h", RegisterKind.GAUGE),
        ("1-0:1.5.0", "active import power, average of a period", "kW", RegisterKind.GAUGE),
        ("1-1:6.29.0", "reactive quadrant 2 energy in a period, channel 1", "kvar.h", RegisterKind.GAUGE),
        ("1-0:99.99.9", "1-0:99.99.9", None, None),
    ],
)
def test_a_code_has_a_friendly_name_and_usual_unit(
    text: str, name: str, unit: str | None, kind: RegisterKind | None
) -> None:
    code = Obis.parse(text)
    assert (code.name, code.unit, code.kind) == (name, unit, kind)


def test_value_group_a_is_the_medium() -> None:
    assert Obis.parse("9-0:1.0.0").medium is Medium.HOT_WATER
    assert Obis.parse("77-0:1.0.0").medium is None


@pytest.mark.parametrize("medium", list(Medium))
def test_every_unit_in_the_table_is_a_unit(medium: Medium) -> None:
    from telemetry.units import unit

    for c in range(256):
        for d in range(256):
            definition = Obis(medium, 0, c, d, 0).definition
            if definition is not None:
                assert unit(definition.unit)
