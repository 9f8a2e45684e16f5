"""Campaigns over HTTP: founded, filled by an upload, steered, read, and told to nobody else."""

import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from ledger_world import WAKE, account_limits
from producer.campaigns.conftest import Hands
from sendline import Producer
from sendline.campaigns.importing import STRETCH
from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.errors import (
    CampaignConflict,
    CampaignExists,
    InvalidCampaign,
    UnknownCampaign,
    WrongCampaignState,
)
from sendline.contract.status import Status
from sendline.ledger import campaigns
from sendline.ledger.accounts import configure
from sendline.ledger.directory import Directory
from sendline_worker.api.problems import problem_of

SPEC = {"text": "Hi {{ name }}", "sender": "+13115552368"}
OTHER = "+13115552399"
CSV = {"Content-Type": "text/csv"}


def number(place):
    return f"+1311{5550000 + place}"


def rows(count, first=0):
    return "to,name\n" + "".join(f"{number(place)},Ada {place}\n" for place in range(first, first + count))


@pytest.fixture
def hands(ledger):
    return Hands(ledger)


@pytest.fixture
def shop(api):
    return api.client("send", "read", name="shop")


@pytest.fixture
def sale(shop):
    """A campaign of the shop without recipients."""
    assert shop.put("/v1/campaigns/sale", json=SPEC).status_code == 201
    return "/v1/campaigns/sale"


def upload(client, path, content, **named):
    return client.put(f"{path}/recipients", content=content, headers=CSV, **named)


def test_a_campaign_is_founded_filled_started_and_read(shop, sale):
    told = upload(shop, sale, rows(3)).json()
    counts = {"rows": 3, "accepted": 3, "rejected": 0, "duplicates": 0}
    assert told["campaign"]["imported"] == {**counts, "complete": True, "line": 4}
    assert (told["rejects"], told["suppressed"]) == ([], 0)
    started = shop.post(f"{sale}/start")
    assert (started.status_code, started.json()["state"]) == (200, "running")
    found = shop.get(sale, params={"estimate": True}).json()
    assert (found["spec"]["text"], found["owner"], found["waiting"]) == (SPEC["text"], "shop", 3)
    assert found["estimate"]["because"] is None
    listed = shop.get("/v1/messages", params={"campaign": "sale"}).json()["messages"]
    assert {each["to"] for each in listed} == {number(0), number(1), number(2)}


def test_founding_it_again_changes_nothing_and_another_one_of_its_name_is_refused(shop, sale, api):
    assert shop.put(sale, json=SPEC).status_code == 200
    for client in (shop, api.client("send", name="other"), api.client("admin", name="boss")):
        other = client.put(sale, json={**SPEC, "text": "Bye"})
        assert (other.status_code, other.json()["type"]) == (409, "urn:sendline:problem:conflict")
    assert upload(shop, sale, rows(2)).status_code == 200
    assert shop.put(sale, json=SPEC).status_code == 200
    assert shop.get(sale).json()["spec"]["text"] == SPEC["text"]


def test_another_keys_campaign_is_as_an_unknown_one(shop, sale, api):
    upload(shop, sale, rows(1))
    other = api.client("send", "read", name="other")
    for method, path in (
        *(("GET", ""), ("GET", "/report"), ("POST", "/start"), ("POST", "/pause"), ("POST", "/resume")),
        *(("POST", "/cancel"), ("POST", "/retry"), ("PUT", "/recipients")),
    ):
        named = {"content": rows(1), "headers": CSV} if method == "PUT" else {}
        hidden = other.request(method, f"{sale}{path}", **named)
        unknown = other.request(method, f"/v1/campaigns/none{path}", **named)
        assert hidden.status_code == unknown.status_code == 404, path
        assert hidden.content == unknown.content
    assert other.get("/v1/campaigns").json() == {"campaigns": [], "next": None}
    assert shop.get(sale).json()["state"] == "created"
    assert api.client("admin").get(sale).status_code == 200


