"""Real processes: the whole of Sendline on this machine, one for each test module that asks for it."""

import tempfile
from pathlib import Path

import pytest

from parts import quick_settings
from sendline import Producer
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Stack


@pytest.fixture(scope="module")
def stack():
    """Embedded server, simulator, receiver and worker, as `sendline up` runs them."""
    with tempfile.TemporaryDirectory(prefix="sl-") as place:
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
