"""What `sendline check` says of webhooks that go out unsigned, and of endpoints that are stopped."""

import pytest

from sendline.ledger import notices
from sendline.ledger.notices import Outcome
from sendline.settings import Settings
from sendline_worker.accounts import load_accounts
from sendline_worker.checks.webhooks import NAMED, check_endpoints, check_signing
from sendline_worker.cli.main import main

SECRET = "whsec_" + "A" * 43 + "="
URL = "https://app.example/hooks?key=hidden"


def signing(url, **settings):
    account = {"provider": "opentact", "base_url": "http://127.0.0.1:9", "api_key": "x" * 16}
    loaded = Settings(
        redis_url="redis://127.0.0.1:9", accounts={"main": account | {"callback_url": url}}, **settings
    )
    return [(each.level, each.message, each.fix) for each in check_signing(loaded, load_accounts(loaded))]


def test_an_account_whose_webhooks_go_out_unsigned_is_a_warning():
    [(level, told, fix)] = signing(URL)
    assert level == "warn"
    assert told.startswith("main: callback_url is set and webhook_secret is not")
    assert "webhook_secret" in fix
    assert "hidden" not in told + fix


@pytest.mark.parametrize(("url", "settings"), [(None, {}), (URL, {"webhook_secret": SECRET})])
def test_where_nothing_is_told_or_all_of_it_is_signed_there_is_nothing_to_say(url, settings):
    assert signing(url, **settings) == []


def stop(world, *urls):
    for url in urls:
        world.accept(callback_url=url)
    parcels = world.ledger.run(notices.take_notices(world.limits, most=100, lease=60, most_each=100)).parcels
    gone = [Outcome(each, 0, "gone", reason="answered 410: it is gone for good") for each in parcels]
    world.ledger.run(notices.told(world.limits, gone, kept_for=3600))
    return [each.mark for each in parcels]


def test_a_stopped_endpoint_is_named_with_how_to_resume_it(world, settings):
    world.configure("main")
    [mark] = stop(world, URL)
    world.accept(callback_url="https://well.example/")
    [told] = check_endpoints(settings, world.ledger)
    assert told.level == "warn"
    assert told.message.startswith(
        f"endpoint {mark} (https://app.example/hooks) is stopped since 2023-11-14T"
    )
    assert told.message.endswith(": answered 410: it is gone for good")
    assert f"`sendline webhooks resume {mark}`" in told.fix


def test_the_command_shows_both(world, redis_url, monkeypatch, capsys):
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)
    account = {"PROVIDER": "opentact", "BASE_URL": "http://127.0.0.1:9", "API_KEY": "x" * 16}
    for name, value in (account | {"CALLBACK_URL": URL}).items():
        monkeypatch.setenv(f"SENDLINE_ACCOUNTS__MAIN__{name}", value)
    world.configure("main")
    stop(world, URL)
    main(["check"])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warn webhooks")]
    assert len(said) == 2
    assert "webhook_secret" in said[0]
    assert "is stopped" in said[1]
    assert "hidden" not in "".join(said)


def test_of_very_many_only_some_are_named(world, settings):
    world.configure("main")
    stop(world, *(f"https://app.example/{number}" for number in range(NAMED + 2)))
    *named, rest = check_endpoints(settings, world.ledger)
    assert len(named) == NAMED
    assert rest.message == "2 more endpoints are stopped"
    assert "--failing" in rest.fix
