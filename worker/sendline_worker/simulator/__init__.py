"""A server that stands in for the providers: in demos, tests, chaos runs and benchmarks."""

from sendline_worker.simulator.app import create_app
from sendline_worker.simulator.behaviours import expected, number_for
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.simulator.options import Shape, SimulatorOptions
from sendline_worker.simulator.server import running, serve

__all__ = [
    "Shape",
    "SimulatorClient",
    "SimulatorOptions",
    "create_app",
    "expected",
    "number_for",
    "running",
    "serve",
]
