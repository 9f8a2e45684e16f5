"""The logins that are under way, in SQLite: shared by all processes of the app.

No code is stored, and no plain hash of one, which could be guessed at once. A code is computed from its
login's random salt, with a key that is not in the database: who reads the database learns no code, and each
try to send a login's code sends the same text.
"""

import hmac
import re
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

VALID_FOR = 300
"""Seconds that a code, and the message that carries it, are good for."""
TRIES = 5
"""Guesses at one code: one in 200,000 is right by chance."""
CODES_A_NUMBER = 3
"""Codes to one number within VALID_FOR."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS login (
    id TEXT PRIMARY KEY, digits TEXT NOT NULL, salt BLOB NOT NULL, expires REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, message TEXT, number TEXT
);
CREATE INDEX IF NOT EXISTS of_digits ON login (digits);
"""


class TooMany(Exception):
    """The number got as many codes as it may. `wait` is in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"wait {wait} s")
        self.wait = wait


@dataclass(frozen=True)
class Codes:
    """Begins logins, and takes codes. All calls are short; they block."""

    path: Path
    secret: bytes

    def __post_init__(self) -> None:
        with closing(self._open()) as database:
            database.executescript(SCHEMA)

    def begin(self, login: str, number: str) -> str:
        """Return the code of `login`: a new one, or the same again. Raises TooMany."""
        digits, now = re.sub(r"[^0-9]", "", number), time.time()
        with closing(self._open()) as database, database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM login WHERE expires < ?", (now,))
            [others, first] = database.execute(
                "SELECT count(*), min(expires) FROM login WHERE digits = ? AND id <> ?", (digits, login)
            ).fetchone()
            if others >= CODES_A_NUMBER:
                raise TooMany(int(first - now) + 1)
            database.execute(
                "INSERT INTO login (id, digits, salt, expires) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET digits = excluded.digits WHERE message IS NULL",
                (login, digits, secrets.token_bytes(16), now + VALID_FOR),
            )
            [salt] = database.execute("SELECT salt FROM login WHERE id = ?", (login,)).fetchone()
        return self._code(salt)

    def sent(self, login: str, message_id: str, number: str) -> None:
        """Note by which message the code went, and to which number: that is who logs in with it."""
        with closing(self._open()) as database, database:
            database.execute(
                "UPDATE login SET message = ?, number = ? WHERE id = ?", (message_id, number, login)
            )

    def message_of(self, login: str) -> str | None:
        """Return the id of the login's message; None where none was sent, or the login is over."""
        with closing(self._open()) as database:
            found = database.execute("SELECT message FROM login WHERE id = ?", (login,)).fetchone()
        return found[0] if found else None

    def take(self, login: str, code: str) -> str | None:
        """Return the login's number and end the login where `code` is right; else count a try."""
        with closing(self._open()) as database, database:
            found = database.execute(  # counts first: tries at the same instant don't slip through
                "UPDATE login SET tries = tries + 1 WHERE id = ? AND tries < ? AND expires > ?"
                " AND message IS NOT NULL RETURNING salt, number",
                (login, TRIES, time.time()),
            ).fetchone()
            if found is None or not hmac.compare_digest(self._code(found[0]).encode(), code.strip().encode()):
                return None
            database.execute("DELETE FROM login WHERE id = ?", (login,))
            number: str = found[1]
            return number

    def _code(self, salt: bytes) -> str:
        return f"{int.from_bytes(hmac.digest(self.secret, salt, 'sha256')) % 1_000_000:06}"

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=5)
