"""The nightly campaign: killed at many points and run again, every recipient gets one message."""

import csv
import itertools
import random
from collections import Counter

import pytest

from sendline import InvalidCampaign
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("nightly_campaign")]

NIGHTS = (f"2026-01-{day:02d}" for day in itertools.count(1))
TEXT = "Good morning {{ name }}"
DONE, INCOMPLETE, MISTAKE, AGAIN = 0, 1, 2, 3


@pytest.fixture
def nightly(example, redis_of, tmp_path):
    """Run the script with a file of recipients for one night; return how it ended."""
    script = example("nightly_campaign", **redis_of)

    def run(path, night, *, text=TEXT, start=False, **environment):
        words = (
            "nightly.py",
            str(path),
            str(tmp_path / "reports"),
            text,
            "--night",
            night,
            "--patience",
            "20",
            "--receipts",
            "2",
        )
        if start:
            return script.start(*words, log=tmp_path / "killed.log", **environment)
        return script.run(*words, **environment)

    return run


def people(path, count, *, digit, bad=0):
    """Write a file of recipients; return their numbers."""
    numbers = [f"+1311555{digit}{place:03d}" for place in range(count)]
    rows = [f"Name {place},{number}" for place, number in enumerate(numbers)]
    path.write_text("\n".join(["name,number", *rows, *["Nobody,nonsense"] * bad]) + "\n")
    return numbers


def rows(tmp_path, night):
    with (tmp_path / "reports" / f"nightly-{night}.csv").open() as file:
        return list(csv.DictReader(file))


def times_accepted(simulator, numbers):
    known = set(numbers)
    got = Counter(each.recipient for each in simulator.whole_log() if each.provider_id)
    return Counter(count for number, count in got.items() if number in known)


def test_a_night_is_sent_reported_and_done_once(nightly, simulator, tmp_path):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    numbers = people(path, 60, digit=3)
    ended = nightly(path, night)
    assert (ended.returncode, ended.stderr) == (DONE, "")
    assert ended.stdout.splitlines()[-1] == f"nightly-{night}: finished; 60 delivered; 0 rejected"
    assert {row["status"] for row in rows(tmp_path, night)} == {"delivered"}
    assert [row["to"].strip("'") for row in rows(tmp_path, night)] == numbers

    again = nightly(path, night)
    assert (again.returncode, again.stdout) == (DONE, ended.stdout.splitlines()[-1] + "\n")
    assert times_accepted(simulator, numbers) == {1: 60}


def test_it_is_killed_again_and_again_and_everyone_gets_one(nightly, simulator, producer, tmp_path):
    night, path, chance = next(NIGHTS), tmp_path / "people.csv", random.Random(5)
    numbers = people(path, 560, digit=4, bad=3)

    def stands():
        """How far it is: nothing, founded, imported in part, imported, running, sent in part."""
        try:
            now = producer.campaign(f"nightly-{night}").progress()
        except InvalidCampaign:
            return (0, 0)
        return (1 + now.imported.rows, now.total - now.waiting)

    kills = 0
    for goal in ((0, 0), (1, 0), (501, 0), (564, 0), (564, 1), (564, 60), (564, 120)):
        process = nightly(path, night, start=True)
        poll(lambda goal=goal, p=process: stands() >= goal or p.poll() is not None, timeout=20, every=0.002)
        if chance.random() < 0.5:
            before = stands()
            poll(lambda b=before, p=process: stands() > b or p.poll() is not None, every=0.002)
        kills += process.poll() is None
        process.kill()
        process.wait()
    assert kills >= 5

    ended = nightly(path, night)
    assert ended.returncode == INCOMPLETE, ended.stderr
    assert ended.stderr.splitlines()[-1] == f"nightly-{night}: finished; 560 delivered; 3 rejected"
    assert times_accepted(simulator, numbers) == {1: 560}
    assert len(rows(tmp_path, night)) == 560
    rejects = (tmp_path / "reports" / f"nightly-{night}.rejects.csv").read_text().splitlines()
    assert len(rejects) == 1 + 3


def test_two_runs_at_once_are_one(nightly, tmp_path):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    people(path, 100, digit=5)
    first = nightly(path, night, start=True)
    poll((tmp_path / "reports" / f"nightly-{night}.lock").exists)
    second = nightly(path, night)
    assert first.wait(30) == DONE
    assert (second.returncode, "another run is at it" in second.stderr) in ((AGAIN, True), (DONE, False))


def test_what_failed_is_told_by_the_exit_code_and_the_report(nightly, tmp_path):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    path.write_text("name,number\nA,+13115556100\nB,+13115559150\n")  # the second is refused
    ended = nightly(path, night)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        INCOMPLETE,
        f"nightly-{night}: finished, 1 failed; 1 delivered, 1 failed; 0 rejected",
    )
    assert [row["status"] for row in rows(tmp_path, night)] == ["delivered", "failed"]


def test_a_phone_that_is_off_holds_nobody_up_and_doubt_is_told(nightly, tmp_path):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    path.write_text("name,number\nA,+13115559440\n")  # never reports
    ended = nightly(path, night)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (
        DONE,
        f"nightly-{night}: running; 1 sent; 0 rejected",
    ), ended.stderr
    night = next(NIGHTS)
    path.write_text("name,number\nB,+13115559210\n")  # never answers: sent, or not
    ended = nightly(path, night)
    assert (ended.returncode, "1 uncertain" in ended.stderr) == (INCOMPLETE, True), ended.stderr


@pytest.mark.parametrize(
    ("content", "text", "told"),
    [
        (None, TEXT, "recipients: "),
        ("name,number\nA,+13115556200\n", "Good morning {{ first_name }}", "text: needs a column first_name"),
        ("name,number\nA,+13115556200\n", "{% for a in b %}", "text: "),
        ("name,colour\nA,blue\n", TEXT, "recipients: "),
    ],
    ids=["no file", "no such column", "no template", "no numbers"],
)
def test_a_mistake_is_told_in_one_line(nightly, tmp_path, content, text, told):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    if content is not None:
        path.write_text(content)
    ended = nightly(path, night, text=text)
    assert (ended.returncode, ended.stdout) == (MISTAKE, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"nightly-{night}: {told}")


def test_a_file_in_which_nothing_can_be_sent_to_is_no_success(nightly, tmp_path):
    night, path = next(NIGHTS), tmp_path / "people.csv"
    people(path, 0, digit=6, bad=2)
    ended = nightly(path, night)
    assert (ended.returncode, "no recipients; 2 rejected" in ended.stderr) == (INCOMPLETE, True), ended.stderr


def test_without_redis_it_asks_to_be_run_again(nightly, nowhere, tmp_path):
    people(tmp_path / "people.csv", 2, digit=7)
    ended = nightly(tmp_path / "people.csv", next(NIGHTS), **nowhere)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (AGAIN, 1), ended.stderr


def test_without_a_worker_it_says_that_one_is_wanted(nightly, redis_url, tmp_path):
    people(tmp_path / "people.csv", 2, digit=8)
    ended = nightly(tmp_path / "people.csv", next(NIGHTS), SENDLINE_REDIS_URL=redis_url)
    assert (ended.returncode, "start a worker" in ended.stderr) == (MISTAKE, True), ended.stderr
