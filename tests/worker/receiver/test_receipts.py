"""Receipts over HTTP: each moves the message that it means, once, and only as the table allows."""

import json
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline_worker.accounts import load_accounts
from sendline_worker.providers.base import Answer
from worker.receiver.house import KEY, data, event, housed, new_provider_id


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path) as house:
        yield house


SHAPES = [
    (lambda pid: event(pid, delivered=True), Status.DELIVERED, None),
    (lambda pid: data(pid, "delivered"), Status.DELIVERED, None),
    (lambda pid: data(pid, "delivery_failed"), Status.UNDELIVERED, ErrorCode.REJECTED),
]


@pytest.mark.parametrize(("body", "status", "code"), SHAPES)
def test_a_receipt_moves_the_message_with_its_providers_id(house, body, status, code):
    provider_id = new_provider_id()
    message_id, another = house.sent(provider_id), house.sent(new_provider_id())
    answer = house.post(house.account_url(), body(provider_id))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    message = house.message(message_id)
    assert (message.status, message.error) == (status, code)
    assert house.status(another) == Status.SENT
    assert house.app.state.counts == {"applied": 1}


SPELLINGS = {
    "in upper case": ("9f8b7c6d-0123-4567-89ab-cdef01234567", "9F8B7C6D-0123-4567-89AB-CDEF01234567"),
    "in braces": ("9f8b7c6d-0123-4567-89ab-cdef01234567", "{9F8B7C6D-0123-4567-89AB-CDEF01234567}"),
    "as a URN": ("9f8b7c6d-0123-4567-89ab-cdef01234567", "urn:uuid:9f8b7c6d-0123-4567-89ab-cdef01234567"),
    "without hyphens": ("9f8b7c6d-0123-4567-89ab-cdef01234567", "9f8b7c6d0123456789abcdef01234567"),
    "of digits, without hyphens": (
        "00000000-0000-0000-0000-000000000012",
        "00000000000000000000000000000012",
    ),
    "with leading zeros": ("4711", " 0004711\n"),
    "without the leading zeros": ("0004711", "4711"),
}


@pytest.mark.parametrize(("told", "reported"), SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    "shape", [lambda each: event(each, delivered=True), lambda each: data(each, "delivered")]
)
def test_a_receipt_finds_its_message_however_the_id_is_written(house, told, reported, shape):
    answer = Answer(200, {}, json.dumps({"success": True, "payload": {"uuid": told}}).encode())
    accepted = load_accounts(house.settings)["main"].adapter.judge(answer)
    message_id = house.sent(accepted.provider_id)
    house.post(house.account_url(), shape(reported))
    assert house.status(message_id) == Status.DELIVERED


@pytest.mark.parametrize(("body", "status", "code"), SHAPES)
def test_a_token_names_the_message_and_its_providers_id_is_learned(house, body, status, code):
    provider_id = new_provider_id()
    message_id = house.sent()
    assert house.post(house.message_url(message_id), body(provider_id)).status_code == 200
    message = house.message(message_id)
    assert (message.status, message.error, message.provider_id) == (status, code, provider_id)


def test_a_receipt_by_token_settles_a_message_whose_answer_we_never_saw(house):
    claim, provider_id = house.sending(), new_provider_id()
    house.post(house.message_url(claim.message_id), event(provider_id))
    assert house.status(claim.message_id) == Status.SENT
    house.post(house.account_url(), data(provider_id, "delivered"))
    assert house.status(claim.message_id) == Status.DELIVERED
    house.settle(claim, provider_id)
    assert house.status(claim.message_id) == Status.DELIVERED


def test_a_receipt_that_comes_before_its_id_is_known_is_applied_when_it_is(house):
    claim, provider_id = house.sending(), new_provider_id()
    assert house.post(house.account_url(), data(provider_id, "delivered")).status_code == 200
    assert house.app.state.counts == {"parked": 1}
    assert house.status(claim.message_id) == Status.SENDING
    assert house.settle(claim, provider_id) == "settled"
    assert house.status(claim.message_id) == Status.DELIVERED


def test_news_that_moves_nothing_still_teaches_the_providers_id(house):
    message_id, provider_id = house.sent(), new_provider_id()
    house.post(house.message_url(message_id), event(provider_id, "pending"))
    assert house.message(message_id).provider_id == provider_id
    assert house.status(message_id) == Status.SENT


def test_a_receipt_twice_counts_once(house):
    provider_id = new_provider_id()
    message_id = house.sent(provider_id)
    house.post(house.account_url(), data(provider_id, "delivered"))
    with house.unmoved():
        for url in (house.account_url(), house.message_url(message_id)):
            assert house.post(url, data(provider_id, "delivered")).status_code == 200


