"""How long an endpoint that failed is left alone."""

import pytest

from sendline_worker.webhooks.backoff import LONGEST, seconds

ALMOST = 1 - 2**-53


@pytest.mark.parametrize(
    ("tries", "full"), [(0, 5), (1, 5), (2, 10), (3, 20), (9, 1280), (10, 2560), (11, 3600), (10_000, 3600)]
)
def test_a_wait_doubles_up_to_an_hour_and_chance_takes_off_up_to_half(tries, full):
    assert seconds(tries, 0) == full
    assert seconds(tries, 0.5) == full * 0.75
    assert full / 2 <= seconds(tries, ALMOST) < full / 2 + 0.001


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 10), (0, 10), (3, 10), (60, 60), (3600, 3600), (86_400, LONGEST), (1e308, LONGEST)],
)
def test_what_an_endpoint_asks_for_is_honoured_up_to_an_hour_and_shortens_nothing(asked, wait):
    assert seconds(2, 0, asked) == wait
