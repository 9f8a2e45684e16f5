"""What the OpenAPI document says of sending messages: the body is read, and answers written, by hand."""

from typing import Any, Final

from sendline.contract.draft import MAX_KEY
from sendline_worker.api.documented import rate_headers
from sendline_worker.api.models import MESSAGE_EXAMPLE, MESSAGE_ID, NEW_EXAMPLE
from sendline_worker.api.problems import KINDS, Problem

_WRONG: Final = Problem(
    KINDS["invalid-message"], "not a phone number; write it as +13115552367", "to"
).to_dict()
_RESULTS: Final[dict[str, Any]] = {"$ref": "#/components/schemas/Results"}
_REPLAYED: Final[dict[str, Any]] = {
    "Idempotency-Replayed": {
        "description": "`true` where an earlier request with the same key had all that was accepted.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    }
}
_LOCATION: Final[dict[str, Any]] = {
    "Location": {
        "description": "Where the message is read; of one message only.",
        "schema": {"type": "string"},
        "example": f"/v1/messages/{MESSAGE_ID}",
    }
}

ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "Accepted, and on disk: the message, or what became of each.",
        "headers": {**_LOCATION, **_REPLAYED, **rate_headers()},
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"$ref": "#/components/schemas/Message"}, _RESULTS]},
                "examples": {
                    "one": {"value": MESSAGE_EXAMPLE},
                    "many": {"value": {"results": [{"status": 202, "message": MESSAGE_EXAMPLE}]}},
                },
            }
        },
    },
    207: {
        "description": "Some messages of an array were not accepted: what became of each, in order.",
        "headers": {**_REPLAYED, **rate_headers()},
        "content": {
            "application/json": {
                "schema": _RESULTS,
                "example": {
                    "results": [
                        {"status": 202, "message": MESSAGE_EXAMPLE},
                        {"status": 422, "problem": _WRONG},
                    ]
                },
            }
        },
    },
}

POSTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/NewMessage"},
                        {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/NewMessage"},
                            "minItems": 1,
                            "maxItems": 1000,
                        },
                    ]
                },
                "examples": {
                    "one": {"value": NEW_EXAMPLE},
                    "many": {"value": [NEW_EXAMPLE, {**NEW_EXAMPLE, "to": "+13115552369"}]},
                },
            }
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key with the same content brings the first answer's messages again, "
            "and sends nothing twice. It belongs to the name of the API key. An array's message number i "
            "has the key `<key>/<i>`.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[\\x20-\\x7e]+$"},
            "example": "order-4711",
        }
    ],
}
