"""Tariff registers against their total: day and night together are what the meter counted, or nobody bills
them.

OBIS names a tariff by value group E, the total by E = 0 (IEC 62056-6-1, 6.3).
"""

from collections import defaultdict
from collections.abc import Sequence

from metering.billing.canonical_hash import BillingDraft, BillingException, decimal
from metering.billing.case import BillingCase, BillingMonth
from telemetry.micro import to_micro
from telemetry.obis import Obis

Verdict = BillingDraft | BillingException


def compared(verdicts: Sequence[Verdict], cases: Sequence[BillingCase], month: BillingMonth) -> list[Verdict]:
    """Verdicts, with exceptions in place of quantities whose tariffs and total differ by more than the
    rules bear.

    A quantity of which a register is missing is left as it is: its exception says so already.
    """
    if month.rules.sums is None:
        return list(verdicts)
    tolerance = to_micro(month.rules.sums.tolerance)
    registers = {case.key: [part.row.meter for part in case.parts] for case in cases}
    groups: dict[tuple[int, Obis], list[BillingDraft]] = defaultdict(list)
    for each in verdicts:
        if isinstance(each, BillingDraft):
            obis = Obis.parse(each.obis)
            groups[each.service_point_id, Obis(obis.a, obis.b, obis.c, obis.d, 0)].append(each)
    wrong: dict[tuple[int, str], BillingException] = {}
    for (_, total_name), rows in groups.items():
        total = next((row for row in rows if row.obis == str(total_name)), None)
        tariffs = [row for row in rows if row is not total]
        if total is None or not tariffs:
            continue
        if any(registers[row.key] != registers[total.key] for row in tariffs):
            continue
        away = sum(row.consumption for row in tariffs) - total.consumption
        if abs(away) > tolerance:
            told = ", ".join(f"{row.obis} {decimal(row.consumption)}" for row in [*tariffs, total])
            detail = (
                f"the tariffs differ from their total by {decimal(away)} {total.unit} ({told}): "
                "read the registers at the meter, and enter what was checked"
            )
            for row in rows:
                wrong[row.key] = BillingException(*row.key, "tariff_sum", detail, row.evidence)
    return [wrong.get(each.key, each) for each in verdicts]
