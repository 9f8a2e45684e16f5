"""A simulator's client, and a server that takes what it reports; each module makes its own `base_url`."""

import pytest

from sendline_worker.simulator import SimulatorClient
from worker.simulator.support import callback_server


@pytest.fixture(scope="module")
def callbacks_for_all():
    with callback_server() as callbacks:
        yield callbacks


@pytest.fixture
def simulator(base_url):
    with SimulatorClient(base_url) as client:
        client.reset()
        yield client


@pytest.fixture
def callbacks(callbacks_for_all, simulator):
    callbacks_for_all.bodies.clear()
    callbacks_for_all.answers.clear()
    return callbacks_for_all
