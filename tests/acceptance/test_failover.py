"""A failover that forgets, with real workers: nothing is sent twice, and a person lets it go on."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from failover import Pair
from parts import audit_findings, quick_settings
from places import data_directory
from sendline import Producer, Status
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Stack
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("failover")]

SENDLINE = str(Path(sys.executable).with_name("sendline"))
MESSAGES = 2000


@pytest.fixture
def pair():
    with Pair() as made:
        yield made


@pytest.fixture
def stack(pair, tmp_path):
    settings = quick_settings(redis_url=SecretStr(pair.url))
    with (
        data_directory() as place,
        Stack(settings, Path(place) / "instance", logs=tmp_path) as running,
    ):
        yield running


def sendline(stack, *words):
    env = {**os.environ, "SENDLINE_REDIS_URL": stack.settings.redis_url.get_secret_value()}
    ended = subprocess.run(
        [SENDLINE, *words, "--json"], check=False, env=env, capture_output=True, text=True, timeout=60
    )
    return ended.returncode, json.loads(ended.stdout)


def test_a_promoted_replica_that_lacks_the_last_moments_sends_nothing_twice(pair, stack, tmp_path):
    with Producer(settings=stack.settings) as producer, SimulatorClient(stack.simulator_url) as simulator:
        many = [{"to": f"+1311555{n:04d}", "text": f"Through a failover {n}"} for n in range(MESSAGES)]
        sent = producer.send_many(many)
        poll(lambda: producer.counts()["delivered"] > 50 and pair.has_ticked(), timeout=20)
        with pair.unseen():
            before = simulator.summary().accepted
            poll(lambda: simulator.summary().accepted > before + 40, timeout=20)

        poll(lambda: "sendline recover" in (tmp_path / "worker.log").read_text(), timeout=20)
        assert producer.send(to="+13115559999", text="Accepted meanwhile").status is Status.CREATED
        assert "sendline recover" in " ".join(sendline(stack, "status", sent[-1].id)[1]["waits"])
        assert sendline(stack, "check")[0] == 1

        code, told = sendline(stack, "recover")

        assert (code, told["recovered"]) == (0, True)
        poll(lambda: not counted(producer, "created", "retrying", "sending"), timeout=60)
        summary = simulator.summary()
        assert summary.accepted_twice == 0
        final = Counter(producer.get(message.id).status for message in sent)
        assert final.total() == MESSAGES
        assert set(final) <= {Status.DELIVERED, Status.UNCERTAIN, Status.SENT}, "receipts were forgotten too"
        assert 1 <= final[Status.UNCERTAIN] < MESSAGES - final[Status.SENT] - before
        took = {entry.recipient for entry in simulator.whole_log() if entry.provider_id}
        had = {Status.DELIVERED, Status.SENT}
        untold = {m.to for m in sent if producer.get(m.id).status in had} - took
        assert not untold, "nothing is called sent that the provider never had"
        code, listed = sendline(stack, "uncertain", "--error", "failover", "--limit", "2000")
        assert listed["number"] == producer.counts()["uncertain"]
        assert audit_findings(stack.settings) == ()
        assert sendline(stack, "recover") == (0, {"recovered": False, "held": 0})


def counted(producer, *names):
    counts = producer.counts()
    return sum(counts[name] for name in names)
