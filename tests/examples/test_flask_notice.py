"""The notice form: under gunicorn with two forks, with and without --preload."""

import itertools
import re
from collections import Counter

import httpx
import pytest

from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("flask_notice")]

GUNICORN = (
    *("-m", "gunicorn", "--workers", "2", "--threads", "4", "--no-control-socket"),
    *("--bind", "127.0.0.1:PORT", "app:app"),
)
NUMBERS = (f"+13115552{place:03d}" for place in itertools.count(100))


@pytest.fixture(scope="module")
def environment(place):
    return {
        "NOTICE_SECRET": "a secret of the tests' notices",
        "NOTICE_PASSWORD": "a password",
        "NOTICE_DB": str(place / "notices.db"),
    }


@pytest.fixture(scope="module", params=[(), ("--preload",)], ids=["forks that import", "preloaded"])
def app(request, example, environment, redis_of):
    with example("flask_notice", **environment, **redis_of).served(*GUNICORN, *request.param) as client:
        client.auth = ("anybody", "a password")
        yield client


def fields_of(page):
    return dict(re.findall(r'name="(csrf|notice)" value="([\w-]+)"', page))


def submit(app, numbers, text="The water is off on Monday.", fields=None):
    """Fill the form in; return what it was and the answer."""
    fields = fields or fields_of(app.get("/").text)
    return fields, app.post("/", data={**fields, "text": text, "numbers": "\n".join(numbers)})


def texts_to(simulator, number):
    return [entry.text for entry in simulator.whole_log() if entry.recipient == number]


def test_a_notice_reaches_all_and_its_page_says_so(app, simulator):
    numbers = [next(NUMBERS) for _ in range(20)]
    _, answer = submit(app, numbers)
    assert answer.status_code == 303
    place = answer.headers["location"]
    poll(lambda: "<p>20 delivered. </p>" in app.get(place).text, timeout=15, every=0.1)
    assert all(number in app.get(place).text for number in numbers)
    assert Counter(len(texts_to(simulator, number)) for number in numbers) == {1: 20}


def test_a_second_click_sends_nothing_more_on_whichever_process_it_lands(app, simulator, producer):
    numbers = [next(NUMBERS) for _ in range(3)]
    before = producer.counts()["accepted"]
    fields, answer = submit(
        app, [*numbers, numbers[0], f"{numbers[0][:2]} ({numbers[0][2:5]}) {numbers[0][5:]}"]
    )
    again = [submit(app, numbers, fields=fields)[1] for _ in range(6)]
    assert {each.headers["location"] for each in again} == {answer.headers["location"]}
    assert producer.counts()["accepted"] == before + 3
    assert submit(app, numbers, "Another text", fields)[1].status_code == 409


@pytest.mark.parametrize("number", ["hello", "+1312", "3115552367", "+13115552367'); DROP TABLE sent"])
def test_a_wrong_number_is_named_and_nobody_gets_anything(app, producer, number):
    before = producer.counts()["accepted"]
    _, answer = submit(app, [next(NUMBERS), number])
    assert answer.status_code == 422
    assert re.search(r'role="alert">(\S+).*: .+ it .+<', answer.text), answer.text
    assert "The water is off on Monday." in answer.text, "what was typed is not lost"
    assert producer.counts()["accepted"] == before
    assert submit(app, [])[1].status_code == 422
    assert submit(app, ["+13115552367"] * 501)[1].status_code == 422
    assert submit(app, ["+13115552367"], text=" ")[1].status_code == 422


def test_who_has_no_password_or_no_form_of_ours_sends_nothing(app):
    with httpx.Client(base_url=app.base_url, trust_env=False) as stranger:
        for auth in (None, ("anybody", "wrong"), ("anybody", "€")):
            assert stranger.get("/", auth=auth).status_code == 401
            assert stranger.post("/", auth=auth, data={"text": "Hello"}).status_code == 401
        answer = stranger.post("/", auth=app.auth, data={"text": "Hello", "numbers": "+13115552367"})
        assert answer.status_code == 403
    assert submit(app, ["+13115552367"], fields={"csrf": "ü"})[1].status_code == 403
    assert app.get("/notices/unknown").status_code == 404
    assert app.post("/", data={"text": "a" * 70_000}).status_code == 413


def test_without_redis_it_says_so_and_keeps_what_was_typed(example, environment, nowhere):
    with example("flask_notice", **environment, **nowhere).served(*GUNICORN) as app:
        app.auth = ("anybody", "a password")
        _, answer = submit(app, ["+13115552367"])
        assert answer.status_code == 503
        assert "Notices can't be sent right now." in answer.text.replace("&#39;", "'")
        assert "The water is off on Monday." in answer.text


def test_without_a_worker_a_notice_waits(example, environment, redis_url):
    with example("flask_notice", **environment, SENDLINE_REDIS_URL=redis_url).served(*GUNICORN) as app:
        app.auth = ("anybody", "a password")
        _, answer = submit(app, ["+13115552367", "+13115552368"])
        assert "<p>2 created. </p>" in app.get(answer.headers["location"]).text
