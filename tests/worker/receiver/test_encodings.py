"""Bodies that come compressed are read like others, within the same bound; an unknown encoding is told."""

import gzip
import hashlib
import hmac
import json
import logging
import tracemalloc
import zlib

import pytest

from sendline.settings import AccountSettings
from sendline_worker.receiver.authentication import authenticators_of
from sendline_worker.receiver.decoding import decoded
from sendline_worker.receiver.exchange import BODY_MOST, BodyTooLarge
from worker.receiver.house import NUMBER, OPENTACT, data, head, housed, new_provider_id

SECRET = "a secret that is shared"


def bare_deflate(body):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKED = [
    ("gzip", gzip.compress),
    ("X-GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("identity", bytes),
]
BOMB = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    signature = {"secret": SECRET, "header": "X-Signature"}
    account = AccountSettings(**OPENTACT, receipts_signature=signature)
    demands = {"other": authenticators_of(account, trusted_proxies=(), public_url=None)}
    with housed(tmp_path_factory.mktemp("house"), demands=demands) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_counted(house):
    house.app.state.counts.clear()


def post(house, body, encoding, account="main", **headers):
    url = house.account_url(account)
    return house.client.post(url, content=body, headers={"content-encoding": encoding} | headers)


def delivered(house, account="main"):
    provider_id = new_provider_id()
    return house.sent(provider_id, account), json.dumps(data(provider_id, "delivered")).encode()


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
def test_a_compressed_receipt_is_read(house, encoding, pack):
    message_id, body = delivered(house)
    assert post(house, pack(body), encoding).status_code == 200
    assert house.status(message_id) == "delivered"


def test_one_that_comes_in_pieces_is_read_too(house):
    message_id, body = delivered(house)
    packed = gzip.compress(body)
    assert post(house, (packed[at : at + 7] for at in range(0, len(packed), 7)), "gzip").status_code == 200
    assert house.status(message_id) == "delivered"


def test_what_is_signed_are_the_bytes_as_they_were_sent(house):
    message_id, body = delivered(house, "other")
    packed = gzip.compress(body)
    right, wrong = (hmac.new(SECRET.encode(), each, hashlib.sha256).hexdigest() for each in (packed, body))
    with house.unmoved():
        assert post(house, packed, "gzip", "other", **{"x-signature": wrong}).status_code == 403
        assert post(house, packed, "br", "other", **{"x-signature": wrong}).status_code == 403
    assert post(house, packed, "gzip", "other", **{"x-signature": right}).status_code == 200
    assert house.status(message_id) == "delivered"


@pytest.mark.parametrize(("encoding", "pack"), PACKED[:4])
def test_the_bound_of_a_body_holds_for_what_is_in_it(house, encoding, pack):
    message_id, body = delivered(house)
    largest = body + b" " * (BODY_MOST - len(body))
    with house.unmoved():
        answer = post(house, pack(largest + b" "), encoding)
    assert (answer.status_code, answer.json()) == (413, {"error": "too large"})
    assert house.app.state.counts == {"too_large": 1}
    assert post(house, pack(largest), encoding).status_code == 200
    assert house.status(message_id) == "delivered"


@pytest.mark.parametrize(("encoding", "pack"), PACKED[:4])
def test_a_bomb_is_not_decompressed(encoding, pack):
    bomb = pack(bytes(BOMB))
    assert len(bomb) < BODY_MOST
    scope = {"headers": [(b"content-encoding", encoding.encode())]}
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decoded(scope, bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 * BODY_MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_another_encoding_is_answered_415_and_told_in_one_line(house, caplog, encoding):
    _, body = delivered(house)
    with caplog.at_level(logging.WARNING), house.unmoved():
        answer = post(house, body, encoding)
    assert (answer.status_code, answer.json()) == (415, {"error": "unsupported encoding"})
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert house.app.state.counts == {"unknown_encoding": 1}
    assert [each.getMessage() for each in caplog.records if each.name == "sendline.receiver"] == [
        "account main: a request with receipts: its Content-Encoding is not one of gzip, deflate"
    ]


def test_two_headers_are_two_encodings(house):
    url = house.account_url()
    lines = ["Content-Encoding: gzip", "Content-Encoding: gzip", "Content-Length: 1", "Connection: close"]
    assert house.raw(head(url, *lines) + b"x").startswith(b"HTTP/1.1 415 ")


def test_a_request_without_a_body_has_nothing_to_decompress(house):
    provider_id = new_provider_id()
    message_id = house.sent(provider_id, "plain")
    url, query = house.account_url("plain"), {"id": provider_id, "status": "delivered"}
    assert house.client.get(url, params=query, headers={"content-encoding": "br"}).status_code == 200
    assert house.status(message_id) == "delivered"


def test_what_can_not_be_read_is_kept_decompressed_so_that_an_erasure_finds_it(house):
    body = f'["{NUMBER}"]'.encode()
    assert post(house, gzip.compress(body), "gzip", **{"content-type": "text/plain"}).status_code == 200
    found = house.rejected()[0]
    assert (found.body, found.size, found.headers["content-type"]) == (body, len(body), "text/plain")
    assert "content-encoding" not in found.headers


PLAIN = data("abc", "delivered")["data"]


@pytest.mark.parametrize(
    "spoil",
    [lambda packed: packed[:-1], lambda packed: packed + b"x", lambda packed: packed[:20] + b"\xff" * 20],
)
def test_what_is_damaged_is_told_and_nothing_of_it_is_kept(house, spoil):
    packed = spoil(gzip.compress(json.dumps(PLAIN).encode()))
    assert post(house, packed, "gzip").status_code == 200
    found = house.rejected()[0]
    assert (found.why, found.body, found.size) == ("not what its Content-Encoding says", b"", len(packed))
    assert found.headers["content-encoding"] == "gzip"
    assert house.app.state.counts == {"unreadable": 1}


def test_what_is_not_compressed_at_all_is_kept_as_it_came(house):
    body = json.dumps(PLAIN).encode()
    assert post(house, body, "gzip").status_code == 200
    assert house.rejected()[0].body == body
