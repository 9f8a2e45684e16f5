"""All parts on one machine: the embedded server, the simulator, the receiver, the worker."""

from sendline_worker.stack import interrupts
from sendline_worker.stack.part import Part, PartFailed
from sendline_worker.stack.stack import Stack

__all__ = ["Part", "PartFailed", "Stack", "interrupts"]