@pytest.mark.parametrize("late", ["sent", "delivery_failed", "queued"])
def test_nothing_that_comes_after_a_delivery_undoes_it(house, late):
    provider_id = new_provider_id()
    message_id = house.sent(provider_id)
    house.post(house.account_url(), data(provider_id, "delivered"))
    with house.unmoved():
        assert house.post(house.account_url(), data(provider_id, late)).status_code == 200
    assert house.status(message_id) == Status.DELIVERED


def test_a_delivery_corrects_an_earlier_failure(house):
    provider_id = new_provider_id()
    message_id = house.sent(provider_id)
    house.post(house.account_url(), data(provider_id, "delivery_failed"))
    house.post(house.account_url(), data(provider_id, "delivered"))
    assert house.status(message_id) == Status.DELIVERED


def test_the_token_decides_where_the_body_names_another_message(house):
    one_id, two_id = new_provider_id(), new_provider_id()
    one, two = house.sent(one_id), house.sent(two_id)
    house.post(house.message_url(one), data(two_id, "delivered"))
    assert (house.status(one), house.status(two)) == (Status.DELIVERED, Status.SENT)
    assert house.message(one).provider_id == one_id


def test_a_token_is_not_taken_for_all_the_messages_that_a_body_names(house):
    provider_ids = [new_provider_id() for _ in range(3)]
    messages = [house.sent(each, "plain") for each in provider_ids]
    unnamed = house.sent(account="plain")
    url = f"{house.message_url(unnamed, 'plain')}?status=delivered&id={','.join([*provider_ids[:2], ''])}"
    assert house.client.get(url).status_code == 200
    assert [house.status(each) for each in messages] == [Status.DELIVERED, Status.DELIVERED, Status.SENT]
    assert (house.status(unnamed), house.message(unnamed).provider_id) == (Status.SENT, None)
    assert house.app.state.counts == {"applied": 2}


def test_a_provider_may_report_by_get_and_query(house):
    message_id = house.sent("abc", "plain")
    answer = house.client.get(house.account_url("plain"), params={"id": "abc", "status": "delivered"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert house.status(message_id) == Status.DELIVERED


def test_more_receipts_than_one_call_takes_are_all_stored(house):
    provider_ids = [f"p{number}" for number in range(700)]
    messages = [house.sent(each, "plain") for each in provider_ids]
    url = f"{house.account_url('plain')}?status=delivered&id={','.join(provider_ids)}"
    assert house.client.get(url).status_code == 200
    assert house.app.state.counts == {"applied": 700}
    assert {house.status(each) for each in messages} == {Status.DELIVERED}


def test_tokens_of_the_old_key_hold_while_it_is_configured(tmp_path):
    new = SecretStr("n" * 32)
    with housed(tmp_path / "1", keys=[KEY]) as house:
        old_url = house.urls.account_url("main")
    with housed(tmp_path / "2", keys=[new, KEY]) as house:
        message_id = house.sent("abc")
        assert house.account_url() != house.here(old_url)
        assert house.post(house.here(old_url), data("abc", "delivery_failed")).status_code == 200
        assert house.status(message_id) == Status.UNDELIVERED
        assert house.post(house.account_url(), data("abc", "delivered")).status_code == 200
        assert house.status(message_id) == Status.DELIVERED
    with housed(tmp_path / "3", keys=[new]) as house:
        house.sent("abc")
        with house.unmoved():
            assert house.post(house.here(old_url), data("abc", "delivered")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"data": "\xe9"}',
        b"[" * 100_000,
        b"[]",
        b"null",
        b'{"hello": "world"}',
        json.dumps({"data": {"payload": {"id": "abc", "to": []}}}).encode(),
        json.dumps({"data": {"payload": {"id": 5, "to": [{"status": "delivered"}]}}}).encode(),
        b'{"data": {"payload": {"id": "\\ud800", "to": [{"status": "delivered"}]}}}',
    ],
)
def test_what_is_in_no_known_shape_is_kept_once_counted_and_changes_nothing(house, body):
    house.sent("abc")
    with house.unmoved(rejected=1):
        assert house.post(house.account_url(), body).status_code == 200
    assert house.app.state.counts == {"unreadable": 1}


def test_a_provider_that_reports_nothing_is_not_believed_either(house):
    message_id = house.sent(account="flows")
    with house.unmoved(rejected=1):
        answer = house.post(house.message_url(message_id, "flows"), data("abc", "delivered"))
    assert answer.status_code == 200
    assert house.app.state.counts == {"unreadable": 1}


def test_what_may_have_come_in_or_gone_out_moves_nothing(house):
    house.sent("abc")
    inbound = data("abc", "delivered")
    inbound["data"]["payload"]["direction"] = "inbound"
    with house.unmoved(rejected=1):
        assert house.post(house.account_url(), inbound).status_code == 200
    assert house.app.state.counts == {"unreadable": 1}


