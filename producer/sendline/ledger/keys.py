"""Every key of the ledger. Short, because there is one of some of them for every message."""

from typing import Final

KEYS: Final[dict[str, str]] = {
    # One for each message
    "message": "sl:m",  # + 16 bytes of id: string, the packed record
    "archive": "sl:f:",  # + 6 bytes of id, and of a shelf: hash, the other 10 to what is kept of it
    "patterns": "sl:fu:",  # + 6 bytes of id: hash, what such records have in common, and their number
    "index": "sl:p:",  # + day, and of a shelf: hash, 10 bytes of digest of account and provider id to id
    "indexed": "sl:pn",  # hash: day to how many entries of the index it has had
    "idempotency": "sl:i",  # + 10 bytes of digest of the key: string, id and 8 bytes of content digest
    # By what messages are found again
    "book": "sl:b:",  # + hours since the epoch: list of ids, mostly cut, and of stretches (see book.lua)
    "hours_of_book": "sl:bs",  # sorted set: hour by the instant (ms) until which its list is kept
    "addressed": "sl:br:",  # + weeks since the epoch : end of a number: list of places in the book
    # Where messages wait
    "line": "sl:q:",  # + lane code : route, and : row unless that is empty: list of ids, first in first out
    "rows": "sl:w:",  # + lane code : route: sorted set, row by its turn; the least goes first
    "resting": "sl:v:",  # + lane code : route: sorted set, row that left by the turn it goes on with
    "senders": "sl:vs:",  # + lane code : route : campaign: set of its rows, one for each sender
    "held": "sl:h:",  # + lane code : route: sorted set, row held by its sender's limits until then (us)
    "ready": "sl:r:",  # + lane code: sorted set, route by the next instant (us) at which it may go
    "turns": "sl:turns",  # hash: lane code : route to the instant (us) at which it was last served
    "weights": "sl:weights",  # hash: campaign to its weight, where that is not 1; @campaign: see ending.lua
    "timers": "sl:t",  # sorted set, id by the instant (ms) at which the tick must look at it
    # Campaigns
    "campaign": "sl:c:",  # + name: hash of its spec, state, the import's progress, and its counts
    "campaigns": "sl:cs",  # sorted set: campaign by the instant (ms) at which it was founded
    "members": "sl:cm:",  # + name: list of the ids of its messages, in the order of its source
    "hours": "sl:ch:",  # + name: hash, key of time zones to when its window opens and closes (us), in turns
    "outcomes": "sl:cx:",  # + name: string, its newest outcomes: 0, or 1 for a failure
    "stilled": "sl:cq",  # set: campaigns of which nothing may go
    "starts": "sl:ct",  # sorted set: campaign by the instant (ms) at which it starts
    "running": "sl:co",  # set: campaigns that were started, or not in time, and are not over
    # Messages of unknown fate
    "uncertain": "sl:u",  # sorted set: uncertain id by the instant (ms) at which its provider is asked next
    "unreported": "sl:ur",  # the same for what is sent, and whose receipt is late
    # Accounts
    "account": "sl:a:",  # + name: hash of limits and state
    "number": "sl:n:",  # + account : mark of a sender: hash, what was sent from it
    "changes": "sl:ae",  # stream: one entry for each change of an account
    "eased": "sl:eased",  # sorted set: account whose rate is lowered by the instant (ms) at which it is whole
    "told": "sl:told",  # hash: `log` and `command` to the number of the newest change that each was told of
    "directory": "sl:directory",  # string: what workers publish of accounts and routes, JSON
    # The ledger as a whole
    "counts": "sl:counts",  # hash: accepted, and how many messages have each status
    "meta": "sl:meta",  # hash: born, era, seq, mark, behind (see lineage.lua), claims (tokens), dead, ...
    "events": "sl:e",  # stream: entries of up to 100 changes; an id is its last one's number and instant
    "recovery": "sl:recovery",  # string: how far a recovery has come, or what the last one came to
    "parked": "sl:k",  # hash: digest to a receipt whose provider id is not known yet
    "parked_at": "sl:k:at",  # sorted set: digest by the instant (ms) until which it is kept
    # What comes in, and what is kept back
    "suppressed": "sl:su",  # hash: recipient to when it was suppressed (ms) and why
    "inbound": "sl:in",  # stream: one entry for each message that came in
    "inbound_erased": "sl:ix",  # set: numbers of entries that were taken out of that stream
    "inbound_seen": "sl:ii:",  # + digest of account and provider id: string, it came in already
    "rejected": "sl:rr",  # list: requests of providers that could not be read, the newest first
    # The HTTP API
    "api_keys": "sl:ak",  # hash: id of a key to when it was made and revoked (ms), what proves it, its rights
    "admitted": "sl:ar:",  # + id of a key with a rate: string, what was let through lately
    # Endpoints: URLs of apps that are told of events. A mark stands for one; a notice is one event to tell it
    "endpoints": "sl:oe",  # sorted set: mark by the instant (ms) at which it is looked at; +inf: stopped
    "endpoint": "sl:os:",  # + mark: hash of URL, state and counts
    "notices": "sl:op:",  # + mark: hash, what is told of (a message's id) to the notices of it, in order
    "notices_due": "sl:od:",  # + mark: sorted set, what is told of by the instant (ms) at which it is due
    "notices_out": "sl:ol:",  # + mark: sorted set, what is told of by the end (ms) of a worker's claim on it
    "notice_tries": "sl:ot:",  # + mark: hash, what is told of to how often that was tried in vain
    "notices_lost": "sl:ox:",  # + mark: list of what the endpoint was never told, the newest first
    "notice_bell": "sl:ob",  # list of at most one element: rouses who tells endpoints
    # Workers
    "awake": "sl:awake",  # sorted set: dispatcher by the instant (ms) by which it claims again
    "bell": "sl:bell",  # list of at most one element: rouses a dispatcher that sleeps
    "wake": "sl:wake",  # hash: queue and envelope of the Celery task that starts a dispatcher
    "dispatcher": "sl:d:",  # + id: string, its last call's number and what it claimed
    "decision": "sl:x:",  # + name of a call: string, what it came to
    "settler": "sl:s:",  # + dispatcher: string, the number of its last settle
    "tick": "sl:tick",  # string: which worker ticks
}


def message_key(message_id: bytes) -> bytes:
    """Return the key of a message's record."""
    return KEYS["message"].encode() + message_id


def line_key(lane_code: int, route: str, row: str = "") -> str:
    """Return the key of a row of a route's waiting line."""
    return f"{KEYS['line']}{lane_code}:{route}{':' if row else ''}{row}"


def account_key(name: str) -> str:
    """Return the key of an account's limits and state."""
    return KEYS["account"] + name
