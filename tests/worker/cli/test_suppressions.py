"""`sendline suppressions`: what it lists, adds, removes and checks, and how it answers mistakes."""

import io
import json
import sys

import pytest

from sendline import Producer, Status
from sendline.ledger.keys import KEYS
from sendline.ledger.record import pack
from sendline_worker.cli import suppressions

ONE, TWO, THREE = "+13115552367", "+13115552368", "+13115552369"

COMMAND = "suppressions"


@pytest.fixture
def typed(monkeypatch):
    """Let standard input hold these bytes."""

    def typed(raw):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return typed


def listed(read):
    return {each["number"]: each for each in read("list")["suppressions"]}


def test_an_empty_list_says_so(run, read):
    assert run("list") == (0, "ok no number is on the list\n", "")
    assert read("list") == {"number": 0, "suppressions": []}


def test_numbers_are_added_listed_and_removed(run, read):
    assert run("add", ONE, "+1 311 555 2368", ONE, "--reason", "asked by mail") == (0, "ok 2 added\n", "")
    assert run("add", TWO, THREE) == (0, "ok 1 added, 1 on the list before\n", "")
    found = listed(read)
    assert {number: each["why"] for number, each in found.items()} == {
        ONE: "asked by mail",
        TWO: "asked by mail",
        THREE: "a person said so",
    }
    assert run("remove", ONE, "+13115550000") == (0, "ok 1 removed, 1 not on the list\n", "")
    assert listed(read).keys() == {TWO, THREE}


def test_each_listed_number_has_a_line_with_since_when_and_why(run, raw):
    run("add", ONE)
    raw.hset(KEYS["suppressed"], TWO, pack([1_700_000_000_000, "inbound", "main"]))
    code, out, _ = run("list")
    head, *lines = out.splitlines()
    assert (code, head) == (0, "ok 2 on the list")
    assert f"{TWO:<16}  2023-11-14T22:13:20.000Z  answered a stop word (account main)" in lines
    assert any(line.startswith(ONE) and line.endswith("  a person said so") for line in lines)


def test_json_says_how_many_were_added_and_removed(read):
    assert read("add", ONE, TWO) == {"added": 2, "listed_before": 0}
    assert read("add", TWO, THREE) == {"added": 1, "listed_before": 1}
    assert read("remove", ONE, "+13115550000") == {"removed": 1, "not_listed": 1}


def test_a_check_names_those_on_the_list_and_exits_1(run, read):
    assert run("check", ONE) == (0, "ok 0 of 1 on the list\n", "")
    run("add", ONE)
    code, out, _ = run("check", ONE, TWO)
    assert (code, out.splitlines()[0]) == (1, "warn 1 of 2 on the list")
    assert out.splitlines()[1].startswith(ONE)
    found = read("check", ONE, TWO, code=1)
    assert (found["checked"], found["number"]) == (2, 1)
    assert [each["number"] for each in found["suppressions"]] == [ONE]


def test_a_file_holds_one_number_a_line(run, read, tmp_path):
    path = tmp_path / "opted-out.txt"
    path.write_bytes(f"\ufeff{ONE}\r\n\r\n (311) 555-2368 \n{ONE}\n{THREE}".encode())
    (tmp_path / "sendline.toml").write_text('default_region = "US"\n')
    assert run("add", "--file", str(path)) == (0, "ok 3 added\n", "")
    assert listed(read).keys() == {ONE, TWO, THREE}
    assert read("check", "--file", str(path), code=1)["number"] == 3
    assert read("remove", "--file", str(path)) == {"removed": 3, "not_listed": 0}


def test_standard_input_is_a_file_too(run, read, typed):
    typed(f"{ONE}\n{TWO}\n".encode())
    assert run("add", "--file", "-") == (0, "ok 2 added\n", "")
    assert listed(read).keys() == {ONE, TWO}


