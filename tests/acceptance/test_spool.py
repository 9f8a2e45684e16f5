"""Apps with a spool, killed at random while Redis is killed, frozen and restarted: each message once."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

import spooling as program
from sendline import Producer, UnknownMessage
from sendline.settings import Settings
from sendline.spool import SpoolDirectory
from servers import ValkeyServer
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

FAULTS = ("app",) * 5 + ("server",) * 3 + ("freeze",) * 3
STEP = 1_000_000
"""Numbers between the messages of two processes without common keys."""


class Apps:
    """Two apps on one machine that share a spool; each is killed and started again."""

    def __init__(self, server, place, chance):
        self._told = {
            "SENDLINE_REDIS_URL": server.url,
            "SENDLINE_SPOOL_DIR": str(place / "spool"),
            "SENDLINE_REDIS_TIMEOUT": "0.25",
        }
        self._place = place
        self._chance = chance
        self._running = []
        self._starts = 0

    def start(self):
        """Start another one and wait until it sends, also on a busy machine.

        Every second start begins where the one before did: it has the same keys.
        """
        first = self._starts // 2 * STEP + 1
        self._starts += 1
        notes = self._place / f"{self._starts}.notes"
        arguments = [sys.executable, program.__file__, "app", str(notes), str(first), "app"]
        self._running.append(
            subprocess.Popen(arguments, env={**os.environ, **self._told}, stderr=subprocess.DEVNULL)
        )
        poll(lambda: notes.exists() and notes.stat().st_size, 30)

    def kill(self):
        app = self._running.pop(self._chance.randrange(len(self._running)))
        app.send_signal(signal.SIGKILL)
        app.wait(10)

    def copy_spool(self):
        """Copy what waits, as a backup of the disk does; return whether anything was ever copied."""
        copy = self._place / "copy"
        copy.mkdir(exist_ok=True)
        for file in (self._place / "spool").glob("*.sms"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(file, copy)
        return any(copy.iterdir())

    def restore_spool(self):
        """Bring back all that was ever copied, delivered or not."""
        copies = list((self._place / "copy").iterdir())
        for file in copies:
            shutil.copy(file, self._place / "spool")
        return len(copies)

    def end(self):
        while self._running:
            self.kill()

    def returned(self):
        """Return (number, id) of all that send() returned, in all apps."""
        lines = [line for notes in self._place.glob("*.notes") for line in notes.read_text().split("\n")[:-1]]
        return [(int(number), message_id) for number, message_id in map(str.split, lines)]


def whirl(server, apps, chance):
    """Kill, freeze and start apps and server for a while; then all apps are dead, and the server is there."""
    apps.start()
    apps.start()
    for fault in ["server", *chance.sample(FAULTS, len(FAULTS))]:
        time.sleep(chance.uniform(0.05, 0.4))
        if not server.is_running():
            poll(apps.copy_spool)  # it has all that they send
        apps.copy_spool()
        if fault == "app":
            apps.kill()
            apps.start()
        elif fault == "server":
            server.kill() if server.is_running() else server.start()
        elif server.is_running():
            with server.frozen():
                time.sleep(chance.uniform(0.3, 0.5))
    apps.end()
    if not server.is_running():
        server.start()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_dies_each_message_is_in_the_ledger_once(tmp_path, seed):
    chance = random.Random(seed)
    with ValkeyServer() as server, contextlib.closing(_Ending(Apps(server, tmp_path, chance))) as apps:
        whirl(server, apps.apps, chance)
        returned = apps.apps.returned()
        spool = SpoolDirectory(tmp_path / "spool", 1_000_000)
        settings = Settings(redis_url=server.url, spool_dir=spool.path)
        with Producer(settings=settings) as producer:
            with pytest.raises(UnknownMessage):
                producer.get("00000000-0000-7000-8000-000000000000")  # its first use: it looks what waits
            poll(spool.is_empty, 40)
            assert apps.apps.restore_spool() > 0
            producer.close()
            producer.send(program.TO, "app 0")  # which finds that there is something again
            poll(spool.is_empty, 40)
            assert spool.refused() == {}
            accepted = [event.message_id for event in producer.events(after=0, timeout=0.5)]
            assert len(accepted) == len(set(accepted)) == producer.counts()["accepted"]
            in_ledger = Counter(int(producer.get(each).text.split()[1]) for each in accepted)
    assert len(returned) > 20
    ids = set(accepted)
    with_key = {number for number, _ in returned if number % 2}
    lost = [number for number, message_id in returned if not number % 2 and message_id not in ids]
    assert lost == []
    assert with_key <= in_ledger.keys()
    assert [number for number, times in in_ledger.items() if number % 2 and times != 1] == []
    plain = Counter(number for number, _ in returned if not number % 2)
    surplus = sum((Counter({n: t for n, t in in_ledger.items() if not n % 2}) - plain).values())
    assert surplus <= FAULTS.count("app") + 3, "more than what dying apps had under way"


class _Ending:
    def __init__(self, apps):
        self.apps = apps

    def close(self):
        self.apps.end()
