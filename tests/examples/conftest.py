"""The examples as a reader runs them: under their own servers, beside all of Sendline."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from hooked_app import SECRETS
from parts import quick_settings
from places import data_directory
from sendline import Producer
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Stack
from servers import free_port
from waiting import poll

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """The apps of one folder: `environment` is what all of them are given."""

    def __init__(self, folder: str, state: Path, **environment: str) -> None:
        self.folder = EXAMPLES / folder
        self.state = state
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SENDLINE_")}
        self.environment = {**kept, "PYTHONDONTWRITEBYTECODE": "1", **environment}

    def run(self, *command: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python COMMAND` to its end."""
        return subprocess.run(
            (sys.executable, *command),
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *command: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start `python COMMAND`, which writes to `log`."""
        with log.open("wb") as file:
            return subprocess.Popen(
                (sys.executable, *command),
                cwd=self.folder,
                env={**self.environment, **environment},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @contextlib.contextmanager
    def served(self, *command: str, ready: str = "/", **environment: str) -> Iterator[httpx.Client]:
        """Serve an app by `python COMMAND`, in which PORT stands for a free port; end it in order."""
        port = str(free_port())
        log = self.state / f"server-{port}.log"
        command = tuple(word.replace("PORT", port) for word in command)
        environment = {name: value.replace("PORT", port) for name, value in environment.items()}
        process = self.start(*command, log=log, **environment)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:

            def answers() -> bool:
                assert process.poll() is None, log.read_text()
                try:
                    return client.get(ready).status_code > 0
                except httpx.TransportError:
                    return False

            try:
                poll(answers, timeout=20, every=0.05)
                yield client
                process.terminate()
                assert process.wait(20) in (0, -15), log.read_text()
            except BaseException:
                print(log.read_text())  # noqa: T201 - pytest shows it with the failure
                raise
            finally:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory with a short name, for a module."""
    with data_directory() as made:
        yield Path(made)


@pytest.fixture(scope="module")
def stack(place):
    """Embedded server, simulator, receiver and worker, as `sendline up` runs them."""
    logs = place / "logs"
    logs.mkdir()
    hooks = {"webhook_allow": ("127.0.0.1",), "webhook_secret": (SecretStr(SECRETS[0]),)}
    with Stack(quick_settings(processes=1, **hooks), place / "instance", logs=logs) as running:
        yield running


@pytest.fixture(scope="module")
def redis_of(stack) -> dict[str, str]:
    """What an app needs to find the stack."""
    return {"SENDLINE_REDIS_URL": stack.settings.redis_url.get_secret_value()}


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


@pytest.fixture(scope="session")
def nowhere() -> dict[str, str]:
    """What an app is told whose Redis is away."""
    return {"SENDLINE_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}


@pytest.fixture(scope="module")
def example(place):
    """Name a folder of examples, and what its apps are given in their environment."""
    return lambda folder, **environment: Example(folder, place, **environment)
