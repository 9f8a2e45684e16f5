"""What admins do: accounts, the suppression list, erasing a number."""

import json
import logging
import shutil
from datetime import UTC, datetime

import pytest

from sendline.contract.draft import Rules, draft
from sendline.contract.ids import new_id
from sendline.ledger.accounts import halt
from sendline.ledger.limits import Limits
from sendline.ledger.suppression import suppress
from sendline.settings import Settings
from sendline.spool import Entry, SpoolDirectory
from sendline_worker.cli.main import main
from worker.api.conftest import served

NUMBER = "+13115552367"


@pytest.fixture
def admin(api):
    return api.client("admin")


def test_every_route_of_admins_is_closed_to_other_keys(api):
    other = api.client("send", "read")
    for method, path in (
        *(("GET", "/v1/accounts"), ("GET", "/v1/accounts/main"), ("PATCH", "/v1/accounts/main")),
        *(("POST", "/v1/accounts/main/pause"), ("POST", "/v1/accounts/main/resume")),
        *(("GET", "/v1/suppressions"), ("GET", f"/v1/suppressions/{NUMBER}")),
        *(("PUT", f"/v1/suppressions/{NUMBER}"), ("DELETE", f"/v1/suppressions/{NUMBER}")),
        ("DELETE", f"/v1/recipients/{NUMBER}"),
    ):
        assert other.request(method, path).status_code == 403, (method, path)
        assert api.client().request(method, path).status_code == 401, (method, path)


# Accounts


def steady(told):
    """Leave out what the clock changes."""
    return {
        name: value for name, value in told.items() if name not in {"again_in", "oldest_waiting", "oldest"}
    }


def test_accounts_are_told_as_the_command_line_tells_them(admin, monkeypatch, capsys, redis_url):
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)
    assert main(["accounts", "--json"]) == 0
    told = admin.get("/v1/accounts")
    assert told.status_code == 200
    assert told.json() == json.loads(capsys.readouterr().out)
    [account] = told.json()["accounts"]
    assert steady(admin.get("/v1/accounts/main").json()) == steady(account)


def test_an_account_that_nobody_knows_is_not_found(admin):
    for method, path in (("GET", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert admin.request(method, f"/v1/accounts/none{path}").status_code == 404
    assert admin.patch("/v1/accounts/none", json={"rate": 5}).status_code == 404


def test_an_account_is_paused_and_goes_on(admin):
    paused = admin.post("/v1/accounts/main/pause", params={"reason": "an outage"}).json()
    assert (paused["state"], paused["paused_by"], paused["cause"]) == ("paused", "person", "an outage")
    assert admin.post("/v1/accounts/main/resume").json()["paused_by"] is None


def test_limits_are_adjusted_at_once_and_taken_back(admin):
    told = admin.patch("/v1/accounts/main", json={"rate": 5, "daily_cap": 100}).json()
    assert (told["limits"]["rate"], told["limits"]["daily_cap"]) == (5, 100)
    assert told["adjusted"]["rate"] == {"in_force": 5, "configured": 1000}
    told = admin.patch("/v1/accounts/main", json={"rate": None, "daily_cap": 0}).json()
    assert (told["limits"]["rate"], told["limits"]["daily_cap"]) == (1000, None)
    assert told["adjusted"].keys() == {"daily_cap"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "body"),
        ({"rate": 0}, "rate"),
        ({"rate": 20_000}, "rate"),
        ({"rate": "5"}, "rate"),
        ({"burst": 1.5}, "burst"),
        ({"in_flight": -1}, "in_flight"),
        ({"speed": 1}, "speed"),
        ({"sender_burst": 3}, "sender_burst"),
    ],
)
def test_a_limit_that_can_not_be_is_refused_with_its_name(admin, changes, field):
    answer = admin.patch("/v1/accounts/main", json=changes)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert admin.get("/v1/accounts/main").json()["adjusted"] == {}


def test_what_was_paused_on_the_command_line_is_told_here(admin, ledger):
    ledger.run(halt(Limits(), "main", "said so"))
    assert admin.get("/v1/accounts/main").json()["cause"] == "said so"


# Suppressions


def test_a_number_is_put_on_the_list_read_and_taken_off(admin, api, new):
    path = f"/v1/suppressions/{NUMBER}"
    assert admin.get(path).status_code == 404
    added = admin.put(path, params={"reason": "asked by mail"})
    assert (added.status_code, added.json()["why"]) == (201, "asked by mail")
    again = admin.put(path)
    assert (again.status_code, again.json()) == (200, added.json())
    assert admin.get(f"/v1/suppressions/%2B{NUMBER[1:]}").json() == added.json()
    sent = api.client("send").post("/v1/messages", json={**new, "to": NUMBER})
    assert sent.json()["status"] == "suppressed"
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404


