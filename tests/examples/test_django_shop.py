"""The shop: under gunicorn with two forks, told by Sendline's webhooks."""

import itertools
import json
import re
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from hooked_app import SECRETS
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("django_shop")]

GUNICORN = (
    *("-m", "gunicorn", "--workers", "2", "--no-control-socket", "--bind", "127.0.0.1:PORT"),
    "django_shop.settings:application()",
)
HOOK = {"SHOP_WEBHOOK_URL": "http://127.0.0.1:PORT/sendline/"}
NAMES = (f"customer{place}" for place in itertools.count())
NUMBERS = (f"+13115551{place:03d}" for place in itertools.count(100))
GOOD, DECLINED = "4111111111111111", "4111111111111112"


@pytest.fixture(scope="module")
def environment(place):
    return {
        "DJANGO_SETTINGS_MODULE": "django_shop.settings",
        "SHOP_DEV": "1",
        "SHOP_DB": str(place / "shop.sqlite3"),
        "SENDLINE_WEBHOOK_SECRET": SECRETS[0],
    }


@pytest.fixture(scope="module")
def shop(example, environment, redis_of):
    """The shop's folder; its tables are made."""
    made = example(".", **environment, **redis_of)
    migrated = made.run("-m", "django", "migrate", "--run-syncdb", "--verbosity", "0")
    assert migrated.returncode == 0, migrated.stderr
    return made


@pytest.fixture(scope="module")
def app(shop):
    with shop.served(*GUNICORN, **HOOK) as client:
        yield client


@pytest.fixture
def browser(app):
    """A client without cookies."""
    app.cookies.clear()
    return app


def submit(browser, path, **fields):
    """Load the page with the form, and send it back filled in."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(path).text)[1]
    return browser.post(path, data={"csrfmiddlewaretoken": token, **fields})


def sign_up(browser, number):
    password = "a long and winding road"
    return submit(browser, "/", username=next(NAMES), number=number, password1=password, password2=password)


def texts_to(simulator, number):
    return [entry.text for entry in simulator.whole_log() if entry.recipient == number]


def text_status(browser, placed):
    return re.search(r'id="status">([\w ]+)<', browser.get(placed).text)[1]


def test_a_customer_is_welcomed_and_sees_the_text_about_an_order_delivered(browser, simulator):
    number = next(NUMBERS)
    assert sign_up(browser, number).headers["location"] == "/orders/"
    answer = submit(browser, "/orders/", item="A book", card=GOOD)
    assert answer.status_code == 302
    placed = answer.headers["location"]

    poll(lambda: text_status(browser, placed) == "delivered", timeout=15, every=0.1)

    poll(lambda: len(texts_to(simulator, number)) == 2, timeout=10)
    order = placed.strip("/").rpartition("/")[2]
    assert sorted(texts_to(simulator, number)) == [
        f"Thank you! Your order {order} is on its way.",
        "Welcome to the shop!",
    ]


def test_an_order_that_is_rolled_back_sends_nothing(browser, simulator, producer):
    number = next(NUMBERS)
    sign_up(browser, number)
    poll(lambda: texts_to(simulator, number), timeout=10)
    before = producer.counts()["accepted"]
    answer = submit(browser, "/orders/", item="A book", card=DECLINED)
    assert (answer.status_code, "Your card was declined." in answer.text) == (422, True)
    assert producer.counts()["accepted"] == before


def test_nobody_sees_the_order_of_another_nor_posts_without_a_token(browser):
    sign_up(browser, next(NUMBERS))
    placed = submit(browser, "/orders/", item="A secret", card=GOOD).headers["location"]
    assert browser.post("/orders/", data={"item": "A book", "card": GOOD}).status_code == 403
    browser.cookies.clear()
    assert browser.get(placed).status_code == 302
    sign_up(browser, next(NUMBERS))
    assert browser.get(placed).status_code == 404


@pytest.mark.parametrize("number", ["hello", "+1312", "3115552367"])
def test_a_wrong_number_is_told_at_the_sign_up(browser, number):
    answer = sign_up(browser, number)
    assert (answer.status_code, "Write it as +13115552367." in answer.text) == (422, True)


def event(order, status):
    return json.dumps({"type": f"message.{status}", "data": {"status": status, "metadata": {"order": order}}})


def test_only_what_sendline_has_signed_is_believed(browser):
    sign_up(browser, next(NUMBERS))
    placed = submit(browser, "/orders/", item="A book", card=GOOD).headers["location"]
    poll(lambda: text_status(browser, placed) == "delivered", timeout=15, every=0.1)
    order = placed.strip("/").rpartition("/")[2]
    body, now = event(order, "failed"), datetime.now(UTC)
    stamp = {"webhook-id": "evt_1", "webhook-timestamp": str(int(now.timestamp()))}
    by_another = Webhook(SECRETS[1]).sign("evt_1", now, body)
    for headers in (
        {},
        stamp,
        {**stamp, "webhook-signature": by_another},
        {**stamp, "webhook-signature": "v1"},
        {**stamp, "webhook-signature": "v1,€".encode()},
        {
            **stamp,
            "webhook-timestamp": "1",
            "webhook-signature": Webhook(SECRETS[0]).sign("evt_1", now, body),
        },
    ):
        assert browser.post("/sendline/", content=body, headers=headers).status_code == 401
    assert browser.post("/sendline/", content=b"\xff", headers=stamp).status_code == 401
    assert text_status(browser, placed) == "delivered"
    signed = {**stamp, "webhook-signature": Webhook(SECRETS[0]).sign("evt_1", now, body)}
    assert browser.post("/sendline/", content=body, headers=signed).status_code == 204
    assert text_status(browser, placed) == "failed"


def test_without_redis_the_order_stands_and_its_page_says_that_no_text_was_sent(shop, nowhere):
    with shop.served(*GUNICORN, **HOOK, **nowhere) as browser:
        assert sign_up(browser, next(NUMBERS)).status_code == 302
        placed = submit(browser, "/orders/", item="A book", card=GOOD).headers["location"]
        assert text_status(browser, placed) == "not sent"


def test_without_a_worker_the_text_waits(shop, redis_url):
    with shop.served(*GUNICORN, **HOOK, SENDLINE_REDIS_URL=redis_url) as browser:
        sign_up(browser, next(NUMBERS))
        placed = submit(browser, "/orders/", item="A book", card=GOOD).headers["location"]
        assert text_status(browser, placed) == "on its way"


def test_in_production_it_wants_a_secret_key_a_host_and_https(example, environment, redis_of):
    bare = {name: value for name, value in environment.items() if name != "SHOP_DEV"}
    refused = example(".", **bare, **redis_of).run("-m", "django", "check")
    assert "SHOP_HOST" in refused.stderr
    given = {**bare, "SHOP_HOST": "127.0.0.1", "SHOP_SECRET_KEY": "k" * 60}
    with example(".", **given, **redis_of).served(*GUNICORN, **HOOK) as browser:
        cookie = browser.get("/", headers={"x-forwarded-proto": "https"}).headers["set-cookie"]
        assert "secure" in cookie.lower()
        assert isinstance(browser, httpx.Client)
