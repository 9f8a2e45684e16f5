"""Campaigns under kills: an import and its sending may be cut off anywhere, and every recipient gets one."""

import random
from collections import Counter

import psutil
import pytest

from campaigning import import_recipients
from faulty import processes, whole
from sendline.contract.campaign import CampaignState
from sendline.contract.errors import InvalidCampaign
from sendline.contract.status import Status
from sendline_worker.stack import Part
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("campaigns")]

RECIPIENTS = 3000
BAD = 60
DOUBLES = 40


@pytest.fixture(scope="module")
def running():
    """All of Sendline with one worker."""
    with whole(account={"rate": 2000, "burst": 100}) as made:
        made.start_worker()
        yield made


def people(path, *, seed: int):
    """Write a file of recipients, some of whom can't be sent to, or come twice.

    Returns each one's number with the name in its first row, and the lines that are bad.
    """
    chance = random.Random(seed)
    numbers = [f"+1311{5_000_000 + place}" for place in range(RECIPIENTS)]
    rows = [(number, f"name {place}") for place, number in enumerate(numbers)]
    rows += [(numbers[chance.randrange(len(numbers))], "again") for _ in range(DOUBLES)]
    chance.shuffle(rows)
    for _ in range(BAD):
        rows.insert(chance.randrange(len(rows)), ("nonsense", "nobody"))
    path.write_text("to,name\n" + "".join(f"{number},{name}\n" for number, name in rows))
    bad = [line for line, (number, _) in enumerate(rows, 2) if number == "nonsense"]
    names = {number: name for number, name in reversed(rows) if number != "nonsense"}
    return names, bad


def test_an_import_and_its_sending_are_killed_again_and_again_and_everyone_gets_one(running, tmp_path):
    path, rejects = tmp_path / "people.csv", tmp_path / "rejects.csv"
    names, bad = people(path, seed=7)
    seed = random.randrange(1 << 32)
    print("seed", seed)  # noqa: T201 - pytest shows it with the failure
    producer, chance, kills = running.judge.producer, random.Random(seed), 0

    def imported() -> int:
        try:
            return producer.campaign("everyone").progress().imported.rows
        except InvalidCampaign:
            return 0

    for number in range(20):
        part = Part(
            "importer", import_recipients, running.past_proxies, "everyone", path, rejects,
            log=running.directory / f"importer-{number}.log",
        )  # fmt: skip
        part.begin()
        part.await_ready()
        until = imported() + chance.randrange(1, 750)
        if number < 4:
            poll(lambda until=until, part=part: imported() >= until or not part.is_running(), every=0.002)
            if part.is_running():
                psutil.Process(part.pid).kill()
                kills += 1
        poll(lambda part=part: not part.is_running(), timeout=30)
        if producer.campaign("everyone").progress().imported.complete:
            break
    assert kills >= 2

    campaign = producer.campaign("everyone")
    counts = campaign.progress().imported
    assert (counts.accepted, counts.rejected, counts.duplicates) == (len(names), len(bad), DOUBLES)
    assert [int(line.partition(",")[0]) for line in rejects.read_text().splitlines()[1:]] == bad
    assert Counter(message.to for message in campaign.messages()) == dict.fromkeys(names, 1)
    assert not told_of(running, names), "sent before its start"

    campaign.start()
    for share in (chance.uniform(0.05, 0.3), chance.uniform(0.4, 0.8)):
        poll(lambda share=share: delivered_or_sent(campaign) >= share * len(names), timeout=60)
        for process in processes(running.worker):
            process.kill()
        running.start_worker()
    done = campaign_ends(campaign)
    running.judge.audit()
    by_status = {status: number for status, number in done.statuses.items() if number}
    assert by_status.keys() <= {Status.DELIVERED, Status.UNCERTAIN}
    assert sum(by_status.values()) == len(names)
    held = {message.to for message in campaign.messages() if message.status is Status.UNCERTAIN}
    told = told_of(running, names)
    assert {number for number, texts in told.items() if len(texts) > 1} == set(), "sent twice"
    assert names.keys() - told.keys() <= held, "skipped"
    assert len(held) == by_status.get(Status.UNCERTAIN, 0) < len(names) / 4
    assert told == {number: [f"campaign for {names[number]}"] for number in told}


def told_of(running, names) -> dict[str, list[str]]:
    """The texts that the provider accepted, by recipient; of a number that nobody named, too."""
    told: dict[str, list[str]] = {}
    for entry in running.simulator.whole_log():
        if entry.provider_id and (entry.text or "").startswith("campaign for "):
            told.setdefault("+" + entry.recipient.lstrip("+"), []).append(entry.text)
    assert told.keys() <= names.keys()
    return told


def delivered_or_sent(campaign) -> int:
    """How many of its messages the provider has."""
    statuses = campaign.progress().statuses
    return statuses[Status.SENT] + statuses[Status.DELIVERED]


def campaign_ends(campaign):
    """Wait until nothing of a campaign is under way; the counts add up at every look."""

    def is_still() -> bool:
        now = campaign.progress()
        assert sum(now.statuses.values()) == now.imported.accepted
        return not (now.waiting or now.on_the_wire or now.statuses[Status.SENT])

    poll(is_still, timeout=60, every=0.05)
    return campaign.progress()


def test_a_pause_counts_within_a_second_and_a_cancel_ends_the_rest(running, tmp_path):
    people_of = [{"to": f"+1311{6_000_000 + place}", "name": str(place)} for place in range(4000)]
    producer = running.judge.producer
    campaign = producer.campaign("stopped", text="stopped {{ name }}", recipients=people_of)
    campaign.start()
    poll(lambda: delivered_or_sent(campaign) >= 200, timeout=30)
    paused = campaign.pause()
    assert paused.state is CampaignState.PAUSED
    poll(lambda: not campaign.progress().on_the_wire, timeout=5)
    arrived = len(running.judge.sent("stopped"))
    assert arrived <= 4000 - paused.waiting
    running.judge.producer.campaign("stopped").resume()
    poll(lambda: len(running.judge.sent("stopped")) > arrived, timeout=10)
    campaign.cancel()
    done = campaign_ends(campaign)
    assert done.statuses[Status.CANCELED] == 4000 - len(running.judge.sent("stopped"))
    poll(lambda: campaign.progress().state is CampaignState.CANCELED)
    running.judge.audit()


def test_every_recipient_gets_the_text_that_is_theirs(running):
    rows = [{"to": f"+1311{7_000_000 + place}", "name": f"n{place}"} for place in range(50)]
    campaign = running.judge.producer.campaign("texts", text="Hello {{ name|upper }}", recipients=rows)
    campaign.start()
    done = campaign.wait(30)
    assert done.state is CampaignState.FINISHED
    texts = {
        entry.recipient: entry.text
        for entry in running.simulator.whole_log()
        if (entry.text or "").startswith("Hello N")
    }
    assert texts == {row["to"]: f"Hello {row['name'].upper()}" for row in rows} or texts == {
        row["to"].lstrip("+"): f"Hello {row['name'].upper()}" for row in rows
    }
