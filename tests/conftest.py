"""Rules for every test: real inputs where present, and no unexpected warning in the log."""

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ["tests.support.postgres"]

# a shared machine may be slow for a moment: the time of one example says nothing about the code
settings.register_profile("hesper", deadline=None)
settings.load_profile("hesper")

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


NEEDS_SHARED = "needs ../shared/data beside the checkout"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as a failure (as CI does)")


def pytest_configure(config: pytest.Config) -> None:
    """A temporary folder of this run's own.

    The usual one is shared by all runs of a user, and each run closes it to others again, the embedded
    PostgreSQL's unprivileged user included.
    """
    if config.option.basetemp is None and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="hesper-pytest-")
        os.environ["RUNTIME_DIRECTORY"] = folder  # gateways keep a mark there of each buffer that they open
        config.option.basetemp = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes comes first, so that no process is left alone with it at the end (with
    --no-loadscope-reorder: else the modules of many tests come first, which are the quick ones)."""
    items.sort(key=lambda item: item.path.parent.name not in {"e2e", "bench", "browser", "timescale"})


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With --no-skips only the absence of the real inputs excuses a test."""
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if NEEDS_SHARED not in reason or SHARED_DATA.is_dir():
            report.outcome = "failed"
            report.longrepr = f"skipped, which --no-skips forbids: {reason}"
    return report


@pytest.fixture
def shared_data() -> Path:
    """The folder of real telegrams and readings, which are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(NEEDS_SHARED)
    return SHARED_DATA


@pytest.fixture(autouse=True)
def no_unexpected_warnings(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fails a test that logs at WARNING or above, unless it says `@pytest.mark.expects_log("part of it")`."""
    expected = [text for mark in request.node.iter_markers("expects_log") for text in mark.args]
    yield
    records = [r for phase in ("setup", "call") for r in caplog.get_records(phase)]
    unexpected = [
        f"{record.levelname} {record.name}: {record.getMessage()}"
        for record in records
        if record.levelno >= logging.WARNING and not any(text in record.getMessage() for text in expected)
    ]
    if unexpected:
        pytest.fail("unexpected log records:\n" + "\n".join(unexpected))


@pytest.fixture(autouse=True)
def log_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that was run in this process leaves no handler behind, whose stream is closed by then.

    Nor does it say for the tests after it where structlog writes: loggers keep that for good.
    """
    monkeypatch.setattr(structlog, "configure", lambda **_: None)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        if handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)