def test_a_key_without_the_scope_touches_no_campaign(api, shop, sale):
    reader = api.client("read", name="shop")
    assert reader.put(sale, json=SPEC).status_code == 403
    assert upload(reader, sale, rows(1)).status_code == 403
    assert reader.post(f"{sale}/start").status_code == 403
    assert api.client("send", name="shop").get(sale).status_code == 403


def test_the_first_rejects_are_told_by_line_and_reason_without_the_number(shop, sale):
    bad = "to,name\n" + "".join(f"12{place},Ada\n" for place in range(30)) + f"{number(1)},Ada\n"
    told = upload(shop, sale, bad)
    assert [each["line"] for each in told.json()["rejects"]] == list(range(2, 22))
    assert told.json()["campaign"]["imported"]["rejected"] == 30
    assert "1229" not in told.text.replace(str(told.json()["campaign"]["created_at"]), "")
    again = upload(shop, sale, bad)
    assert again.json()["rejects"] == told.json()["rejects"]


def test_the_same_file_again_brings_the_same_answer_and_no_message(shop, sale):
    first, again = upload(shop, sale, rows(700)), upload(shop, sale, rows(700))
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert shop.get(sale).json()["total"] == 700
    other = upload(shop, sale, rows(701))
    assert (other.status_code, other.json()["field"]) == (409, "state")


def test_an_upload_that_is_cut_off_leaves_nothing_and_the_next_goes_on(shop, sale):
    def cut():
        yield rows(600).encode()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        shop.put(f"{sale}/recipients", content=cut(), headers=CSV)
    assert shop.get(sale).json()["imported"]["rows"] == 0
    assert upload(shop, sale, rows(600)).json()["campaign"]["total"] == 600


def test_an_import_that_stopped_in_the_middle_goes_on_with_its_file_only(shop, sale, settings, monkeypatch):
    content = rows(2 * STRETCH + 10)
    real, calls = campaigns.enlist, []

    def enlist(limits, stretch):
        calls.append(stretch.line)
        if len(calls) == 2:
            raise MemoryError
        return real(limits, stretch)

    monkeypatch.setattr(campaigns, "enlist", enlist)
    assert upload(shop, sale, content).status_code == 500
    assert shop.get(sale).json()["imported"]["rows"] == STRETCH
    other = upload(shop, sale, rows(900, first=5000))
    assert (other.status_code, other.json()["field"]) == (409, "recipients")
    assert upload(shop, sale, content).json()["campaign"]["total"] == 2 * STRETCH + 10
    with Producer(settings=settings) as producer:
        numbers = [each.to for each in producer.campaign("sale").messages()]
    assert numbers == [number(place) for place in range(2 * STRETCH + 10)]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("", "recipients"),
        ("to\n", "recipients"),
        ("a,b\n1,2\n", "recipients"),
        ("to\n+13115552367\n", "text"),
    ],
)
def test_a_file_that_can_not_be_read_changes_nothing(shop, sale, content, field):
    answer = upload(shop, sale, content)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert answer.json()["type"] == "urn:sendline:problem:invalid-campaign"
    assert "/" not in answer.json()["detail"]
    assert upload(shop, sale, rows(1)).json()["campaign"]["total"] == 1


def test_parquet_that_is_damaged_behind_its_first_rows_changes_nothing(shop, sale):
    made = io.BytesIO()
    names = [f"Ada {place}" for place in range(4000)]
    table = pa.table({"to": [number(place) for place in range(4000)], "name": names})
    parquet.write_table(table, made, row_group_size=1000, compression="snappy")
    whole = made.getvalue()
    third = parquet.ParquetFile(io.BytesIO(whole)).metadata.row_group(2).column(1).data_page_offset
    damaged = whole[:third] + b"\xff" * 200 + whole[third + 200 :]
    kind = {"Content-Type": "application/vnd.apache.parquet"}
    answer = shop.put(f"{sale}/recipients", content=damaged, headers=kind)
    assert (answer.status_code, answer.json()["field"]) == (422, "recipients")
    assert shop.get(sale).json()["imported"]["rows"] == 0
    assert shop.put(f"{sale}/recipients", content=whole, headers=kind).json()["campaign"]["total"] == 4000


