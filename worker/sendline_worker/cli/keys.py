"""`sendline keys`: who may use the HTTP API, and for what."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.api_key import (
    ApiKey,
    Scope,
    hash_of,
    is_key_id,
    key_name,
    key_rate,
    key_senders,
    new_key,
    token,
)
from sendline.contract.message import stamp
from sendline.contract.numbers import mask
from sendline.ledger.api_keys import KEY_AGE, MOST_KEYS, create_key, list_keys, revoke_keys
from sendline.ledger.limits import Limits
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import INTERRUPTED, Failure
from sendline_worker.cli.printing import confirm, print_json, print_line, print_table
from sendline_worker.cli.table import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TypeVar

    T = TypeVar("T")

app = make_app()

SETTLE_SECONDS: Final = KEY_AGE + 0.1
"""How long a revocation is waited for: a process of the API may remember a key for nearly as long."""
SHOWN_SENDERS: Final = 2
"""Senders of a key that people are shown; the rest is counted."""
HEADS: Final = ("id", "name", "scopes", "state", "rate", "senders", "created")
SEE: Final = "see `sendline keys list`"


@app.command()
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is, such as the app's name.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do: send, read, admin. May be repeated.")
    ] = None,
    sender: Annotated[
        list[str] | None,
        typer.Option(metavar="SENDER", help="A sender it may use. May be repeated.  [default: any]"),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="N", help="Messages a second at most.  [default: unbounded]")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a key for the HTTP API, and show its token: only now, for nothing but a hash of it is kept.

    Messages, campaigns and idempotency keys belong to the NAME. To replace a key, make a second one of the
    same name, give that to the app, then revoke the first by its id. Of several senders the first is used
    where a message names none. `read` and `send` reach only what the name owns, `admin` everything.

    \b
    Examples:
      sendline keys create shop --scope send --scope read
      sendline keys create login --scope send --sender +13115552368 --rate 20
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if not scope:
        raise Failure("scope", f"missing; give --scope {', '.join(Scope)}, one or several")
    settings = opening.load(config)
    key, secret = new_key(
        _checked("name", lambda: key_name(name)),
        scope,
        senders=_checked("sender", lambda: key_senders(sender or (), settings.default_region)),
        rate=None if rate is None else _checked("rate", lambda: key_rate(rate)),
    )
    with opening.ledger(settings) as ledger:
        stored = ledger.run(create_key(Limits.of(settings), key, hash_of(secret)))
    if stored is None:
        raise Failure("keys", f"there are {MOST_KEYS} already, those included that were revoked; {SEE}")
    shown = token(stored, secret)
    if json:
        print_json(_plain(stored) | {"token": shown})
        return
    print_line("ok", f"key {stored.id} of {stored.name}: {_scopes(stored)}")
    print_line(shown)
    print_line("It is not shown again. Send it with each request:  Authorization: Bearer <token>")


@app.command("list")
def show(*, config: Config = None, json: Json = False) -> None:
    """List the keys, the oldest first. A revoked one stays listed for as long as messages are kept.

    Numbers of senders are masked; --json shows them whole. No secret is shown: none is kept.

    \b
    Examples:
      sendline keys list
      sendline keys list --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        found = ledger.run(list_keys(Limits.of(settings)))
    if json:
        print_json({"keys": [_plain(key) for key in found]})
    elif found:
        left_out = print_table(HEADS, [_row(key) for key in found], spare=("created", "rate"))
        if left_out:
            print_line(f"left out, for want of room: {', '.join(left_out)}; --json shows them")
    else:
        print_line("ok", "no key was made yet; make one: sendline keys create shop --scope send --scope read")


