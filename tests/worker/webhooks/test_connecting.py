"""The address that was checked is the one connected to, whatever the name server says and when."""

import asyncio

import aiohttp
import pytest

from sendline_worker.webhooks.addresses import Allowed, ForbiddenError
from sendline_worker.webhooks.connecting import CheckedConnector, CheckedResolver
from sendline_worker.webhooks.sending import Failed, Sender, Taken
from worker.webhooks.endpoint import Answers, answering, serving, then_closing

pytestmark = pytest.mark.anyio

OURS = "127.0.0.2"
ALLOWED = Allowed.of([f"{OURS}/32"])
"""Of this machine's addresses one is allowed. The others are as forbidden as any."""
CLOSE = then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def ours():
    async with serving(CLOSE, OURS) as endpoint:
        yield endpoint


@pytest.fixture
async def secret(ours):
    """A server on the same port of a forbidden address."""
    async with serving(CLOSE, "127.0.0.1", ours.port) as endpoint:
        yield endpoint


async def send(resolver, url, times=1):
    async with Sender(ALLOWED, resolver=resolver) as sender:
        return [await sender.send(url, "evt_1", b"{}") for _ in range(times)]


def is_forbidden(told):
    return isinstance(told, Failed) and "private or reserved" in told.reason and "127" not in told.reason


async def test_a_name_that_changes_after_it_was_checked_leads_nowhere_else(ours, secret):
    resolver = Answers([OURS], ["127.0.0.1"])
    told = await send(resolver, ours.at("hook.example"))
    assert told == [Taken()]
    assert resolver.asked == ["hook.example"], "a second look-up could have answered otherwise"
    assert (ours.connections, secret.connections) == (1, 0)


async def test_a_name_that_is_rebound_is_checked_for_each_connection(ours, secret):
    first, second, third = await send(Answers([OURS], ["127.0.0.1"], [OURS]), ours.at("hook.example"), 3)
    assert (first, third) == (Taken(), Taken())
    assert is_forbidden(second)
    assert (ours.connections, secret.connections) == (2, 0)


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1", OURS], [OURS, "127.0.0.1"], ["::1", "127.0.0.1", OURS], ["::ffff:127.0.0.1", OURS]],
)
async def test_of_mixed_answers_only_the_permitted_one_is_used(ours, secret, found):
    assert await send(Answers(found), ours.at("hook.example")) == [Taken()]
    assert (ours.connections, secret.connections) == (1, 0)


async def test_where_the_permitted_one_is_dead_the_forbidden_one_is_no_substitute(ours, secret):
    async with Sender(Allowed.of(["127.0.0.3/32"]), resolver=Answers(["127.0.0.3", "127.0.0.1"])) as sender:
        told = await sender.send(secret.at("hook.example"), "evt_1", b"{}")
    assert told == Failed("connection failed: Connection refused")
    assert secret.connections == 0


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["::1", "10.0.0.1"], ["::ffff:127.0.0.1"], ["fe80::1%lo"], ["x"]]
)
async def test_a_name_that_leads_to_forbidden_addresses_alone_is_not_called(ours, secret, found):
    (told,) = await send(Answers(found), ours.at("hook.example"))
    assert is_forbidden(told)
    assert secret.connections == 0


@pytest.mark.parametrize("host", ["0x7f.1", "0x7f000001", "localhost"])
async def test_an_odd_spelling_that_the_system_reads_as_loopback_is_refused_when_read(secret, host):
    (told,) = await send(None, secret.at(host))
    assert is_forbidden(told)
    assert secret.connections == 0


async def test_a_name_without_addresses_is_told(ours):
    (told,) = await send(Answers([]), ours.at("hook.example"))
    assert told == Failed("the host name can't be resolved")


async def test_a_name_that_no_name_server_could_hold_is_told(ours):
    (told,) = await send(None, ours.at("a" * 64 + ".invalid"))
    assert told == Failed("the host name can't be resolved")


async def test_a_host_allowed_by_name_leads_where_it_likes(secret):
    async with Sender(Allowed.of(["hooks.internal"]), resolver=Answers(["127.0.0.1"])) as sender:
        assert await sender.send(secret.at("hooks.internal"), "evt_1", b"{}") == Taken()
        assert is_forbidden(await sender.send(secret.at("other.internal"), "evt_1", b"{}"))
    assert secret.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"])
async def test_the_connector_by_itself_refuses_literals(secret, host):
    async with aiohttp.ClientSession(connector=CheckedConnector(ALLOWED)) as session:
        with pytest.raises(aiohttp.ClientOSError) as raised:
            await session.post(secret.at(host))
    assert isinstance(raised.value.__cause__, ForbiddenError)
    assert secret.connections == 0


async def test_the_connector_by_itself_refuses_to_follow_a_redirect_to_a_literal(secret):
    away = answering("307 Temporary Redirect", f"Location: {secret.url}")
    async with (
        serving(away, OURS) as ours,
        aiohttp.ClientSession(connector=CheckedConnector(ALLOWED)) as session,
    ):
        with pytest.raises(aiohttp.ClientOSError):
            await session.post(ours.url, allow_redirects=True)
    assert secret.connections == 0


async def test_the_connector_by_itself_uses_no_proxy(ours):
    async with aiohttp.ClientSession(connector=CheckedConnector(ALLOWED)) as session:
        with pytest.raises(aiohttp.ClientOSError) as raised:
            await session.post(ours.at("hook.example"), proxy=ours.url)
    assert isinstance(raised.value.__cause__, ForbiddenError)
    assert ours.connections == 0


@pytest.mark.parametrize("found", [["127.0.0.1"], ["127.0.0.1", "::1"], ["::ffff:127.0.0.1"]])
async def test_no_socket_is_made_for_a_forbidden_address_even_past_the_resolver(secret, found):
    connector = CheckedConnector(ALLOWED)
    connector._resolver = Answers(found)
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorError) as raised:
            await session.post(secret.at("hook.example"))
    assert isinstance(raised.value.os_error, ForbiddenError)
    assert secret.connections == 0


async def test_calls_at_the_same_time_are_each_judged_by_their_own_host(secret):
    async with Sender(Allowed.of(["hooks.internal"]), resolver=Answers(["127.0.0.1"])) as sender:
        urls = [secret.at("hooks.internal"), secret.at("hook.example")] * 5
        told = await asyncio.gather(*(sender.send(url, "evt_1", b"{}") for url in urls))
    assert told[::2] == [Taken()] * 5
    assert all(is_forbidden(each) for each in told[1::2])
    assert secret.connections == 5


async def test_the_resolver_is_closed_with_the_sender():
    resolver = Answers([])
    async with Sender(ALLOWED, resolver=resolver):
        assert not resolver.closed
    assert resolver.closed


async def test_the_resolver_keeps_the_order_of_what_it_lets_pass():
    resolver = CheckedResolver(Allowed(), Answers(["10.0.0.1", "8.8.8.8", "::1", "1.1.1.1"]))
    assert [each["host"] for each in await resolver.resolve("hook.example", 443)] == ["8.8.8.8", "1.1.1.1"]