@pytest.mark.parametrize("reason", ["\ud800", "long" * 1000])
def test_a_reason_that_can_not_be_stored_as_it_is_does_no_harm(house, reason):
    message_id = house.sent("abc", "plain")
    params = {"id": "abc", "status": "undelivered", "reason": json.dumps(reason)}
    assert house.client.get(house.account_url("plain"), params=params).status_code == 200
    assert house.status(message_id) == Status.UNDELIVERED
    assert len(house.message(message_id).timeline[-1].reason) <= 120


def test_an_adapters_fault_is_ours_so_the_provider_shall_try_again(house):
    house.sent("abc", "plain")
    with house.unmoved(rejected=1):
        assert house.client.get(house.account_url("plain"), params={"boom": "1"}).status_code == 500
    assert house.app.state.counts == {"fault": 1}


def forgeries(house, message_id, another):
    """What a stranger, or a provider that mixes things up, might send to."""
    good, own = house.account_url(), house.message_url(message_id)
    named, signature = own.rpartition("/")[2].split(".")
    other_named = house.message_url(another).rpartition("/")[2].split(".")[0]
    base = f"{house.url}/receipts"
    return {
        "wrong token": f"{base}/main/{'a' * 43}",
        "unknown account": f"{base}/nobody/{good.rpartition('/')[2]}",
        "account that is not configured": house.here(house.urls.account_url("gone")),
        "account that is not configured, its message": house.message_url(message_id, "gone"),
        "other account's token": f"{base}/main/{house.account_url('other').rpartition('/')[2]}",
        "other message's signature": f"{base}/main/{other_named}.{signature}",
        "no signature": f"{base}/main/{named}",
        "no id": f"{base}/main/.{signature}",
        "no token": f"{base}/main/",
        "slash behind": good + "/",
        "dots": f"{base}/other/../main/{good.rpartition('/')[2]}x",
        "encoded": f"{base}/main/{quote(good.rpartition('/')[2] + chr(0), safe='')}",
        "long": f"{base}/main/{'a' * 8000}",
        "other case": good.replace("/main/", "/MAIN/"),
        "elsewhere": f"{house.url}/receipt",
    }


def test_a_wrong_token_is_told_nothing_and_changes_nothing(house):
    message_id, another = house.sent("abc"), house.sent("def")
    answers = set()
    with house.unmoved():
        for what, url in forgeries(house, message_id, another).items():
            answer = house.post(url, data("abc", "delivered"))
            assert answer.status_code == 404, what
            answers.add((answer.text, answer.headers["content-type"]))
    assert answers == {('{"error":"not found"}', "application/json")}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_other_methods_find_nothing(house, method):
    house.sent("abc", "plain")
    url = f"{house.account_url('plain')}?id=abc&status=delivered"
    with house.unmoved():
        assert house.client.request(method, url).status_code == 404
    if method != "HEAD":
        assert house.client.request(method, f"{house.url}/health").status_code == 404


def test_a_token_signed_for_an_account_does_not_reach_another_accounts_message(house):
    house_message = house.sent("abc", "main")
    with house.unmoved():
        url = house.message_url(house_message, "other")
        assert house.post(url, data("abc", "delivered")).status_code == 200
        assert house.post(house.message_url(bytes(16)), data("xyz", "delivered")).status_code == 200
    assert house.app.state.counts == {"foreign": 1, "unknown": 1}


def test_a_stranger_with_an_accounts_url_can_not_reach_another_accounts_ids(house):
    message_id = house.sent("abc", "main")
    house.post(house.account_url("other"), data("abc", "delivered"))
    assert house.app.state.counts == {"parked": 1}
    assert house.status(message_id) == Status.SENT


def test_logs_hold_accounts_and_outcomes_and_nothing_of_what_was_sent(house, caplog):
    caplog.set_level("DEBUG")
    provider_id = new_provider_id()
    message_id = house.sent(provider_id)
    url = house.message_url(message_id)
    house.post(url, data(provider_id, "delivered"))
    house.post(house.account_url(), b'{"secret": "4711')
    house.post(house.account_url(), b"x" * 300_000)
    house.client.get(house.account_url("plain"), params={"boom": "4711"})
    house.post(house.account_url() + "x", b"4711")
    house.raw(b"GET /receipts/4711 4711\r\n\r\n")
    lines = [r.getMessage() + str(r.exc_text) for r in caplog.records if not r.name.startswith("http")]
    ours = [record.getMessage() for record in caplog.records if record.name == "sendline.receiver"]
    assert ours == [
        "account main: receipts: 1 applied",
        "account main: a request with receipts: unreadable, 16 bytes",
        "account main: a request with receipts: its body is too large",
        "account plain: its adapter failed: ZeroDivisionError",
    ]
    everything = "\n".join(lines)
    for secret in ("4711", "receipts/", "311555", provider_id, url[-20:], house.account_url()[-20:]):
        assert secret not in everything