@app.command()
def revoke(
    *,
    which: Annotated[str, typer.Argument(metavar="ID|NAME", help="One key, or all of a name.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Revoke a key by its id, or all keys of a name. For good: make a new one instead of it.

    It returns when no process of the API takes the key any more, after about a second. What was sent with
    it goes on; `sendline cancel` and `sendline campaign cancel` stop that.

    \b
    Examples:
      sendline keys revoke k3v9x2m4q7ab
      sendline keys revoke shop --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    limits = Limits.of(settings)
    with opening.ledger(settings) as ledger:
        meant = _meant(ledger.run(list_keys(limits)), which)
        in_force = [key for key in meant if key.revoked_at is None]
        if in_force and not yes:
            confirm(f"{_named(in_force)} will be revoked for good", json=json)
        ledger.run(revoke_keys(limits, [key.id for key in meant]))
    _await_processes(meant)
    if json:
        revoked, before = [k.id for k in in_force], [k.id for k in meant if k not in in_force]
        print_json({"revoked": revoked, "revoked_before": before})
    elif in_force:
        print_line("ok", f"{_named(in_force)}: revoked; no process of the API takes it any more")
    else:
        print_line("ok", f"{_named(meant)}: revoked already, since {_latest(meant)}")


def _await_processes(revoked: "Sequence[ApiKey]") -> None:
    """Wait until every process of the API has read them anew, or would.

    Those that had been revoked before are waited for, too: what revoked them may have been interrupted here.
    """
    try:
        time.sleep(SETTLE_SECONDS)
    except KeyboardInterrupt:
        early = "interrupted: it is taken for another second at most"
        raise Failure(None, f"{_named(revoked)}: revoked; {early}", INTERRUPTED) from None


def _meant(keys: list[ApiKey], which: str) -> list[ApiKey]:
    """Return the key of this id, or those of this name. Raises Failure."""
    by_id = [key for key in keys if key.id == which]
    by_name = [key for key in keys if key.name == which]
    if by_id and by_name:
        raise Failure("key", f"{which} is the id of one key and the name of another; revoke that by its id")
    found = by_id or by_name
    if found:
        return found
    if which.startswith("sl_"):
        raise Failure("key", f"that is a token; give the key's id, which stands between its two _, or {SEE}")
    near = nearest(which, sorted({key.name for key in keys} | {key.id for key in keys}))
    fix = f"did you mean {near}?" if near else SEE
    what = "id or name" if is_key_id(which) else "name"
    raise Failure("key", f"no key has the {what} {which[:40]!r}; {fix}")


def _named(keys: "Sequence[ApiKey]") -> str:
    """Return how keys of one name are told: key abc of shop; 2 keys of shop (abc, def)."""
    ids = ", ".join(key.id for key in keys)
    if len(keys) == 1:
        return f"key {ids} of {keys[0].name}"
    return f"{counted(len(keys), 'key')} of {keys[0].name} ({ids})"


def _latest(revoked: "Sequence[ApiKey]") -> str:
    return _stamped(max(key.revoked_at for key in revoked if key.revoked_at is not None))


def _stamped(at: "datetime") -> str:
    return stamp(at) or ""


def _checked(field: str, check: "Callable[[], T]") -> "T":
    try:
        return check()
    except ValueError as error:
        raise Failure(field, str(error)) from None


def _scopes(key: ApiKey) -> str:
    return ", ".join(scope for scope in Scope if scope in key.scopes)


def _row(key: ApiKey) -> tuple[str, ...]:
    senders = [mask(each) if each.startswith("+") else each for each in key.senders[:SHOWN_SENDERS]]
    more = len(key.senders) - len(senders)
    return (
        key.id,
        key.name,
        _scopes(key),
        "in force" if key.revoked_at is None else f"revoked {_stamped(key.revoked_at)}",
        "any" if key.rate is None else f"{key.rate:g}/s",
        (", ".join(senders) + (f" and {more} more" if more else "")) or "any",
        _stamped(key.created_at),
    )


def _plain(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in Scope if scope in key.scopes],
        "senders": list(key.senders),
        "rate": key.rate,
        "created_at": stamp(key.created_at),
        "revoked_at": None if key.revoked_at is None else stamp(key.revoked_at),
    }
