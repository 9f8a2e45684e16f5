"""Reads a template: Jinja2's syntax tree, by an allow-list of its nodes, into plain texts and slots.

What is not on the list is refused, whatever it is: Output of TemplateData, or of a Name with Filters whose
arguments are Const. Comments and {% raw %} are gone before there is a tree.
"""

import difflib
from collections.abc import Iterator
from typing import Final, NoReturn

from jinja2 import TemplateSyntaxError, nodes

from sendline.campaigns.filters import ENVIRONMENT, FILTERS
from sendline.campaigns.slots import Slot, Step
from sendline.contract.draft import MAX_TEXT
from sendline.contract.errors import InvalidCampaign

MAX_ARGUMENT: Final = MAX_TEXT
"""The largest number and the longest text that a filter takes as an argument."""

_FALLBACK: Final = "for a fallback write {{ name|default('friend', true) }}"
_COLUMN: Final = "give the value a name of its own"
_REASONS: Final[tuple[tuple[type[nodes.Node], str], ...]] = (
    (nodes.Or, f"'or' is not allowed; {_FALLBACK}"),
    (nodes.CondExpr, f"'if' is not allowed; {_FALLBACK}"),
    (nodes.Getattr, f"a dot after a variable (x.y) is not allowed; {_COLUMN}"),
    (nodes.Getitem, f"brackets after a variable (x[0]) are not allowed; {_COLUMN}"),
    (nodes.Call, "calls are not allowed; a filter is written {{ name|upper }}"),
    (nodes.Test, "tests (x is y) are not allowed"),
    (nodes.Literal, "{{ }} must begin with a variable; write what is constant as plain text"),
    (nodes.Expr, "operators are not allowed, only variables and filters"),
)
"""What to say of what is refused; the functions below decide what is not."""


def refuse(problem: str, line: int | None = None) -> NoReturn:
    """Raise InvalidCampaign of the text, in one line."""
    place = "" if line is None else f"line {line}: "
    raise InvalidCampaign("text", place + " ".join(problem.split())) from None


def unsendable(text: str) -> str | None:
    """Return why no provider could take `text`: NUL, or half of a surrogate pair."""
    if "\0" in text:
        return "holds a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which no encoding can carry"
    return None


def read(text: str) -> Iterator[str | Slot]:
    """Yield the plain texts and the slots of a template in order. Raises InvalidCampaign."""
    for output in _parse(text).body:
        if type(output) is not nodes.Output:
            refuse(_NO_BLOCKS, output.lineno)
        for node in output.nodes:
            yield node.data if type(node) is nodes.TemplateData else _slot(node)


_NO_BLOCKS: Final = "blocks ({% ... %}) are not allowed, only {{ variables }} with filters"


def _parse(text: str) -> nodes.Template:
    try:
        return ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        message = error.message or "is not Jinja2's syntax"
        refuse(_NO_BLOCKS if "Jinja was looking" in message else message, error.lineno)
    except RecursionError:
        refuse("is nested too deeply")
    except Exception:  # noqa: BLE001 - errors of Python's own come out of it too: a SyntaxError of {{ ٣.٣ }}
        refuse("is not Jinja2's syntax")


def _slot(node: nodes.Node) -> Slot:
    chain: list[nodes.Filter] = []
    while type(node) is nodes.Filter and node.node is not None:
        chain.append(node)
        node = node.node
    if type(node) is not nodes.Name or node.ctx != "load":
        refuse(next((why for kind, why in _REASONS if isinstance(node, kind)), "is not allowed"), node.lineno)
    slot = Slot(node.name, tuple(_step(each) for each in reversed(chain)))
    misused = slot.misused()
    if misused:
        _refuse_use(misused, node.lineno)
    return slot


def _step(node: nodes.Filter) -> Step:
    if node.name not in FILTERS:
        near = difflib.get_close_matches(node.name, FILTERS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        refuse(f"there is no filter {node.name!r}{hint}; known: {', '.join(FILTERS)}", node.lineno)
    kwargs = {str(pair.key): _constant(pair.value) for pair in node.kwargs}
    if node.dyn_args or node.dyn_kwargs or len(kwargs) < len(node.kwargs):
        _refuse_use(node.name, node.lineno)
    return Step(node.name, FILTERS[node.name], tuple(_constant(each) for each in node.args), kwargs)


def _constant(node: nodes.Node) -> str | float:
    if type(node) is not nodes.Const or not isinstance(node.value, str | int | float):
        refuse("an argument of a filter must be a constant: 'a text' or a number without a sign", node.lineno)
    value = node.value
    if not (len(value) if isinstance(value, str) else value) <= MAX_ARGUMENT:
        refuse(f"an argument of a filter is larger than {MAX_ARGUMENT}", node.lineno)
    why = unsendable(value) if isinstance(value, str) else None
    if why:
        refuse(f"an argument of a filter {why}", node.lineno)
    return value


def _refuse_use(name: str, line: int) -> NoReturn:
    refuse(f"the filter {name} can't be used like this; write {FILTERS[name].usage}", line)
