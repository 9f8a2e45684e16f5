"""Real processes: the whole of Sendline on this machine, one for each test module that asks for it."""

from pathlib import Path

import pytest

from parts import quick_settings
from places import data_directory
from sendline import Producer
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Stack


@pytest.fixture(scope="module")
def stack():
    """Embedded server, simulator, receiver and worker, as `sendline up` runs them."""
    with data_directory() as place:
        logs = Path(place) / "logs"
        logs.mkdir()
        with Stack(quick_settings(), Path(place) / "instance", logs=logs) as running:
            yield running


@pytest.fixture
def producer(stack):
    """A producer of the running stack."""
    with Producer(settings=stack.settings) as made:
        yield made


@pytest.fixture
def simulator(stack):
    """The running stack's simulator, as it starts."""
    with SimulatorClient(stack.simulator_url) as client:
        client.clear()
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failure show the last lines that the parts have written."""
    report = yield
    running = getattr(item, "funcargs", {}).get("running")
    if report.failed and hasattr(running, "logs"):
        report.sections.append(("what the parts wrote", running.logs()))
    return report
