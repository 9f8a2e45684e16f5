"""Send one notice to a list of numbers, and see what became of each. For a school, a club, a building.

Run it, from this folder, with `sendline up` in another terminal (it sends to a simulated provider):

    pip install 'sendline[worker,embedded]' flask gunicorn
    export NOTICE_SECRET=$(python -c 'import secrets; print(secrets.token_hex(32))') NOTICE_PASSWORD=change-me
    gunicorn --workers 2 --threads 4 app:app

Then open http://127.0.0.1:8000; any user name will do, with that password. In production an HTTPS proxy
stands in front: set NOTICE_HTTPS=1 then. With `--preload` it works just as well.
"""

import hmac
import os
import re
import secrets
import sqlite3
from collections import Counter
from contextlib import closing
from typing import Any

from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as Answer

from sendline import (
    IdempotencyConflict,
    InvalidMessage,
    LedgerError,
    Message,
    PartlyAccepted,
    Producer,
    UnknownMessage,
)

MOST = 500
"""Numbers of one notice; more is a campaign: see ../nightly_campaign."""
DATABASE = os.environ.get("NOTICE_DB", "notices.db")
PASSWORD = os.environ["NOTICE_PASSWORD"]

app = Flask(__name__, template_folder=".")
app.config.update(
    SECRET_KEY=os.environ["NOTICE_SECRET"],
    SESSION_COOKIE_SECURE=os.environ.get("NOTICE_HTTPS") == "1",
    SESSION_COOKIE_SAMESITE="Strict",
    MAX_CONTENT_LENGTH=64 * 1024,
)
producer = Producer()  # one per process: threads share it, and each fork connects for itself

with closing(sqlite3.connect(DATABASE, timeout=5)) as database:
    database.execute("CREATE TABLE IF NOT EXISTS sent (message TEXT PRIMARY KEY, notice TEXT NOT NULL)")


@app.before_request
def only_with_the_password() -> Response | None:
    """Whoever may send costs money."""
    given = request.authorization
    if given and hmac.compare_digest((given.password or "").encode(), PASSWORD.encode()):
        return None
    return Response("Enter the password.", 401, {"WWW-Authenticate": 'Basic realm="Notices"'})


@app.get("/")
def form() -> str:
    """Show an empty form. `notice` names what will be sent, `csrf` proves that the form is ours."""
    session.setdefault("csrf", secrets.token_urlsafe(16))
    return page(notice=secrets.token_hex(16))


@app.post("/")
def send() -> Answer | tuple[str, int]:
    """Send the notice. Sent again within a day, by a second click or after an error, nobody gets it twice."""
    asked = request.form
    if not hmac.compare_digest(asked.get("csrf", "").encode(), session.get("csrf", "-").encode()):
        abort(403)
    notice, text = asked.get("notice", ""), asked.get("text", "")
    numbers = list(filter(None, map(str.strip, asked.get("numbers", "").splitlines())))
    if not 0 < len(numbers) <= MOST:
        return page(f"Give 1 to {MOST} numbers, one a line."), 422
    try:
        accepted = producer.send_many(
            {
                "to": number,
                "text": text,
                "lane": "bulk",
                "campaign": notice,
                "idempotency_key": f"notice-{notice}-{re.sub('[^0-9]', '', number)}",
            }
            for number in numbers
        )
    except InvalidMessage as error:
        return page(explained(error, numbers)), 422
    except PartlyAccepted as cut:
        if isinstance(cut.__cause__, IdempotencyConflict):
            return page("This notice was sent with another text. Begin a new one."), 409
        return page(f"{len(cut.accepted)} of {cut.total} are on their way. Send again for the others."), 503
    except LedgerError:
        return page("Notices can't be sent right now. Send again in a moment: nobody gets it twice."), 503
    remember(notice, accepted)
    return redirect(url_for("status", notice=notice), 303)


@app.get("/notices/<notice>")
def status(notice: str) -> str | tuple[str, int]:
    """Show what became of a notice, number by number."""
    with closing(sqlite3.connect(DATABASE, timeout=5)) as database:
        ids = [row[0] for row in database.execute("SELECT message FROM sent WHERE notice = ?", (notice,))]
    if not ids:
        abort(404)
    try:
        messages = list(filter(None, map(still_known, ids)))
    except LedgerError:
        return page("Their status can't be read right now. Look again in a moment."), 503
    return page(messages=messages, counts=Counter(message.status.value for message in messages))


def explained(error: InvalidMessage, numbers: list[str]) -> str:
    """Say which number is wrong, or what else."""
    found = re.fullmatch(r"messages\[(\d+)\]\.to", error.field)
    return f"{numbers[int(found[1])]}: {error.problem}" if found else error.problem


def remember(notice: str, messages: list[Message]) -> None:
    """Keep which messages a notice is made of, for its status page."""
    with closing(sqlite3.connect(DATABASE, timeout=5)) as database, database:
        database.executemany(
            "INSERT OR IGNORE INTO sent (message, notice) VALUES (?, ?)",
            [(message.id, notice) for message in messages],
        )


def still_known(message_id: str) -> Message | None:
    """Return a message; None once its retention has ended."""
    try:
        return producer.get(message_id)
    except UnknownMessage:
        return None


def page(problem: str = "", *, notice: str = "", **shown: Any) -> str:
    """Return the page: with a problem, what was typed stands in the form again."""
    return render_template("page.html", problem=problem, notice=notice or request.form.get("notice"), **shown)
