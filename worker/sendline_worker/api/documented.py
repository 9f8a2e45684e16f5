"""What the OpenAPI document says of answers, keys and headers, in one place."""

from typing import Any, Final

from sendline_worker.api.problems import KINDS, MEDIA_TYPE, Problem

_EXAMPLES: Final = {
    "malformed-request": ("the body is not JSON, from character 14 on", None),
    "several-keys": ("give the API key once: in Authorization, or in X-API-Key", None),
    "unauthenticated": ("this API key is not known, or was revoked", None),
    "scope-missing": ("the key needs the scope send", None),
    "sender-not-allowed": ("the key may not use this sender", "sender"),
    "not-found": ("no message with this id is known: mistyped, or past its retention", None),
    "method-not-allowed": ("this takes GET, POST", None),
    "request-too-slow": ("a body must come within 10 s", None),
    "idempotency-conflict": (
        "the key was used before for other content; use a new key for a new message",
        "idempotency_key",
    ),
    "conflict": ("it has ended", None),
    "events-lost": ("events 1 to 11 are no longer kept; the oldest is 12", "after"),
    "body-too-large": ("a body has at most 1048576 bytes here", None),
    "unsupported-media-type": ("write application/json, in UTF-8", "Content-Type"),
    "invalid-request": ("limit: Input should be less than or equal to 200", "limit"),
    "invalid-message": ("not a phone number; write it as +13115552367", "to"),
    "invalid-campaign": ("holds a NUL character", "text"),
    "idempotency-key-reused": ("the key was used before with another body", "Idempotency-Key"),
    "rate-limited": ("20 messages a second at most: try again in 1 s", None),
    "head-too-large": ("at most 100 headers, of 32768 bytes together", None),
    "fault": ("the request could not be carried out", None),
    "ledger-unavailable": (
        "it may have been done all the same: with an idempotency key it is safe to try again",
        None,
    ),
    "ledger-refused": ("it answers, and does not serve: `sendline check` names the fix", None),
    "busy": ("too many connections at once", None),
    "no-room": ("the disk takes no more: send the file again later", None),
}

_RATE_HEADERS: Final = {
    "RateLimit-Policy": {
        "description": "How many messages the key may send in how many seconds; where it has a rate.",
        "schema": {"type": "string"},
        "example": '"default";q=20;w=1',
    },
    "RateLimit": {
        "description": "How many it may send now, and in how many seconds all of them again.",
        "schema": {"type": "string"},
        "example": '"default";r=19;t=1',
    },
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "string"},
        "example": "2",
    }
}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to say who you are.",
            "schema": {"type": "string"},
            "example": 'Bearer realm="sendline"',
        }
    },
    405: {
        "Allow": {
            "description": "The methods that are supported here.",
            "schema": {"type": "string"},
            "example": "GET, POST",
        }
    },
    429: {**_RETRY_AFTER, **_RATE_HEADERS},
    503: _RETRY_AFTER,
    507: _RETRY_AFTER,
}

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 says it.",
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
    "properties": {
        "type": {
            "type": "string",
            "description": "The kind of problem; programs go by this.",
            "enum": [f"urn:sendline:problem:{slug}" for slug in KINDS],
        },
        "title": {"type": "string", "description": "The kind in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong this time, and the fix."},
        "field": {"type": "string", "description": "The field or header that it is about."},
        "errors": {
            "type": "array",
            "description": "Every field that is wrong, where several are.",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
    "examples": [
        {
            "type": "urn:sendline:problem:invalid-message",
            "title": "A field of the message is wrong",
            "status": 422,
            "detail": "not a phone number; write it as +13115552367",
            "field": "to",
        }
    ],
}

SECURITY_SCHEMES: Final = {
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `Authorization: Bearer sl_...`. `sendline keys create` makes one.",
    },
    "X-API-Key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key in a header of its own.",
    },
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route's `responses` say of problems with these statuses, with an example of each kind."""
    return {status: _answer(status) for status in statuses}


def _answer(status: int) -> dict[str, Any]:
    kinds = [kind for kind in KINDS.values() if kind.status == status]
    examples = {kind.slug: {"value": _example(kind.slug)} for kind in kinds}
    return {
        "description": "; or ".join(kind.title for kind in kinds),
        "headers": _HEADERS.get(status, {}),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _example(slug: str) -> dict[str, Any]:
    detail, field = _EXAMPLES[slug]
    return Problem(KINDS[slug], detail, field).to_dict()


def rate_headers() -> dict[str, Any]:
    """Return what is said of the headers that answers to a key with a rate have."""
    return dict(_RATE_HEADERS)
