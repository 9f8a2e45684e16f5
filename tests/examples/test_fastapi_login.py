"""The one-time code login: under uvicorn, with codes read at the provider."""

import contextlib
import itertools
import json
import re
import socket
import time
from uuid import uuid4

import pytest

from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("fastapi_login")]

SERVER = ("-m", "uvicorn", "app:app", "--port", "PORT", "--timeout-graceful-shutdown", "2")
NUMBERS = (f"+13115550{place:03d}" for place in itertools.count(100))


@pytest.fixture(scope="module")
def secrets(place):
    return {"LOGIN_SECRET": "a secret of the tests' login app", "LOGIN_DB": str(place / "codes.db")}


@pytest.fixture(scope="module")
def app(example, secrets, redis_of):
    """A client of the running app, two processes of it."""
    with example("fastapi_login", **secrets, **redis_of).served(*SERVER, "--workers", "2") as client:
        yield client


def ask(app, number, login=None):
    """Ask for a code; return the login and the answer."""
    login = login or str(uuid4())
    return login, app.post("/login", json={"login": login, "number": number})


def messages_to(simulator, number):
    return [entry for entry in simulator.whole_log() if entry.recipient == number]


def code_at(simulator, number):
    """The code in the newest message to `number`."""
    newest = poll(lambda: messages_to(simulator, number), timeout=10)[-1]
    return re.search(r"\d{6}", newest.text)[0]


def follow(app, login):
    """Yield the events of a login's stream: name and data."""
    with app.stream("GET", f"/login/{login}/status") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_a_person_logs_in_with_the_code_and_sees_it_travel(app, simulator):
    number = next(NUMBERS)
    login, answer = ask(app, number)
    assert (answer.status_code, answer.json()) == (202, {"status": "created"})

    events = list(follow(app, login))
    assert events[-1] == ("end", "delivered")
    assert [entry["status"] for entry in events[-2][1]][-1] == "delivered"

    answer = app.post(f"/login/{login}/code", json={"code": code_at(simulator, number)})
    assert (answer.status_code, answer.json()) == (200, {"number": number})
    cookie = answer.headers["set-cookie"]
    assert {"httponly", "secure", "samesite=lax"} <= {part.strip() for part in cookie.lower().split(";")}
    session = {"cookie": cookie.partition(";")[0]}
    assert app.get("/me", headers=session).json() == {"number": number}
    assert app.get("/me").status_code == 401


def test_a_code_works_once_and_guesses_are_bounded(app, simulator):
    number = next(NUMBERS)
    login, _ = ask(app, number)
    code = code_at(simulator, number)
    assert app.post(f"/login/{login}/code", json={"code": code}).status_code == 200
    assert app.post(f"/login/{login}/code", json={"code": code}).status_code == 403

    login, _ = ask(app, next(NUMBERS))
    wrong = ["000000", "999999", "", "ä" * 16, "123456"]
    assert {app.post(f"/login/{login}/code", json={"code": each}).status_code for each in wrong} == {403}
    number = next(NUMBERS)
    login, _ = ask(app, number)
    code = code_at(simulator, number)
    for each in wrong:
        assert app.post(f"/login/{login}/code", json={"code": each}).status_code == 403
    assert app.post(f"/login/{login}/code", json={"code": code}).status_code == 403, "five tries are over"


def test_a_second_click_sends_nothing_and_a_number_gets_few_codes(app, simulator):
    number = next(NUMBERS)
    login, _ = ask(app, number)
    assert ask(app, number, login)[1].status_code == 202
    assert ask(app, next(NUMBERS), login)[1].status_code == 409, "the login's code went elsewhere"
    assert [ask(app, number)[1].status_code for _ in range(3)] == [202, 202, 429]
    spelled = f"{number[:2]} ({number[2:5]}) {number[5:]}"
    assert ask(app, spelled)[1].status_code == 429
    poll(lambda: len(messages_to(simulator, number)) == 3, timeout=10)
    assert len(messages_to(simulator, number)) == 3


@pytest.mark.parametrize(
    "number", ["", "hello", "+1312", "3115552367", "+999123456789", "1" * 40, "+1311555236٣"]
)
def test_a_wrong_number_is_told_so_and_not_quoted(app, number):
    _, answer = ask(app, number)
    assert answer.status_code == 422
    if isinstance(detail := answer.json()["detail"], str):
        assert detail.startswith("Your number")
        assert number not in detail


def test_the_page_needs_nothing_from_elsewhere(app):
    answer = app.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([\w-]+)'", answer.headers["content-security-policy"])[1]
    assert f'<script nonce="{nonce}">' in answer.text
    assert not re.search(r"(src|href)=", answer.text)
    assert app.get(f"/login/{uuid4()}/status").status_code == 404


def test_without_redis_it_says_so_at_once(example, secrets, nowhere):
    with example("fastapi_login", **secrets, **nowhere).served(*SERVER) as app:
        _, answer = ask(app, "+13115550001")
        assert answer.status_code == 503
        assert answer.json() == {"detail": "We can't send text messages right now. Try again in a moment."}
        assert answer.headers["retry-after"] == "5"


def test_a_redis_that_never_answers_holds_no_request_up(example, secrets):
    with socket.create_server(("127.0.0.1", 0)) as mute, contextlib.ExitStack() as closing:
        url = {"SENDLINE_REDIS_URL": f"redis://127.0.0.1:{mute.getsockname()[1]}/0"}
        app = closing.enter_context(example("fastapi_login", **secrets, **url).served(*SERVER))
        began = time.monotonic()
        assert ask(app, "+13115550002")[1].status_code == 503
        assert time.monotonic() - began < 6


def test_without_a_worker_the_code_waits_and_an_open_stream_does_not_keep_the_server_from_ending(
    example, secrets, redis_url
):
    with example("fastapi_login", **secrets, SENDLINE_REDIS_URL=redis_url).served(*SERVER) as app:
        login, answer = ask(app, "+13115550003")
        assert answer.json() == {"status": "created"}
        stream = follow(app, login)
        name, entries = next(stream)
        assert (name, [entry["status"] for entry in entries]) == ("status", ["created"])
    stream.close()
