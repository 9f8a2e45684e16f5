"""docs/api.md shows campaigns, accounts and the rest by commands that work."""

import re

import pytest

from sendline_worker.api import campaigns_models, events, importing, uploads
from worker.api.test_documented import carry_out, section

CHAPTERS = (
    *("## Campaigns", "## Accounts", "## Suppressions", "## Erase a number"),
    "## Drop-in",
)


def commands(chapter):
    return re.findall(r"(?m)^\$ (curl .+)$", section(chapter).replace("\\\n", " "))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_command_is_answered_in_its_turn(api, chapter, new):
    admin = api.client("admin", name="shop")
    authorization = admin.headers["Authorization"]
    message_id = admin.post("/v1/messages", json=new).json()["id"]
    for command in commands(chapter):
        if " -T " in command:
            url = re.search(r"https://\S+", command)[0].replace("https://sms.example.com", api.url)
            body, kind = "to,name\n+13115552367,Ada\n", {"Content-Type": "text/csv"}
            answer = admin.put(url, content=body, headers=kind)
        else:
            told = command.replace("$ID", message_id).replace(" -o report.csv", "")
            answer = carry_out(api, told, authorization)
        assert answer.status_code < 300 or (answer.status_code == 409 and "/retry" in command), command


def test_every_field_of_a_campaign_is_named():
    told = section("## Campaigns").partition("Its fields are")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", told)) == set(campaigns_models.NewCampaign.model_fields)


def test_the_bounds_are_those_in_force():
    assert f"{uploads.STALL:g} s without progress" in section("## Campaigns")
    assert f"the first {uploads.SHOWN} rows" in section("## Campaigns")
    assert importing.AT_ONCE == 4
    told = section("## Events")
    assert f"every {events.KEEP_ALIVE:g} s" in told
    assert f"A process holds {events.MOST} streams" in told
    assert f"for {events.SLOW:g} s is cut off" in told
    assert f"after {events.RETRY_MS // 1000} s" in told