def test_a_long_file_goes_in_batches_with_its_progress_on_a_terminal(run, read, typed, monkeypatch):
    monkeypatch.setattr(suppressions, "PROGRESS_EVERY", 1000)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    typed("".join(f"+1311555{number:04}\n" for number in range(2500)).encode())
    code, out, err = run("add", "--file", "-")
    assert (code, out) == (0, "ok 2500 added\n")
    assert err == (
        "\r  1000 lines read\r  2000 lines read\n\r  1000 of 2500\r  2000 of 2500\r  2500 of 2500\n"
    )
    assert len(listed(read)) == 2500


def test_one_mistake_in_a_file_names_its_line_and_nothing_is_done(run, read, typed):
    typed(f"{ONE}\nnobody\n{TWO}\n".encode())
    code, out, err = run("add", "--file", "-")
    assert (code, out) == (2, "")
    assert err == "error: file: line 2: not a phone number; write it as +13115552367; nothing was done\n"
    assert listed(read) == {}


def test_many_mistakes_are_counted_and_the_first_ones_named(run, typed):
    typed(b"5552367\n" * 9)
    code, _, err = run("remove", "--file", "-")
    assert code == 2
    assert err.startswith("error: file: line 1: has no country code;")
    assert err.endswith("; 8 more can't be read: 2, 3, 4, 5, 6, ...; nothing was done\n")


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00 7", b"\x00" * 10_000, b"x" * 100_000, b"12\xe9"])
def test_a_file_of_anything_else_is_one_clear_mistake(run, typed, raw):
    typed(raw)
    code, out, err = run("add", "--file", "-")
    assert (code, out) == (2, "")
    assert err.startswith("error: file: line 1: ")
    assert err.count("\n") == 1


MISTAKES = {
    "none": (("add",), "number: missing; give NUMBER, or --file PATH"),
    "both": (("add", ONE, "--file", "x"), "--file: and numbers exclude each other"),
    "not a number": (("check", "nobody"), "number: not a phone number"),
    "the second": (("check", ONE, "nobody"), "number: the 2. one is not a phone number"),
    "no file": (("add", "--file", "gone.txt"), "file: gone.txt can't be read: no such file"),
    "a folder": (("add", "--file", "/"), "file: / can't be read: is a directory"),
    "our word": (("add", ONE, "--reason", "inbound"), "reason: 'inbound' stands for who answered STOP"),
    "no command": ((), "command: missing; give list or add or remove or check"),
    "option": (
        ("add", "--fil", "x"),
        "--fil: no such option of `sendline suppressions add`; did you mean --file",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_the_fix(run, name):
    words, says = MISTAKES[name]
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {says}")
    assert err.count("\n") == 1


def test_an_empty_file_is_a_mistake(run, typed):
    typed(b"\n\n")
    assert run("add", "--file", "-") == (2, "", "error: file: holds no number; write one a line\n")


def test_no_mistake_repeats_a_number(run):
    _, _, err = run("add", "+131155523670000000")
    assert "555236700" not in err


@pytest.mark.parametrize("command", ["list", "add", "remove", "check"])
def test_help_shows_examples(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"  sendline suppressions {command}" in out


def test_the_overview_names_the_command(run):
    _, out, _ = run("--help", command="--help")
    assert "  suppressions " in out


def test_sending_to_who_has_opted_out_says_so_and_why(run, publish, settings):
    publish("main")
    run("add", ONE)
    code, out, _ = run("--to", ONE, "--text", "Hello", "--json", "--wait", command="send")
    message = json.loads(out)
    assert (code, message["status"], message["error"], message["final"]) == (
        1,
        "suppressed",
        "opted_out",
        True,
    )
    code, out, _ = run(message["id"], command="status")
    assert code == 0
    assert "suppressed, final" in out
    assert "opted_out: the recipient has opted out" in out
    with Producer(settings=settings) as producer:
        assert producer.get(message["id"]).status is Status.SUPPRESSED


def test_sending_to_who_has_opted_out_does_not_wait(run, publish):
    publish("main")
    run("add", ONE)
    code, out, err = run("--to", ONE, "--text", "Hello", command="send")
    assert (code, err) == (0, "")
    assert out.rstrip().endswith(" suppressed (opted_out: the recipient has opted out)")
