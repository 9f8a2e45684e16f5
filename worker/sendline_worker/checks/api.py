"""What `sendline check` finds of the HTTP API: whether anybody can use it, and what it lacks here."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sendline.ledger import verbs
from sendline.ledger.api_keys import list_keys
from sendline.ledger.limits import Limits
from sendline_worker.answers.spelling import counted
from sendline_worker.checks.parts import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.contract.api_key import ApiKey
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

SEE = "see `sendline keys list`"


def check_api(settings: "Settings", ledger: "Ledger") -> "Iterator[Check]":
    """Check the keys, and that what they may send from exists. Raises LedgerError.

    Nobody need use the API: where nothing of it is there, that is well, too.
    """
    keys = [key for key in ledger.run(list_keys(Limits.of(settings))) if key.revoked_at is None]
    runs = "" if find_spec("fastapi") else "; it can't run here: FastAPI is not installed"
    if not keys:
        yield Check("ok", "api", f"no key was made yet: `sendline keys create` makes one{runs}")
        return
    yield Check("ok", "api", f"{counted(len(keys), 'key')} in force{runs}")
    yield from _check_senders(keys, ledger)


def _check_senders(keys: "list[ApiKey]", ledger: "Ledger") -> "Iterator[Check]":
    cards = ledger.run(verbs.directory()).accounts.values()
    if not cards or any(not card.senders for card in cards):
        return
    carried = {sender for card in cards for sender in card.senders}
    for key in keys:
        if key.senders and carried.isdisjoint(key.senders):
            what = f"key {key.id} of {key.name} may send from no sender that an account has"
            yield Check("warn", "api", what, f"add one to accounts.NAME.senders, or make another key; {SEE}")
