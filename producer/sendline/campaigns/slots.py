"""One variable's place in a template: from a recipient's values to the text that stands there."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError

from sendline.campaigns.filters import MAX_STEP, Filter
from sendline.contract.draft import MAX_TEXT

_UNDEFINED: Final = StrictUndefined()
_MISUSE: Final = (TypeError, ArithmeticError, AssertionError, TemplateError)
"""What a filter raises of arguments that it can't take, and of a kind of value that it can't."""
_BROUGHT: Final = frozenset({"default", "default_value", "end", "new"})
"""Arguments of filters that may become a part of the text."""


class RenderError(ValueError):
    """A recipient's variables make no text that can be sent. One line: names the variable, not its value."""


@dataclass(frozen=True, slots=True)
class Step:
    """One filter with its arguments."""

    name: str
    filter: Filter
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def apply(self, value: Any) -> Any:
        """Return what the filter makes of `value`. Raises ValueError where the value is at fault."""
        return self.filter.apply(value, *self.args, **self.kwargs)

    @property
    def brought(self) -> str:
        """Those of its arguments that may become a part of the text."""
        given = inspect.signature(self.filter.apply).bind("", *self.args, **self.kwargs).arguments
        return "".join(str(value) for name, value in given.items() if name in _BROUGHT)


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one variable, and the filters that it goes through."""

    variable: str
    steps: tuple[Step, ...] = ()

    @property
    def is_optional(self) -> bool:
        """Whether it has a default for a recipient without the variable."""
        return bool(self.steps) and self.steps[0].name in {"default", "d"}

    def misused(self) -> str | None:
        """Return the filter whose arguments, or place in the chain, are wrong: it fails on any value."""
        for value in ("1", _UNDEFINED) if self.is_optional else ("1",):
            for step in self.steps:
                try:
                    value = step.apply(value)  # noqa: PLW2901 - it goes from filter to filter
                except ValueError:
                    break
                except _MISUSE:
                    return step.name
        return None

    def fill(self, values: Mapping[str, str]) -> str:
        """Return what stands here for these values, at most MAX_TEXT characters. Raises RenderError."""
        value: Any = values.get(self.variable)
        if not isinstance(value, str):
            value = self._absent(value)
        text: str = self._filtered(value) if self.steps else value
        if len(text) > MAX_TEXT:
            raise RenderError(f"{self.variable}: is longer than the {MAX_TEXT} characters that are sent")
        return text

    def _absent(self, value: object) -> StrictUndefined:
        if value is not None:
            raise RenderError(f"{self.variable}: is not a text")
        if not self.is_optional:
            raise RenderError(f"{self.variable}: is missing")
        return _UNDEFINED

    def _filtered(self, value: Any) -> str:
        for step in self.steps:
            if isinstance(value, str) and len(value) > MAX_STEP:
                raise RenderError(
                    f"{self.variable}: is longer than the {MAX_STEP} characters that a filter takes"
                )
            try:
                value = step.apply(value)
            except (ValueError, *_MISUSE):
                raise RenderError(
                    f"{self.variable}: {step.filter.fault}, for the filter {step.name}"
                ) from None
        return value if isinstance(value, str) else str(value)
