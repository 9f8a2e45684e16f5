"""The embedded server: a real Valkey, started on this machine for one instance of Sendline."""

from sendline_worker.embedded.instance import InstanceInUse, claim_instance, secret_key
from sendline_worker.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer", "InstanceInUse", "claim_instance", "secret_key"]
