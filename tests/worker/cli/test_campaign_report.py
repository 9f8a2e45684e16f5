"""`sendline campaign report` and `retry`: what became of each, and a round for those it did not reach."""

import csv
import io
from pathlib import Path

import pytest

from damage import archived_on
from sendline import Producer
from sendline.contract import ids
from sendline.ledger.keys import message_key

COMMAND = "campaign"


@pytest.fixture
def ended(campaign, hands):
    """A campaign of 10 that has ended: 4 failed, one of them for the reason that a spreadsheet would run."""
    campaign(10, "sale", "--start")
    for number, claim in enumerate(hands.claim(20).claims):
        word = (
            {"code": "rejected", "reason": "=cmd()"}
            if number < 4
            else {"provider_id": f"p{number}", "deadline": 0}
        )
        hands.settle(claim, "failed" if number < 4 else "sent", **word)
    hands.tick()
    return "sale"


def let_go(raw, message):
    """Let a message end, as it does when its retention has passed."""
    message_id = ids.to_bytes(message.id)
    if not raw.delete(message_key(message_id)):
        raw.hdel(archived_on(raw, message_id), message_id[6:])


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_report_is_written_as_csv_and_parquet(run, read, ended):
    assert run("report", ended, "--output", "sale.csv") == (0, "ok sale.csv: 10 rows\n", "")
    rows = rows_of(Path("sale.csv").read_text())
    assert [row["status"] for row in rows].count("failed") == 4
    assert {row["reason"] for row in rows if row["status"] == "failed"} == {"'=cmd()"}
    found = read("report", ended, "--output", "sale.parquet")
    assert found == {
        "name": "sale",
        "output": "sale.parquet",
        "rows": 10,
        "unreadable": 0,
        "no_longer_kept": 0,
    }
    import pyarrow.parquet

    assert pyarrow.parquet.read_table("sale.parquet").num_rows == 10


def test_a_report_can_be_printed(run, ended):
    code, out, err = run("report", ended, "--output", "-")
    assert (code, err) == (0, "")
    assert len(rows_of(out)) == 10


def test_what_is_no_longer_kept_is_counted(run, ended, redis_url, raw):
    with Producer(redis_url) as producer:
        [first, *_] = producer.campaign(ended).messages()
    let_go(raw, first)
    assert run("report", ended, "--output", "sale.csv")[1] == (
        "ok sale.csv: 9 rows; 1 message is no longer kept\n"
    )


def test_damaged_records_are_counted_and_written(run, read, campaign, raw, redis_url):
    campaign(10, "sale")
    with Producer(redis_url) as producer:
        members = [ids.to_bytes(message.id) for message in producer.campaign("sale").messages()]
    raw.set(message_key(members[3]), b"\xc1")
    told = "can't be read: its row says unreadable, `sendline audit` names the damage\n"
    found = run("report", "sale", "--output", "sale.csv")
    assert found == (0, f"ok sale.csv: 10 rows\nwarn 1 record {told}", "")
    assert [row["error"] for row in rows_of(Path("sale.csv").read_text())].count("unreadable") == 1
    code, out, err = run("report", "sale", "--output", "-")
    assert (code, len(rows_of(out)), err) == (0, 10, f"warn 1 record {told}")
    raw.set(message_key(members[5]), b"\xc1")
    found = read("report", "sale", "--output", "sale.parquet")
    assert (found["rows"], found["unreadable"], found["no_longer_kept"]) == (10, 2, 0)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "output: missing; give --output FILE.csv or FILE.parquet, or - for CSV here"),
        (("--output", "sale.xlsx"), "output: sale.xlsx: a report is CSV or Parquet"),
        (("--output", "-", "--json"), ""),
        (("--output", "no/where.csv"), "output: can't be written: no such file"),
    ],
)
def test_a_report_that_cant_be_written_is_one_line(run, ended, tmp_path, words, line):
    code, out, err = run("report", ended, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {line}" if line else '{"error": {"field": "output"')
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


# retry


def texts(redis_url, name):
    with Producer(redis_url) as producer:
        return sorted(message.to for message in producer.campaign(name).messages())


def test_those_that_failed_get_a_round_of_their_own(run, read, ended, redis_url, hands):
    code, out, err = run("retry", ended, "--failed")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "ok campaign sale.2: 4 rows read"
    assert out.splitlines()[-1] == "   it is created; `sendline campaign start sale.2` starts it"
    with Producer(redis_url) as producer:
        failed = [each.to for each in producer.campaign("sale").messages() if each.status == "failed"]
    assert texts(redis_url, "sale.2") == sorted(failed)
    run("start", "sale.2")
    assert len(hands.claim(20).claims) == 4


def test_a_round_can_be_named_and_started_at_once(read, ended):
    found = read("retry", ended, "--failed", "--name", "once-more", "--start")
    assert (found["name"], found["state"], found["total"]) == ("once-more", "running", 4)
    assert (found["retries"], found["no_longer_kept"]) == ("sale", 0)


def test_rounds_are_numbered_on(run, read, ended, hands):
    assert read("retry", ended, "--failed")["name"] == "sale.2"
    code, _, err = run("retry", ended, "--failed")
    assert (code, err.count("\n")) == (2, 1)
    assert "sale.2 was made of what failed, and is created" in err
    run("start", "sale.2")
    for claim in hands.claim(20).claims:
        hands.settle(claim, "failed", code="rejected")
    assert read("retry", "sale.2", "--failed")["name"] == "sale.3"


def test_a_message_that_is_no_longer_kept_is_left_out_and_counted(run, ended, redis_url, raw):
    with Producer(redis_url) as producer:
        first = next(each for each in producer.campaign(ended).messages() if each.status == "failed")
    let_go(raw, first)
    out = run("retry", ended, "--failed")[1]
    assert "warn 1 message that failed is no longer kept, and left out" in out
    assert len(texts(redis_url, "sale.2")) == 3


def test_a_round_that_was_cut_off_goes_on_by_the_same_command(run, read, campaign, hands, publish, cut_off):
    publish("main", rate=1_000_000, burst=2000)
    campaign(1200, "sale", "--start")
    while claims := hands.claim(200).claims:
        for claim in claims:
            hands.settle(claim, "failed", code="rejected")
    cut_off(2)
    code, out, err = run("retry", "sale", "--failed")
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert err.startswith(
        "error: interrupted: 500 rows are done (500 accepted), nothing was sent: the very same"
    )
    found = read("retry", "sale", "--failed")
    assert (found["name"], found["total"], found["imported"]["duplicates"]) == ("sale.2", 1200, 0)
    assert [each["name"] for each in read("list")["campaigns"]] == ["sale.2", "sale"]


def test_where_none_failed_nothing_is_made(run, read, campaign):
    campaign(10, "sale", "--start")
    code, out, err = run("retry", "sale", "--failed")
    assert (code, out) == (2, "")
    assert err == "error: name: campaign sale has no message that failed and is still kept\n"
    assert len(read("list")["campaigns"]) == 1


def test_what_to_try_again_must_be_said_and_its_name_be_free(run, ended):
    code, _, err = run("retry", ended)
    assert code == 2
    assert err.startswith(
        "error: --failed: missing; say what to try again: sendline campaign retry sale --failed"
    )
    code, _, err = run("retry", ended, "--failed", "--name", "sale")
    assert code == 2
    assert err.startswith("error: name: there is a campaign called sale already")