def test_json_lines_are_taken_and_other_types_are_not(shop, sale):
    line = '{"to": "+13115552367", "name": "Ada"}\n'
    for kind in ("application/json", "text/plain", ""):
        refused = shop.put(f"{sale}/recipients", content=line, headers={"Content-Type": kind})
        assert refused.status_code == 415, kind
    packed = {**CSV, "Content-Encoding": "gzip"}
    assert shop.put(f"{sale}/recipients", content=line, headers=packed).status_code == 415
    taken = shop.put(
        f"{sale}/recipients", content=line, headers={"Content-Type": "application/x-ndjson; charset=utf-8"}
    )
    assert taken.json()["campaign"]["total"] == 1


def test_columns_are_named_by_parameters(shop, sale):
    content = f"phone,cell,name\n1,{number(1)},Ada\n"
    answer = upload(shop, sale, content, params={"to_column": "cell"})
    assert answer.json()["campaign"]["total"] == 1
    assert upload(shop, "/v1/campaigns/sale", content, params={"to_column": "no"}).status_code == 422


def test_a_key_with_senders_uses_no_other_one_in_a_campaign_or_in_a_row(api):
    held = api.client("send", "read", name="held", senders=("+13115552368",))
    assert held.put("/v1/campaigns/one", json={"text": "Hi"}).json()["spec"]["sender"] == "+13115552368"
    refused = held.put("/v1/campaigns/two", json={"text": "Hi", "sender": "+13115552399"})
    assert refused.status_code == 403
    mixed = f"to,sender\n{number(1)},+13115552368\n{number(2)},+13115552399\n"
    told = upload(held, "/v1/campaigns/one", mixed).json()
    assert told["campaign"]["total"] == 1
    assert told["rejects"] == [{"line": 3, "reason": "sender: the API key may not use it"}]
    free = api.client("send", name="held")
    free.put("/v1/campaigns/three", json={"text": "Hi", "sender": "+13115552399"})
    assert upload(held, "/v1/campaigns/three", mixed).status_code == 403


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (UnknownCampaign, (404, "not-found")),
        (CampaignConflict, (409, "conflict")),
        (CampaignExists, (409, "conflict")),
        (WrongCampaignState, (409, "conflict")),
        (InvalidCampaign, (422, "invalid-campaign")),
    ],
)
def test_the_status_follows_from_the_kind_of_error(kind, told):
    problem = problem_of(kind("name", "whatever it says"))
    assert (problem.status, problem.kind.slug) == told


def test_steering_from_the_wrong_state_is_a_conflict_that_names_it(shop, sale):
    upload(shop, sale, rows(1))
    refused = shop.post(f"{sale}/resume")
    assert (refused.status_code, refused.json()["field"]) == (409, "state")
    assert "sale is created" in refused.json()["detail"]
    assert shop.post(f"{sale}/start", params={"at": "2020-01-01T00:00:00Z"}).status_code == 422
    assert shop.post(f"{sale}/start", params={"at": "2026-01-01T00:00:00"}).status_code == 422
    assert shop.post(f"{sale}/start").json()["state"] == "running"
    assert shop.post(f"{sale}/pause").json()["state"] == "paused"
    assert shop.post(f"{sale}/resume").json()["state"] == "running"
    assert shop.post(f"{sale}/cancel").json()["state"] == "canceled"
    assert shop.post(f"{sale}/start").status_code == 409
    assert upload(shop, sale, rows(3)).status_code == 409


