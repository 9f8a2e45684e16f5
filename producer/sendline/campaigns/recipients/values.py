"""Values of JSON, of Parquet and of Python as people write them."""

import math
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Integral, Real
from typing import Final
from uuid import UUID

from sendline.campaigns.recipients.rows import MAX_VALUE, TOO_LONG_A_VALUE, flaw_of

_TOO_LARGE: Final = 10**MAX_VALUE


def checked_text(value: object) -> str:
    """Return `value` as people write it. Raises ValueError, with a reason, for what can't be a value."""
    text = as_text(value)
    reason = flaw_of(text)
    if reason is not None:
        raise ValueError(reason)
    return text


def as_text(value: object) -> str:
    """Return `value` as people write it: 3.0 is 3, a date is 2026-01-31, null and not-a-number are nothing.

    Raises ValueError with a reason for what has no such form: a list, an object, an infinite number.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return _integer(int(value))
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, Real):
        return _float(float(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, UUID):
        return str(value)
    raise ValueError("a value is neither text, a number, a date nor true or false")


def _integer(value: int) -> str:
    if abs(value) >= _TOO_LARGE:
        raise ValueError(TOO_LONG_A_VALUE)
    return str(value)


def _float(value: float) -> str:
    if math.isfinite(value) and value.is_integer():
        return _decimal(Decimal(int(value)))
    return _decimal(Decimal(repr(value)))


def _decimal(value: Decimal) -> str:
    if value.is_nan():
        return ""
    if not value.is_finite():
        raise ValueError("a number is infinite")
    exponent = value.as_tuple().exponent
    if value.adjusted() > MAX_VALUE or (isinstance(exponent, int) and exponent < -MAX_VALUE):
        raise ValueError(TOO_LONG_A_VALUE)
    return format(value, "f")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("a value is binary") from None
