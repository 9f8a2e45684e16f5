"""docs/api.md says what the API does."""

import re
import shlex
from pathlib import Path

import httpx
import pytest

from sendline_worker.api import bounds, messages, protocol
from sendline_worker.api.problems import KINDS
from sendline_worker.api.sending import FIELDS

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text(encoding="utf-8")


def section(heading):
    _, _, rest = PAGE.partition(f"\n{heading}\n")
    assert rest, heading
    level = heading.split()[0]
    return re.split(rf"(?m)^#{{1,{len(level)}}} ", rest)[0]


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_problem_is_listed_with_its_status():
    listed = {row[1].strip("`"): int(row[0]) for row in rows(section("## Errors"))}
    assert listed == {kind.slug: kind.status for kind in KINDS.values()}


def test_every_field_of_a_message_is_listed():
    assert {row[0].strip("`") for row in rows(section("### Send one"))} == FIELDS


def test_the_bounds_are_those_in_force():
    told = {row[0]: row[1] for row in rows(section("## Bounds"))}
    assert told["a body"].startswith(f"{bounds.BODY_MOST // 1024**2} MiB")
    assert told["the time until a body has come"].startswith(f"{bounds.BODY_SECONDS:.0f} s")
    assert told["messages of a request"] == f"{messages.MOST:,}"
    assert told["connections of a process"] == f"{protocol.CONNECTIONS:,}"
    waiting = told["requests of a connection that wait for the answer before theirs"]
    assert waiting == str(protocol.ApiProtocol.waiting_most)
    unread = told["the time for which an answer may be left unread"]
    assert unread == f"{protocol.ApiProtocol.unread_seconds:.0f} s"
    assert f"is cut {unread} after" in PAGE
    most = f"{protocol.ApiProtocol.headers_most} headers, {protocol.ApiProtocol.head_bytes // 1024} KiB"
    assert told["the head of a request"] == most


def test_every_operation_is_shown(api):
    document = api.client().get("/openapi.json").json()
    for path, methods in document["paths"].items():
        shown = re.escape(path).replace(r"\{", "{").replace(r"\}", "}")
        pattern = re.sub(r"{\w+}", r"[^\\s/'\"?]+", shown)
        assert re.search(rf"{pattern}(?![\w/])", PAGE), f"{path} with {', '.join(methods)}"


def commands():
    joined = (section("## Messages") + section("## Health")).replace("\\\n", " ")
    return re.findall(r"(?m)^\$ (curl .+)$", joined)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_answered(api, new, command):
    client = api.client("send", "read")
    message_id = client.post("/v1/messages", json=new).json()["id"]
    answer = carry_out(api, command.replace("$ID", message_id), client.headers["Authorization"])
    is_wrong = '{"to": "12", "text": "Hello"}\'' in command and "[" not in command
    assert answer.status_code == (422 if is_wrong else 207 if "[{" in command else answer.status_code)
    assert answer.status_code < 400 or is_wrong


def carry_out(api, command, authorization):
    """Do what curl would."""
    words = iter(shlex.split(command)[1:])
    method, url, headers, body, as_query = None, "", {}, [], False
    for word in words:
        match word:
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body.append(next(words))
            case "-X":
                method = next(words)
            case "-G":
                as_query = True
            case _:
                url = word.replace("https://sms.example.com", api.url)
    if "Authorization" in headers:
        assert headers["Authorization"] == "Bearer $KEY"
        headers["Authorization"] = authorization
    if as_query:
        url, body = f"{url}?{'&'.join(body)}", []
    method = method or ("POST" if body else "GET")
    return httpx.request(method, url, headers=headers, content="&".join(body) or None, trust_env=False)