def test_campaigns_are_listed_page_by_page_each_once_the_newest_first(shop, api):
    names = [f"c{place}" for place in range(7)]
    for name in names:
        assert shop.put(f"/v1/campaigns/{name}", json=SPEC).status_code == 201
        assert api.client("send", name="other").put(f"/v1/campaigns/x{name}", json=SPEC).status_code == 201
    found, cursor = [], None
    while True:
        page = shop.get("/v1/campaigns", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [each["name"] for each in page["campaigns"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == names[::-1]
    assert len(api.client("admin").get("/v1/campaigns").json()["campaigns"]) == 14
    for wrong in ("x", "MTIz", "é", "==="):
        assert shop.get("/v1/campaigns", params={"cursor": wrong}).status_code == 422


def test_who_failed_is_sent_to_once_more_by_a_campaign_of_the_same_owner(shop, sale, api, hands):
    upload(shop, sale, rows(2))
    nobody = shop.post(f"{sale}/retry")
    assert (nobody.status_code, nobody.json()["field"]) == (409, "name")
    assert shop.post(f"{sale}/retry", params={"new_name": "-"}).status_code == 422
    shop.post(f"{sale}/start")
    first, second = hands.claim()
    hands.settle([first], Status.FAILED, code="rejected")
    hands.settle([second])
    made = api.client("admin", name="boss").post(f"{sale}/retry")
    assert (made.status_code, made.headers["location"]) == (201, "/v1/campaigns/sale.2")
    assert (made.json()["owner"], made.json()["total"], made.json()["state"]) == ("shop", 1, "created")
    again = shop.post(f"{sale}/retry")
    assert (again.status_code, again.json()["field"]) == (409, "name")
    assert "sale.2" in again.json()["detail"]


def test_the_report_has_a_row_for_each_recipient(shop, sale):
    assert shop.get(f"{sale}/report").text.count("\r\n") == 1
    upload(shop, sale, rows(1200))
    answer = shop.get(f"{sale}/report")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="sale.csv"'
    lines = answer.text.splitlines()
    assert lines[0].startswith("id,to,status")
    assert [line.split(",")[1] for line in lines[1:]] == [number(place) for place in range(1200)]


def test_a_wrong_spec_is_refused_with_its_field_named_and_founds_nothing(shop):
    for field, wrong in (
        *(("text", "{{"), ("sender", "?"), ("account", "none"), ("window", "never"), ("default_zone", "X")),
        *(("valid_for", 0), ("pause_at", 7), ("price", "much"), ("callback_url", "ftp://x"), ("weight", 0)),
        *(("on_uncertain", "maybe"), ("extra", 1), ("pause_over", 1), ("keep_duplicates", "yes")),
    ):
        answer = shop.put("/v1/campaigns/wrong", json={**SPEC, field: wrong})
        assert (answer.status_code, answer.json()["field"].split(".")[0]) == (422, field), field
    assert shop.put("/v1/campaigns/-wrong", json=SPEC).status_code == 422
    assert shop.get("/v1/campaigns/wrong").status_code == 404


def test_a_round_is_made_beside_another_keys_campaign_of_its_name(shop, sale, api, hands):
    other = api.client("send", "read", name="other")
    assert other.put("/v1/campaigns/sale.2", json=SPEC).status_code == 201
    assert upload(other, "/v1/campaigns/sale.2", rows(1, first=900)).status_code == 200
    upload(shop, sale, rows(1))
    shop.post(f"{sale}/start")
    hands.settle(hands.claim(), Status.FAILED, code="rejected")
    made = shop.post(f"{sale}/retry")
    assert (made.status_code, made.json()["name"]) == (201, "sale.3")


def test_a_key_that_is_bound_sends_no_other_senders_rows_again(shop, sale, api, hands):
    card = AccountCard("main", Capabilities(), (SPEC["sender"], OTHER))
    directory = json.dumps(Directory({"main": card}, ()).to_plain())
    api.ledger.run(configure(api.limits, directory, WAKE, [account_limits("main")]))
    content = f"to,name,sender\n{number(0)},Ada,{SPEC['sender']}\n{number(1)},Bob,{OTHER}\n"
    assert upload(shop, sale, content).json()["campaign"]["total"] == 2
    shop.post(f"{sale}/start")
    for _ in range(2):
        hands.settle(hands.claim(), Status.FAILED, code="rejected")
    bound = api.client("send", "read", name="shop", senders=(SPEC["sender"],))
    made = bound.post(f"{sale}/retry").json()
    assert (made["total"], made["imported"]["rejected"]) == (1, 1)
    [sent] = bound.get("/v1/messages", params={"campaign": made["name"]}).json()["messages"]
    assert sent["sender"] == SPEC["sender"]
