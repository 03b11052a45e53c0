"""Fixtures of the whole suite: golden files with a one-switch update, and the shared data where it is there."""

import os
import signal
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
os.environ["WORKBENCH_WERROR"] = "1"  # a warning in our C fails the tests, never a user's build


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write what was got into tests/golden")
    parser.addoption("--operator", default="", help="samples only of operators with this in their names")


def pytest_configure(config):
    if config.getoption("--operator"):
        import samples

        samples.ONLY = config.getoption("--operator")


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background, by a script or nohup: the tests
    signal.signal(signal.SIGINT, signal.default_int_handler)  # of Ctrl-C hand what they inherit to their processes


@pytest.fixture(autouse=True)
def patient_progress(monkeypatch):
    """Commands say nothing of their progress, however slow the machine; tests of it set their own patience."""
    monkeypatch.setattr("workbench.cli.progress.PATIENCE", 1e6)


@pytest.fixture(autouse=True, scope="session")
def compiled_anew():
    """Tests replace parts of the compiler: a step that was kept without them would hide what they show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.compiled_cache.key_of", lambda *_: None)
        yield


@pytest.fixture
def golden(request):
    """golden(name, text): `text` equals tests/golden/<name>; --update-golden writes it."""

    def compare(name: str, text: str) -> None:
        path = TESTS / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"{path.name} is missing; --update-golden writes it"
        assert text == path.read_text(), f"{path.name} differs; --update-golden accepts the new text"

    return compare


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real networks and planner inputs; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("WORKBENCH_DATA") or TESTS.parents[1] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no shared data: set WORKBENCH_DATA to its folder")
    return folder
