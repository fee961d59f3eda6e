"""The kernel is asked and nothing is changed."""

import ctypes

import pytest

from gateway.clock import kernel


class Libc:
    def __init__(self, state: int) -> None:
        self.state = state

    def adjtimex(self, _: object) -> int:
        return self.state


@pytest.mark.parametrize(("state", "believed"), [(0, True), (1, True), (4, True), (5, False), (-1, False)])
def test_a_clock_is_believed_unless_the_kernel_calls_it_an_error(
    monkeypatch: pytest.MonkeyPatch, state: int, believed: bool
) -> None:
    # the kernel's state cannot be set from a test
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Libc(state))
    monkeypatch.setattr(kernel, "_TIMESYNCD", kernel.Path("/nonexistent"))
    assert kernel.kernel_clock_synchronised() is believed


def test_where_the_kernel_refuses_the_time_services_file_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: kernel.Path
) -> None:
    marker = tmp_path / "synchronized"
    marker.touch()
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Libc(-1))
    monkeypatch.setattr(kernel, "_TIMESYNCD", marker)
    assert kernel.kernel_clock_synchronised() is True


def test_the_real_kernel_answers() -> None:
    assert kernel.kernel_clock_synchronised() in (True, False)


def test_a_clock_that_was_set_once_shows_the_time_also_without_its_reference() -> None:
    synchronised = [False]
    reference = kernel.ClockReference(lambda: synchronised[0])
    assert not reference.was_set
    synchronised[0] = True
    assert reference()
    synchronised[0] = False
    assert not reference()
    assert reference.was_set
