"""What is on its way is due again at the right moments. Seconds are counted from 0."""

from math import inf

import pytest

from gateway.uplink.in_flight import BatchesInFlight
from telemetry.wire import Batch


def batch(number: int, epoch: str = "now") -> Batch:
    return Batch(epoch=epoch, batch=number, sent_at=0, readouts=[])


def numbers(batches: list[Batch]) -> list[int]:
    return [each.batch for each in batches]


@pytest.fixture
def window() -> BatchesInFlight:
    filled = BatchesInFlight(4, resend_after=30.0, longest=100.0)
    filled.add([batch(1), batch(2)])
    return filled


def test_new_batches_are_due_at_once_in_order(window: BatchesInFlight) -> None:
    assert numbers(window.due(0.0)) == [1, 2]
    assert window.free == 2


def test_a_batch_is_not_repeated_while_the_broker_has_yet_to_confirm_it(window: BatchesInFlight) -> None:
    window.sent(batch(1), message=10)
    window.sent(batch(2), message=11)
    assert window.due(1e9) == []
    assert window.next_due() == inf
    assert window.unconfirmed


def test_without_acknowledgement_the_distances_grow_up_to_the_longest(window: BatchesInFlight) -> None:
    window.acknowledged("now", [2], 0.0)
    now, distances = 0.0, []
    for message in range(5):
        window.sent(batch(1), message)
        window.confirmed(message, now)
        distances.append(window.next_due() - now)
        now = window.next_due()
    assert distances == [30, 60, 100, 100, 100]


def test_an_acknowledgement_brings_the_others_forward(window: BatchesInFlight) -> None:
    for message in range(4):
        window.sent(batch(1), message)
        window.confirmed(message, 0.0)
    assert window.next_due() == -inf, "2 was never sent"
    window.acknowledged("now", [2], 10.0)
    assert window.next_due() == 40.0


def test_a_kept_session_repeats_only_what_the_broker_has_not_confirmed(window: BatchesInFlight) -> None:
    window.sent(batch(1), message=10)
    window.sent(batch(2), message=11)
    window.confirmed(10, 0.0)
    window.reconnected(session_kept=True)
    assert numbers(window.due(0.0)) == [2]


def test_a_lost_session_repeats_all(window: BatchesInFlight) -> None:
    window.sent(batch(1), message=10)
    window.confirmed(10, 0.0)
    window.reconnected(session_kept=False)
    assert numbers(window.due(0.0)) == [1, 2]


def test_an_ingester_that_begins_to_listen_gets_at_once_what_the_broker_had_taken(
    window: BatchesInFlight,
) -> None:
    window.sent(batch(1), message=10)
    window.sent(batch(2), message=11)
    window.confirmed(10, 0.0)
    window.asked_again()
    assert numbers(window.due(0.0)) == [1], "the broker has yet to take 2, and will find who listens"


def test_acknowledgements_of_strangers_and_of_other_epochs_change_nothing(window: BatchesInFlight) -> None:
    window.acknowledged("now", [77], 0.0)
    window.acknowledged("then", [1], 0.0)
    assert len(window) == 2


def test_a_number_of_another_epoch_is_another_batch(window: BatchesInFlight) -> None:
    window.add([batch(1, "after damage")])
    window.acknowledged("now", [1], 0.0)
    assert [(each.epoch, each.batch) for each in window.due(0.0)] == [("now", 2), ("after damage", 1)]
