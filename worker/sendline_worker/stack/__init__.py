"""All parts on one machine: the embedded server, the simulator, the receiver, the worker."""

from sendline_worker.stack import interrupts
from sendline_worker.stack.part import Part, PartFailed, PartRefused
from sendline_worker.stack.stack import Stack
from sendline_worker.stack.supervisor import Supervisor

__all__ = ["Part", "PartFailed", "PartRefused", "Stack", "Supervisor", "interrupts"]
