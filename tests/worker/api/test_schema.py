"""The API does what its OpenAPI document says, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = 10
"""Of each operation: what a run of seconds carries. Every boundary of the document is tried besides."""
CONFIG = """\
request-timeout = 10

[warnings]
display = []

[checks.negative_data_rejection]
# an array's messages are refused one by one, within a 207
expected-statuses = [207, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415, 422, 429, 431, 501, 503]

[[operations]]
# its answers have no end: of each, what has come by then is read, and the connection is closed
include-path = "/v1/events"
request-timeout = 0.25
max-stream-events = 2
"""

HOOKS = """\
import json
import schemathesis

@schemathesis.serializer("application/x-ndjson", "application/vnd.apache.parquet", "application/jsonl")
def lines(_context, value):
    text = value if isinstance(value, str) else json.dumps(value)
    return value if isinstance(value, bytes) else text.encode(errors="replace")
"""
"""How it writes bodies that it has no words for."""


@pytest.fixture
def document(api):
    return api.client().get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_schemathesis_finds_no_fault_and_no_answer_that_is_not_documented(api, new, document, tmp_path):
    for _ in range(3):  # of which /v1/events tells
        assert api.client("send").post("/v1/messages", json=new).status_code == 202
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "writing_lines.py").write_text(HOOKS)
    _, token = api.key("admin")
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{api.url}/openapi.json",
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),  # not every text is a number
        *("--header", f"Authorization: Bearer {token}"),
        *("--max-examples", str(EXAMPLES)),
        *("--suppress-health-check", "all", "--generation-database", "none"),
        *("--continue-on-failure", "--no-color"),
    ]
    environment = {
        **os.environ,
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(tmp_path),
        "SCHEMATHESIS_HOOKS": "writing_lines",
    }
    run = subprocess.run(
        list(map(str, command)),
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2000:]
    assert "No issues found" in run.stdout, run.stdout[-3000:]
    number = len(list(operations(document)))
    assert f"Tested: {number}\n" in run.stdout, run.stdout[-3000:]


def test_every_operation_has_a_name_a_chapter_and_words(document):
    names = []
    for where, operation in operations(document):
        assert operation["summary"], where
        assert operation["description"], where
        assert operation["tags"], where
        names.append(operation["operationId"])
    assert len(set(names)) == len(names)


def test_every_answer_is_a_problem_or_shown_by_an_example(document):
    schemas = document["components"]["schemas"]
    for where, operation in operations(document):
        for status, answer in operation["responses"].items():
            for kind, body in answer.get("content", {}).items():
                is_own = operation["tags"] == ["drop-in"]  # in its provider's shape
                assert int(status) < 400 or kind == "application/problem+json" or is_own, where
                named = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
                shown = "example" in body or body.get("examples") or schemas.get(named, {}).get("examples")
                assert shown, (where, status)


def test_every_operation_but_those_of_health_demands_a_key(document):
    for where, operation in operations(document):
        if operation["tags"] == ["health"]:
            assert "security" not in operation, where
        else:
            assert operation["security"] == [{"Bearer": []}, {"X-API-Key": []}], where
            assert {"401", "403", "503"} <= operation["responses"].keys(), where


def test_the_documentation_page_loads_nothing(api):
    answer = api.client().get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for word in ("<script", "<link", "<img", "src=", "http://", "https://", "url("):
        assert word not in answer.text, word
    for word in (
        "/v1/messages",
        "Send one message, or up to 1,000",
        "Your code is 4711",
        "request-too-slow",
        "events of <a",
    ):
        assert word in answer.text, word
