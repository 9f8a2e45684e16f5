"""What an audit reads of rows. A row is named `lane code:route`, and `:name` unless its name is empty."""

from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.lines import parts_of_name, zones_of_name
from sendline.ledger.record import lane_of


def row_of(line: str, name: str) -> str:
    """Return the row of a line, named as `lane code:route`."""
    return f"{line}:{name}" if name else line


def parts_of(row: str) -> tuple[str, str, str]:
    """Return the lane code, the route and the name of a row, empty for one of messages without a campaign."""
    lane, _, rest = row.partition(":")
    route, _, name = rest.partition(":")
    return lane, route, name


def announced(lane_code: int) -> Call[list[str]]:
    """Read which lines of a lane are announced to the workers, as `lane code:route`."""
    return Call(
        "ZRANGE",
        [f"{KEYS['ready']}{lane_code}", 0, -1],
        lambda reply: [f"{lane_code}:{route.decode()}" for route in reply],
    )


def rows_in_turn(line: str) -> Call[list[str]]:
    """Read which rows of a line, named as `lane code:route`, take turns."""
    return _rows("rows", line)


def rows_held(line: str) -> Call[list[str]]:
    """Read which rows of a line are held by the limits of their senders."""
    return _rows("held", line)


def _rows(kind: str, line: str) -> Call[list[str]]:
    return Call(
        "ZRANGE", [KEYS[kind] + line, 0, -1], lambda reply: [row_of(line, each.decode()) for each in reply]
    )


def row_part(row: str, start: int, count: int) -> Call[list[bytes]]:
    """Read `count` ids of a row, from place `start` on."""
    return Call("LRANGE", [KEYS["line"] + row, start, start + count - 1], list)


def row_length(row: str) -> Call[int]:
    """Read how many ids a row holds."""
    return Call("LLEN", [KEYS["line"] + row], int)


def line_ready_at(row: str) -> Call[int | None]:
    """Read when something of a row's line may go, in microseconds; None where it is not announced."""
    lane, route, _ = parts_of(row)
    return _score(KEYS["ready"] + lane, route)


def row_turn(row: str) -> Call[int | None]:
    """Read the turn of a row; None where it takes none."""
    lane, route, name = parts_of(row)
    return _score(f"{KEYS['rows']}{lane}:{route}", name)


def row_held_until(row: str) -> Call[int | None]:
    """Read until when the limits of its sender hold a row, in microseconds; None where nothing does."""
    lane, route, name = parts_of(row)
    return _score(f"{KEYS['held']}{lane}:{route}", name)


def _score(key: str, member: str) -> Call[int | None]:
    return Call("ZSCORE", [key, member], lambda at: None if at is None else int(float(at)))


def line_name(row: str) -> str:
    """Return the name of a row's line for people."""
    lane, route, _ = parts_of(row)
    return f"{lane_of(int(lane)).value} line of {route.replace(',', ' or ') or 'messages without a route'}"


def row_name(row: str) -> str:
    """Return a row's name for people: its line, with its campaign and what stands for its sender."""
    name = parts_of(row)[2]
    (campaign, mark), zones = parts_of_name(name), zones_of_name(name)
    told = [
        *([f"campaign {campaign}"] if campaign else []),
        *([f"time zone {zones.replace('|', ' or ')}"] if zones else []),
        *([f"sender {mark or 'not named'}"] if mark is not None else []),
    ]
    return f"{line_name(row)}{' (' if told else ''}{', '.join(told)}{')' if told else ''}"
