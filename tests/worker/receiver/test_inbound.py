"""Messages that come in on the webhooks of receipts: kept once, and STOP holds."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from sendline.contract.keywords import Keyword, Keywords
from sendline.contract.status import Status
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.inbound import Arrival
from sendline.ledger.keys import KEYS
from sendline.settings import Settings
from sendline_worker.providers.base import Inbound, Receipt
from sendline_worker.receiver.collector import Collector
from sendline_worker.receiver.server import app_of
from sendline_worker.reports import LONGEST_TEXT, Reading, arrivals, reports
from sendline_worker.tokens import Verified
from worker.receiver.house import KEY, LIMITS, OPENTACT, housed, written

THEIRS, OURS = "+13115550001", "+13115552368"


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path) as house:
        yield house


def suppressed(house):
    with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw:
        return [each.decode() for each in raw.hkeys(KEYS["suppressed"])]


def test_a_message_that_came_in_is_kept(house):
    answer = house.post(house.account_url(), written("When do you open?"))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    [message] = house.inbound()
    assert (message.account, message.sender, message.to) == ("main", THEIRS, OURS)
    assert (message.text, message.keyword, message.provider_id) == ("When do you open?", None, "in-1")
    assert house.app.state.counts == {"inbound_new": 1}


def test_it_is_kept_once_however_often_it_is_told(house):
    for url in (house.account_url(), house.account_url(), house.message_url(house.sent("abc"))):
        assert house.post(url, written("Hello")).status_code == 200
    assert len(house.inbound()) == 1
    assert house.app.state.counts == {"inbound_new": 1, "inbound_known": 2}


def test_one_that_comes_at_the_url_of_a_message_does_not_move_it(house):
    message_id = house.sent()
    house.post(house.message_url(message_id), written("Hello"))
    message = house.message(message_id)
    assert (message.status, message.provider_id) == (Status.SENT, None)


STOPS = [
    *("STOP", " stop.\n", "Unsubscribe", "Stop all"),
    *(
        "Arr\u00eat",
        "arre\u0302t !",
        "\u00abSTOP\u00bb",
        "\uff33\uff34\uff2f\uff30",
        "STOP\u200b",
        "\ufeffstop\u2026",
    ),
    *("Stop \U0001f44e\ufe0f", "opt\u00a0out", "*STOP*"),
]


@pytest.mark.parametrize("text", STOPS)
def test_who_writes_stop_is_suppressed_before_the_answer(house, text):
    house.post(house.account_url(), written(text))
    assert suppressed(house) == [THEIRS]
    assert house.inbound()[0].keyword == Keyword.STOP


def test_start_ends_that(house):
    house.post(house.account_url(), written("STOP", "1"))
    house.post(house.account_url(), written("Start", "2"))
    assert suppressed(house) == []


def test_who_only_says_stop_among_other_words_is_not_suppressed(house):
    house.post(house.account_url(), written("Please stop at my house"))
    assert suppressed(house) == []
    assert len(house.inbound()) == 1


@pytest.mark.parametrize("text", ["", " ", "\U0001f44e", "...", "S.T.O.P", "STOP1", "STOP STOP"])
def test_what_is_no_word_alone_asks_for_nothing(house, text):
    house.post(house.account_url(), written(text))
    assert suppressed(house) == []
    assert [each.keyword for each in house.inbound()] == [None]


def test_words_are_configured_however_they_are_written():
    words = Keywords(stop=frozenset({"Arr\u00eat", "!"}), start=frozenset({" commencer. "}))
    assert [words.read(each) for each in ("arret", "ARR\u00caT", "Commencer")] == ["stop", "stop", "start"]
    assert [words.read(each) for each in ("", "!", "STOP")] == [None] * 3


def test_marks_that_make_another_word_are_kept():
    words = Keywords(stop=frozenset({"D\u1eeaNG", "\u0e2b\u0e22\u0e38\u0e14"}))
    assert [words.read(each) for each in ("d\u1eebng", "dung", "\u0e2b\u0e22\u0e38\u0e14")] == ["stop"] * 3
    assert [words.read(each) for each in ("d\u00f9ng", "d\u1ee5ng", "\u0e2b\u0e22\u0e14")] == [None] * 3


def test_the_words_are_those_that_are_configured(tmp_path):
    with housed(tmp_path, reading=Reading(Keywords(stop=frozenset({"BASTA"})))) as house:
        house.post(house.account_url(), written("stop", "1"))
        assert suppressed(house) == []
        house.post(house.account_url(), written("basta", "2"))
        assert suppressed(house) == [THEIRS]


def test_the_receiver_takes_the_words_of_the_settings(redis_url, tmp_path):
    settings = Settings(
        redis_url=redis_url,
        secret_key=[KEY],
        accounts={"main": OPENTACT},
        stop_words=["basta"],
        default_region="GB",
    )
    reading = app_of(settings).receipts.reader._reading
    assert reading.keywords.read("Basta!") == Keyword.STOP
    assert reading.keywords.read("stop") is None
    assert reading.region == "GB"


@pytest.mark.parametrize(
    ("told", "sender"),
    [
        ("0013115552396", "+13115552396"),
        ("3115552399", "+13115552399"),
        ("13115552399", "+13115552399"),
        ("(311) 555-2399", "+13115552399"),
        ("447911123456", "+447911123456"),
    ],
)
@pytest.mark.parametrize("to", [OURS, OURS[1:]])
def test_stop_holds_for_who_wrote_it_however_the_number_is_told(house, told, sender, to):
    assert house.post(house.account_url(), written("STOP", sender=told, to=to)).status_code == 200
    assert suppressed(house) == [sender]
    assert house.inbound()[0].to == OURS
    assert "unheeded" not in house.app.state.counts
    house.post(house.account_url(), written("START", "in-2", sender=told, to=to))
    assert suppressed(house) == []


def test_the_default_region_reads_what_was_written_to_a_short_code(tmp_path):
    with housed(tmp_path, reading=Reading(region="US")) as house:
        house.post(house.account_url(), written("STOP", sender="3115552399", to="72345"))
        assert suppressed(house) == ["+13115552399"]


@pytest.mark.parametrize("text", ["STOP", "start"])
@pytest.mark.parametrize("sender", ["3115552399", "72345", "Somebody"])
def test_a_keyword_of_who_knows_whom_is_warned_of_and_kept(house, caplog, text, sender):
    house.post(house.account_url(), written(text, sender=sender, to="98765"))
    assert suppressed(house) == []
    assert [(each.sender, each.keyword) for each in house.inbound()] == [(sender, text.lower())]
    assert house.app.state.counts["unheeded"] == 1
    [warning] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert warning == ("account main: 1 STOP or START unheeded: from a sender that can't be read as a number")


def test_what_is_no_keyword_or_help_is_nothing_to_warn_of(house, caplog):
    house.post(house.account_url(), written("Hello", "1", sender="72345"))
    house.post(house.account_url(), written("HELP", "2", sender="72345"))
    assert "unheeded" not in house.app.state.counts
    assert [each for each in caplog.records if each.levelname == "WARNING"] == []


def test_what_can_not_be_stored_is_asked_for_again(tmp_path):
    with housed(tmp_path, durability="disk", request_seconds=1.0) as house:
        house.server.stop()
        assert house.post(house.account_url(), written("STOP")).status_code == 503
        house.server.start()
        assert house.inbound() == []
        assert house.post(house.account_url(), written("STOP")).status_code == 200
        assert suppressed(house) == [THEIRS]


def test_a_crowd_of_messages_comes_in_once_each(house):
    bodies = [written(f"Hello {number % 100}", f"in-{number % 100}") for number in range(300)]
    url = house.account_url()
    with ThreadPoolExecutor(20) as crowd:
        assert {answer.status_code for answer in crowd.map(lambda body: house.post(url, body), bodies)} == {
            200
        }
    assert sorted(each.text for each in house.inbound()) == sorted(f"Hello {n}" for n in range(100))
    assert house.app.state.counts == {"inbound_new": 100, "inbound_known": 200}


def test_receipts_and_messages_that_come_together_are_stored_in_few_calls(house):
    class Watched(AsyncLedger):
        async def run(self, call):
            sizes.append((call.target.name, len(call.arguments) - 1))
            return await super().run(call)

    sizes = []
    many = [Arrival("main", THEIRS, OURS, "Hello", None, f"in-{number}") for number in range(600)]

    async def work():
        ledger = Watched(house.server.url)
        collector = Collector(ledger, LIMITS)
        try:
            return await asyncio.gather(*(collector.take_in([each]) for each in many))
        finally:
            await collector.aclose()
            await ledger.aclose()

    assert asyncio.run(work()) == [["new"]] * 600
    assert sizes == [("inbound", 512), ("inbound", 88)]


def test_logs_hold_no_text_and_no_number(house, caplog):
    caplog.set_level("DEBUG")
    house.post(house.account_url(), written("Secret 4711"))
    ours = [record.getMessage() for record in caplog.records if record.name == "sendline.receiver"]
    assert ours == ["account main: inbound messages: 1 new"]
    everything = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("http"))
    for secret in ("4711", "311555", "Secret"):
        assert secret not in everything


# What the ledger is told


def told(*things):
    return arrivals("main", Reading(), things)


def test_numbers_are_written_as_recipients_are():
    [arrival] = told(Inbound("p", "+1 (311) 555-0001", "+13115552368", "Hi"))
    assert (arrival.sender, arrival.to) == (THEIRS, OURS)


@pytest.mark.parametrize("sender", ["72345", "INFO", "+12", "", "x" * 64])
def test_what_is_no_whole_number_stays_as_it_was_told(sender):
    [arrival] = told(Inbound("p", sender, OURS, "Hi"))
    assert arrival.sender == sender


def test_what_can_not_be_stored_as_it_is_does_no_harm():
    [arrival] = told(Inbound("\ud800", "\ud800" + "1" * 99, OURS, "\ud800" + "x" * 100_000))
    assert arrival.provider_id is None
    assert arrival.sender == "?" + "1" * 63
    assert arrival.text == "?" + "x" * (LONGEST_TEXT - 1)


def test_one_receipt_beside_messages_that_came_in_is_the_one_that_its_token_names():
    things = [Inbound("p", THEIRS, OURS, "Hi"), Receipt("q", Status.DELIVERED)]
    [report] = reports("main", Verified(b"i" * 16), things)
    assert report.message_id == b"i" * 16
    assert [each.provider_id for each in told(*things)] == ["p"]


def test_a_wrong_token_brings_nothing_in(house):
    with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw:
        before = raw.dbsize()
        assert house.post(house.account_url() + "x", written("STOP")).status_code == 404
        assert raw.dbsize() == before
