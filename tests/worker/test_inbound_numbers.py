"""How the numbers of what came in are read: as one that we send to, or not at all."""

import pytest

from sendline_worker.inbound_numbers import read_ours, read_sender, region_of

US, GB, DE, FR, IT = "+13115552368", "+447911123450", "+4915112345670", "+33612345670", "+393123456780"

FORMS = [
    # what was told, the number written to, default_region, who it is
    ("+13115552396", GB, "GB", "+13115552396"),
    ("+1 (311) 555-2396", DE, None, "+13115552396"),
    ("+3115552399", US, "US", "+3115552399"),
    ("0013115552396", US, None, "+13115552396"),
    ("0013115552396", None, None, "+13115552396"),
    ("00 49 151 12345678", GB, None, "+4915112345678"),
    ("01113115552396", US, None, "+13115552396"),
    ("011447911123456", US, None, "+447911123456"),
    ("011447911123456", GB, None, "+447911123456"),
    ("01142734567", GB, None, "+441142734567"),
    ("01142 734567", US, None, None),
    ("13115552396", US, None, "+13115552396"),
    ("1-311-555-2396", US, None, "+13115552396"),
    ("13115552396", GB, "GB", "+13115552396"),
    ("13115552396", DE, None, "+13115552396"),
    ("13115552396", None, None, "+13115552396"),
    ("3115552399", US, None, "+13115552399"),
    ("(311) 555-2399", US, "NL", "+13115552399"),
    ("3115552399", None, "US", "+13115552399"),
    ("3115552399", None, None, None),
    ("3115552399", GB, None, None),
    ("2125551234", US, None, "+12125551234"),
    ("12125551234", GB, None, "+12125551234"),
    ("12125551234", DE, None, "+12125551234"),
    ("07911123456", GB, None, "+447911123456"),
    ("7911123456", GB, "US", "+447911123456"),
    ("447911123456", GB, None, "+447911123456"),
    ("447911123456", US, "US", "+447911123456"),
    ("015112345678", DE, None, "+4915112345678"),
    ("4915112345678", DE, None, "+4915112345678"),
    ("4915112345678", US, None, "+4915112345678"),
    ("447911123456", DE, None, "+447911123456"),
    ("3912345678", IT, None, "+393912345678"),
    ("393912345678", IT, None, "+393912345678"),
    ("0612345678", FR, None, "+33612345678"),
    ("33612345678", FR, None, "+33612345678"),
    ("0115661234", IT, None, "+390115661234"),
    ("72345", US, None, None),
    ("723456", DE, None, None),
    ("+72345", US, None, None),
    ("INFO", US, "US", None),
    ("Info 13115552396", US, "US", None),
    ("", US, "US", None),
    (" ", US, "US", None),
    ("00", US, "US", None),
    ("011", US, "US", None),
    ("()-", US, "US", None),
    ("0" * 20, US, "US", None),
    ("1" * 99, US, "US", None),
    ("\ud800", US, "US", None),
    ("3115552399", "72345", "US", "+13115552399"),
    ("3115552399", "+80012345678", "US", "+13115552399"),
]


@pytest.mark.parametrize(("told", "to", "region", "sender"), FORMS)
def test_a_number_is_read_as_one_that_is_surely_meant(told, to, region, sender):
    assert read_sender(told, to, region) == sender


@pytest.mark.parametrize(
    ("told", "senders", "region", "ours"),
    [
        ("+13115552368", (), None, US),
        ("13115552368", (US,), None, US),
        ("13115552368", (DE, US), "DE", US),
        ("3115552368", (DE, US), None, US),
        ("07911123450", (US, GB), "US", GB),
        ("0013115552368", (US,), "GB", US),
        ("3115552360", (US,), "US", "+13115552360"),
        ("3115552360", ("Sendline",), None, None),
        ("Sendline", ("Sendline",), None, "Sendline"),
        ("72345", (US,), "US", None),
        ("", ("Sendline", US), None, None),
    ],
)
def test_a_number_of_ours_is_first_sought_among_the_accounts_senders(told, senders, region, ours):
    assert read_ours(told, senders, region) == ours


def test_the_region_is_that_of_the_country_code():
    assert [region_of(each) for each in (US, GB, DE, "+80012345678", "72345", "Sendline")] == [
        "US",
        "GB",
        "DE",
        None,
        None,
        None,
    ]
