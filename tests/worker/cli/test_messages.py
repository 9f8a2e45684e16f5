"""`sendline messages` finds messages; `sendline erase` erases what is kept of a number."""

import pytest

from ledger_world import SENDER, TO
from sendline import Producer

COMMAND = "messages"
OTHER = "+13115559367"


@pytest.fixture
def producer(settings, hands):
    with Producer(settings=settings) as made:
        yield made


def test_the_newest_come_first_and_no_number_is_whole(producer, run):
    sent = [producer.send(to=number, text="a secret").id for number in (TO, OTHER, TO)]
    code, out, err = run()
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["message", *sent[::-1]]
    assert TO not in out
    assert "secret" not in out


def test_json_is_one_object_with_whole_numbers_and_without_texts(producer, read):
    sent = [producer.send(to=number, text="a secret").id for number in (TO, OTHER)]
    found = read()["messages"]
    assert [(each["id"], each["to"]) for each in found] == [(sent[1], OTHER), (sent[0], TO)]
    assert all("text" not in each for each in found)


def test_filters_go_together(producer, read):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(3)]
    producer.send(to=OTHER, text="Hello")
    producer.campaign("spring", text="Hi", sender=SENDER, recipients=[{"to": TO}])
    producer.cancel(sent[1])

    def ids_of(*words):
        return [each["id"] for each in read(*words)["messages"]]

    assert ids_of("--to", "+1 311 555 2367", "--status", "canceled") == [sent[1]]
    assert len(ids_of("--campaign", "spring", "--to", TO)) == 1
    assert ids_of("--after", "1h", "--before", "0s", "--status", "canceled") == [sent[1]]
    assert ids_of("--before", "1h") == []
    assert len(ids_of("--limit", "2")) == 2
    assert len(ids_of("--limit", "0")) == 5


def test_nothing_found_is_said(run):
    assert run("--status", "failed") == (0, "ok no message that is kept fits\n", "")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--status", "gone"], "status: must be one of"),
        (["--to", "nobody"], "to: not a phone number"),
        (["--after", "yesterday"], "after: 'yesterday' is no time"),
        (["--campaign", "no/name"], "campaign:"),
    ],
)
def test_a_mistake_is_one_line(run, words, line):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_erase_asks_first_and_says_what_it_did(producer, run):
    waiting = producer.send(to=TO, text="Hello")
    code, _, err = run(TO, command="erase")
    assert (code, "--yes" in err) == (2, True)
    assert producer.get(waiting.id).to == TO
    code, out, err = run("+1 (311) 555-2367", "--yes", command="erase")
    assert (code, err) == (0, "")
    assert "messages to it: 1, of which 1 had waited" in out
    assert "2367" not in out
    assert producer.get(waiting.id).to == ""


def test_erase_keeps_an_opt_out_where_it_shall(producer, run):
    run("add", TO, command="suppressions")
    assert "opted out" not in run(TO, "--yes", "--keep-opt-out", command="erase")[1]
    assert "had opted out" in run(TO, "--yes", command="erase")[1]


def test_erase_tells_a_machine_the_same(producer, run):
    producer.send(to=TO, text="Hello")
    code, out, _ = run(TO, "--yes", "--json", command="erase")
    assert code == 0
    assert '"messages": 1, "canceled": 1' in out
