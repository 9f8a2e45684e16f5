"""What the parts' processes run. Each is called in a process of its own and imports what it needs there."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from sendline.settings import Settings
    from sendline_worker.stack.part import Ready


def worker(settings: "Settings", *, on_ready: "Ready") -> int:
    """Run the worker."""
    from sendline_worker.running import run_worker

    return run_worker(settings, on_ready=on_ready, on_wait=on_ready.waits)


def receiver(settings: "Settings", listener: "socket.socket", *, on_ready: "Ready") -> int:
    """Run the receiver."""
    from sendline_worker.receiver.server import serve_on

    return serve_on(settings, listener, on_ready=on_ready)


def api(settings: "Settings", listener: "socket.socket", *, on_ready: "Ready") -> int:
    """Run the HTTP API."""
    from sendline_worker.api.server import serve_on

    return serve_on(settings, listener, on_ready=on_ready)


def simulator(listener: "socket.socket", callback_url: str | None, *, on_ready: "Ready") -> int:
    """Run the simulator."""
    from sendline_worker.simulator.options import SimulatorOptions
    from sendline_worker.simulator.server import serve_on

    return serve_on(SimulatorOptions(callback_url=callback_url), listener, on_ready=on_ready)
