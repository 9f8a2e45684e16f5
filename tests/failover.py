"""A primary with a replica that can be promoted behind it."""

import contextlib
from pathlib import Path

from places import data_directory
from sendline.ledger.keys import KEYS
from sendline.settings.instances import unix_url
from servers import DURABLE, ValkeyServer, free_port
from waiting import poll


class Pair:
    """A primary with its replica, behind one address that follows a failover."""

    def __init__(self):
        self._folder = data_directory()
        self._port = free_port()
        self.primary = ValkeyServer(
            *DURABLE, "--port", str(self._port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"
        )
        self.replica = ValkeyServer(*DURABLE, "--replicaof", f"127.0.0.1 {self._port}")
        self._address = Path(self._folder.name) / "address"

    @property
    def url(self):
        return unix_url(self._address)

    def __enter__(self):
        self.primary.start()
        self._address.symlink_to(self.primary.socket)
        self.replica.start()
        poll(lambda: self._info()["master_link_status"] == "up", 20)

        return self

    def __exit__(self, *_):
        self.replica.__exit__()
        self.primary.__exit__()
        self._folder.cleanup()

    def _info(self):
        with self.replica.client() as client:
            return client.info("replication")

    def has_ticked(self):
        """Whether the replica knows a sign of life of the workers: else all that waits may have been sent."""
        with self.replica.client() as client:
            return client.hexists(KEYS["meta"], "ticked_at")

    def await_replica(self):
        with self.primary.client() as client:
            client.set("test:mark", "x")
            assert client.wait(1, 5000) == 1

    @contextlib.contextmanager
    def unseen(self):
        """What happens in the block never reaches the replica; at its end the primary is gone for good."""
        self.await_replica()
        with self.replica.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            yield
            self.primary.kill()
            client.execute_command("REPLICAOF", "NO", "ONE")
        self._address.unlink()
        self._address.symlink_to(self.replica.socket)
