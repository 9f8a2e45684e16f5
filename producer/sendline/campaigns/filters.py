"""The filters that a campaign's template may use: the harmless and useful ones of Jinja2, by its own names.

Where they differ from Jinja2's, it is to keep a wrong text from being sent:
- int and float refuse what is no finite number, unless they are given a default (Jinja2's give 0);
- round also reads a text, since every variable is one (Jinja2's fails);
- default takes a text or a number, never none or true;
- replace stops before its result grows beyond MAX_STEP.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from jinja2 import StrictUndefined, Undefined, filters
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_STEP: Final = 16_000
"""Characters; the longest text that goes into a filter or comes out of one."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: the function that takes the value and the arguments, and what to say when it is misused."""

    apply: Callable[..., Any]
    usage: str
    fault: str = "is nothing this filter can work on"
    """What is wrong with a value that it fails on."""


_ABSENT: Final = object()
_NO_NUMBER: Final = "is not a number"


def _default(value: object, /, default_value: object = "", boolean: bool = False) -> object:  # noqa: FBT001, FBT002 - Jinja2's own
    if isinstance(default_value, bool):
        raise TypeError("what to write instead must be a text or a number")
    return default_value if isinstance(value, Undefined) or (boolean and not value) else value


def _replace(value: object, /, old: object, new: object, count: int = -1) -> str:
    text, old, new = str(value), str(old), str(new)
    times = text.count(old) if count < 0 else min(text.count(old), count)
    if len(text) + times * len(new) > MAX_STEP:
        raise ValueError("grows too long")
    return text.replace(old, new, count)


def _int(value: object, /, default: object = _ABSENT) -> object:
    return _number(filters.do_int(value, default=default), default)  # type: ignore[arg-type]


def _float(value: object, /, default: object = _ABSENT) -> object:
    number = filters.do_float(value, default=default)  # type: ignore[arg-type]
    return _number(number if number is default or math.isfinite(number) else default, default)


def _number(number: object, default: object) -> object:
    if isinstance(default, bool):
        raise TypeError("the default must be a text or a number")
    if number is _ABSENT:
        raise ValueError(_NO_NUMBER)
    return number


def _round(
    value: Any, /, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common"
) -> object:
    number: Any = _float(value) if isinstance(value, str) else value
    return filters.do_round(number, precision, method)


ENVIRONMENT: Final = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, cache_size=0
)
"""Reads the syntax; it has no globals, no tests and no filters but FILTERS."""

_DEFAULT: Final = Filter(_default, "default('friend') or, for an empty value too, default('friend', true)")

FILTERS: Final = {
    "capitalize": Filter(filters.do_capitalize, "capitalize, without arguments"),
    "d": _DEFAULT,
    "default": _DEFAULT,
    "float": Filter(_float, "float, or float(0) where it may be no number", _NO_NUMBER),
    "int": Filter(_int, "int, or int(0) where it may be no number", _NO_NUMBER),
    "lower": Filter(filters.do_lower, "lower, without arguments"),
    "replace": Filter(_replace, "replace('old', 'new') or replace('old', 'new', count)", "grows too long"),
    "round": Filter(_round, "round(precision=0, method='common', 'ceil' or 'floor')", _NO_NUMBER),
    "title": Filter(filters.do_title, "title, without arguments"),
    "trim": Filter(filters.do_trim, "trim or trim('characters')"),
    "truncate": Filter(
        partial(filters.do_truncate, ENVIRONMENT),
        "truncate(length=255, killwords=false, end='...', leeway=5), on a text",
    ),
    "upper": Filter(filters.do_upper, "upper, without arguments"),
    "urlencode": Filter(filters.do_urlencode, "urlencode, without arguments"),
}

ENVIRONMENT.globals.clear()
ENVIRONMENT.tests.clear()
ENVIRONMENT.filters.clear()
ENVIRONMENT.filters.update((name, each.apply) for name, each in FILTERS.items())
