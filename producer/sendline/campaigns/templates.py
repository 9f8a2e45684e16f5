"""The text of a campaign: Jinja2's syntax for variables and harmless filters, and nothing else of it.

    Hi {{ name|title|default('friend', true) }}, your code is {{ code }}.

Allowed are text, `{{ variable }}` with filters whose arguments are constants, `{# comments #}` and
`{% raw %}` (it only marks text, and is the way to write braces). The filters: capitalize, default (or d),
float, int, lower, replace, round, title, trim, truncate, upper, urlencode; filters.py tells where they
differ from Jinja2's. Jinja2 parses and its own functions filter, but no code is made of a template: it is
read into texts and slots, so nothing of Python can be reached, and a value is never read as a template.
As in Jinja2, line ends become line feeds; unlike there, the last one of the text stays.
"""

from collections.abc import Mapping
from typing import Final

from sendline.campaigns.slots import RenderError, Slot
from sendline.campaigns.syntax import read, refuse, unsendable
from sendline.contract.draft import MAX_TEXT

__all__ = ["MAX_SOURCE", "RenderError", "Template"]

MAX_SOURCE: Final = 4000
"""Characters of a template as it is written; what is sent has at most MAX_TEXT."""


class Template:
    """A checked text with places for variables. Never changes, so safe in threads; equal where the text is.

    Raises InvalidCampaign("text", ...), which names what is not allowed and its line.
    """

    __slots__ = ("_pieces", "_slots", "brought", "required", "text", "variables")

    text: str
    """The template as it was written."""
    variables: frozenset[str]
    """All names that it uses."""
    required: frozenset[str]
    """Those that every recipient must have: at least one of their places has no default."""
    brought: frozenset[str]
    """The characters that the template itself may bring into a text, whatever the variables are."""

    def __init__(self, text: str) -> None:
        self.text = _checked(text)
        parts = list(read(text))
        self._pieces = [part if isinstance(part, str) else "" for part in parts]
        self._slots = tuple((at, part) for at, part in enumerate(parts) if isinstance(part, Slot))
        slots = [slot for _, slot in self._slots]
        fixed = "".join(self._pieces)
        self.variables = frozenset(slot.variable for slot in slots)
        self.required = frozenset(slot.variable for slot in slots if not slot.is_optional)
        self.brought = frozenset(fixed).union(*(step.brought for slot in slots for step in slot.steps))
        if len(fixed) > MAX_TEXT:
            refuse(f"{len(fixed)} characters even without its variables; at most {MAX_TEXT} are sent")
        if not slots and not fixed.strip():
            refuse("is empty")

    @property
    def is_plain(self) -> bool:
        """Whether it has no variables, so that everyone gets the same text."""
        return not self._slots

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text for one recipient, fit to be sent; values that it doesn't use are ignored.

        Raises RenderError where a variable is missing or fails a filter, and where the text is empty, longer
        than MAX_TEXT, or holds what no provider could take. An empty value is no missing one.
        """
        pieces = self._pieces.copy()
        for at, slot in self._slots:
            pieces[at] = slot.fill(values)
        text = "".join(pieces)
        if len(text) > MAX_TEXT:
            raise RenderError(f"the text has {len(text)} characters; at most {MAX_TEXT} are sent")
        if not text or text.isspace():
            raise RenderError("the text is empty")
        why = unsendable(text)
        if why:
            raise RenderError(f"the text {why}")
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<Template of {len(self.text)} characters, variables: {', '.join(sorted(self.variables))}>"


def _checked(text: object) -> str:
    if not isinstance(text, str):
        refuse("must be a text")
    if len(text) > MAX_SOURCE:
        refuse(f"{len(text)} characters; a template has at most {MAX_SOURCE}")
    why = unsendable(text)
    if why:
        refuse(why)
    return text