def test_the_list_is_read_whole_by_its_cursor(admin, ledger):
    numbers = {f"+1311{5550000 + place}" for place in range(2500)}
    for start in range(0, 2500, 500):
        ledger.run(suppress(Limits(), sorted(numbers)[start : start + 500], "said so"))
    found, cursor, pages = set(), None, 0
    while True:
        page = admin.get("/v1/suppressions", params={"cursor": cursor} if cursor else {}).json()
        found |= {each["number"] for each in page["suppressions"]}
        pages += 1
        cursor = page["next"]
        if cursor is None:
            break
    assert (found, page["number"]) == (numbers, 2500)
    assert pages > 1


def test_what_is_no_number_is_refused_without_repeating_it(admin):
    for method, path in (
        *(("GET", "/v1/suppressions/"), ("PUT", "/v1/suppressions/"), ("DELETE", "/v1/suppressions/")),
        ("DELETE", "/v1/recipients/"),
    ):
        answer = admin.request(method, f"{path}12345secret")
        assert (answer.status_code, answer.json()["field"]) == (422, "number")
        assert "secret" not in answer.text
    assert admin.put(f"/v1/suppressions/{NUMBER}", params={"reason": "inbound"}).status_code == 422
    for cursor in ("x", "-1", "9" * 20, "9" * 21):
        assert admin.get("/v1/suppressions", params={"cursor": cursor}).status_code == 422


# Erasing


def test_all_that_is_kept_of_a_number_is_erased(admin, api, new):
    sent = api.client("send").post("/v1/messages", json=new).json()
    erased = admin.delete(f"/v1/recipients/{new['to']}")
    assert (erased.status_code, erased.json()["messages"], erased.json()["canceled"]) == (200, 1, 1)
    left = admin.get(f"/v1/messages/{sent['id']}").json()
    assert new["to"] not in json.dumps(left)
    assert admin.get("/v1/messages", params={"to": new["to"]}).json()["messages"] == []
    assert admin.delete(f"/v1/recipients/{new['to']}").json()["messages"] == 0


def test_it_goes_from_the_spool_of_the_apis_machine_too(redis_url, ledger, publish, tmp_path):
    publish("main")
    spool = SpoolDirectory(tmp_path / "spool", 10)
    drafts = [draft(new_id(), {"to": NUMBER, "text": text}, Rules(), datetime.now(UTC)) for text in "ab"]
    spool.keep([Entry(each, round(datetime.now(UTC).timestamp() * 1000)) for each in drafts])
    with served(Settings(redis_url=redis_url, spool_dir=spool.path), ledger) as api:
        admin = api.client("admin")
        spool.path.chmod(0o777)
        refused = admin.delete(f"/v1/recipients/{NUMBER}")
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:sendline:problem:conflict")
        assert "spool_dir" in refused.json()["detail"]
        spool.path.chmod(0o700)
        erased = admin.delete(f"/v1/recipients/{NUMBER}").json()
        assert (erased["canceled"], erased["spooled"], erased["spool_left"]) == (2, 2, 0)
        shutil.rmtree(spool.path)
        assert admin.delete(f"/v1/recipients/{NUMBER}").json()["spooled"] == 0
    assert not spool.path.exists()


def test_an_opt_out_may_be_kept(admin):
    path = f"/v1/suppressions/{NUMBER}"
    admin.put(path)
    kept = admin.delete(f"/v1/recipients/{NUMBER}", params={"keep_opt_out": True})
    assert kept.json()["opted_out"] is False
    assert admin.get(path).status_code == 200
    assert admin.delete(f"/v1/recipients/{NUMBER}").json()["opted_out"] is True
    assert admin.get(path).status_code == 404


def test_a_number_in_a_path_reaches_no_log(admin, caplog):
    with caplog.at_level(logging.DEBUG):
        admin.put(f"/v1/suppressions/{NUMBER}")
        admin.get(f"/v1/suppressions/{NUMBER}")
        admin.delete(f"/v1/recipients/{NUMBER}")
        admin.delete(f"/v1/recipients/{NUMBER}/x")
        admin.post(f"/v1/recipients/{NUMBER}")
    ours = [each.getMessage() for each in caplog.records if each.name.startswith(("sendline", "uvicorn"))]
    assert any("/v1/recipients/{number}" in line for line in ours)
    assert all(NUMBER[1:] not in line for line in ours)
