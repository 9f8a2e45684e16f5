"""One HTML page out of an OpenAPI document."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem}
h2{margin-top:3rem;border-bottom:1px solid #ccc}h3{margin-top:2rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{background:#f4f4f4;padding:.75rem;overflow:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-top:1px solid #e5e5e5}
.method{font-weight:600;text-transform:uppercase;margin-right:.5rem}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e8e8e8}pre{background:#242424}
td,th{border-color:#333}h2{border-color:#444}a{color:#8ab4f8}}
"""
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(document: dict[str, Any]) -> str:
    """Return the page: every operation with its parameters, its body's example and its answers."""
    about = document["info"]
    title = f"{escape(about['title'])} {escape(about['version'])}"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{title}</h1>{_paragraphs(about.get('description', ''))}",
            '<p>For programs: <a href="/openapi.json">/openapi.json</a></p>',
            *_chapters(document),
            "<h2>What goes in and out</h2>",
            *_schemas(document),
            "</body></html>",
        ]
    )


def _chapters(document: dict[str, Any]) -> Iterator[str]:
    chapters: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = methods[method].get("tags", ["other"])[0]
                chapters.setdefault(tag, []).extend(_operation(path, method, methods[method]))
    for tag, told in chapters.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        yield from told


def _operation(path: str, method: str, about: dict[str, Any]) -> Iterator[str]:
    yield f'<h3><span class="method">{method}</span><code>{escape(path)}</code></h3>'
    yield f"<p><b>{escape(about.get('summary', ''))}.</b></p>{_paragraphs(about.get('description', ''))}"
    parameters = about.get("parameters", [])
    if parameters:
        yield _table(
            ("Parameter", "Where", "What"),
            [(each["name"], each["in"], each.get("description", "")) for each in parameters],
        )
    for kind, body in about.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(kind)}</code>, {_type(body.get('schema', {}))}</p>{_examples(body)}"
    answers = [
        (status, answer["description"], _types(answer)) for status, answer in about["responses"].items()
    ]
    yield _table(("Status", "When", "Body"), answers, html_last=True)
    for status, answer in about["responses"].items():
        for body in answer.get("content", {}).values():
            if status.startswith("2"):
                yield _examples(body)


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3>{_paragraphs(schema.get("description", ""))}'
        if "enum" in schema:
            yield f"<p>One of <code>{escape(', '.join(map(str, schema['enum'])))}</code></p>"
        needed = schema.get("required", [])
        rows = [
            (field, _type(about), _said(about) + " Needed." * (field in needed))
            for field, about in schema.get("properties", {}).items()
        ]
        if rows:
            cells = "".join(
                f"<tr><td><code>{escape(field)}</code></td><td>{kind}</td><td>{what}</td></tr>"
                for field, kind, what in rows
            )
            yield f"<table><tr><th>Field</th><th>Type</th><th>What</th></tr>{cells}</table>"


def _said(about: dict[str, Any]) -> str:
    choices = ", ".join(map(str, about.get("enum", ())))
    return escape(about.get("description", "")) + (f" One of <code>{escape(choices)}</code>." * bool(choices))


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " or ".join(map(_type, several))
    kind = escape(str(schema.get("format") or schema.get("type", "any")))
    return f"{kind} of {_type(schema['items'])}" if "items" in schema else kind


def _types(answer: dict[str, Any]) -> str:
    return " or ".join(map(_body_type, answer.get("content", {}).values()))


def _body_type(body: dict[str, Any]) -> str:
    if "itemSchema" not in body:
        return _type(body.get("schema", {}))
    items = body["itemSchema"].get("oneOf", [body["itemSchema"]])
    return "events of " + " or ".join(_type(each["properties"]["data"]["contentSchema"]) for each in items)


def _examples(body: dict[str, Any]) -> str:
    given = [each["value"] for each in body.get("examples", {}).values()]
    given += [body["example"]] if "example" in body else []
    return "".join(
        f"<pre>{escape(each if isinstance(each, str) else json.dumps(each, indent=2))}</pre>"
        for each in given
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, html_last: bool = False) -> str:
    cells = [
        [each if html_last and place == len(row) - 1 else escape(each) for place, each in enumerate(row)]
        for row in rows
    ]
    titles = "".join(f"<th>{each}</th>" for each in head)
    lines = "".join("<tr>" + "".join(f"<td>{each}</td>" for each in row) + "</tr>" for row in cells)
    return f"<table><tr>{titles}</tr>{lines}</table>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(each)}</p>" for each in text.split("\n\n") if each.strip())
