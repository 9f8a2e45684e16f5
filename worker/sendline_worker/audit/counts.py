"""Counts against records: what isn't so, and what the records prove the counts to be."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from sendline.contract.status import Status
from sendline_worker.audit.report import Finding

if TYPE_CHECKING:
    from sendline_worker.audit.reading import Pass

EXACT: Final = (Status.CREATED, Status.RETRYING, Status.SENDING)
"""The statuses whose records never end by themselves, so that there are as many as counted."""


def sum_findings(counts: Mapping[str, int]) -> Iterator[Finding]:
    """Return what isn't so with the counts alone."""
    total = sum(number for name, number in counts.items() if name != "accepted")
    if total != counts["accepted"]:
        yield Finding(f"{counts['accepted']} messages were accepted, but the statuses count {total}")
    for name, number in counts.items():
        if number < 0:
            yield Finding(f"the count of {name} is {number}")


def flying_findings(flying: Mapping[str, int]) -> Iterator[Finding]:
    """Return what isn't so with the accounts' counts alone."""
    for account, number in sorted(flying.items()):
        if number < 0:
            yield Finding(f"account {account} counts {number} calls under way")


def count_findings(seen: "Pass") -> Iterator[Finding]:
    """Return where counts and records differ, for a pass in which nothing moved."""
    yield from map(Finding, _differences(seen.counts, seen.by_status, seen.unreadable))
    for account, found in flying_found(seen).items():
        counted = seen.flying.get(account, 0)
        if counted >= 0:
            yield Finding(
                f"account {account} counts {counted} calls under way, and {found} messages are sending"
            )


def campaign_findings(seen: "Pass") -> Iterator[Finding]:
    """Return what isn't so with the counts of campaigns; against records where nothing moved meanwhile."""
    for name, counts in sorted(seen.campaigns.items()):
        for finding in sum_findings(counts):
            yield Finding(f"campaign {name}: {finding.what}")
        if seen.still:
            found = seen.by_campaign.get(name, Counter())
            for what in _differences(counts, found, seen.unreadable):
                yield Finding(f"campaign {name}: {what}")
    for name in sorted(seen.by_campaign.keys() - seen.campaigns.keys() if seen.still else ()):
        yield Finding(
            f"campaign {name} is not there, and {seen.by_campaign[name].total()} of its messages are"
        )


def _differences(counts: Mapping[str, int], found: Counter[Status], unreadable: int) -> Iterator[str]:
    """Return where counts and records differ; up to `unreadable` records may be of any status."""
    for status in Status:
        counted, there = counts[status.value], found[status]
        missing = counted - there if status in EXACT else 0
        if there > counted or missing > unreadable:
            yield f"{counted} messages count as {status.value}, and {there} records are"


def campaigns_derived(seen: "Pass") -> dict[str, dict[str, int]]:
    """Return what the records prove the counts of campaigns to be, for those that count otherwise."""
    proven = {
        name: derived(counts, seen.by_campaign.get(name, Counter()))
        for name, counts in seen.campaigns.items()
    }
    return {name: right for name, right in proven.items() if right and right != seen.campaigns[name]}


def flying_found(seen: "Pass") -> dict[str, int]:
    """Return the calls that are under way, for the accounts that count otherwise."""
    accounts = sorted(seen.flying.keys() | seen.sending.keys())
    return {name: seen.sending[name] for name in accounts if seen.flying.get(name, 0) != seen.sending[name]}


def derived(counts: Mapping[str, int], found: Counter[Status]) -> dict[str, int] | None:
    """Return what the records prove the counts to be; None where they prove nothing.

    Records of settled messages end, so there may be fewer of them than counted. Nothing that only a lost
    message would explain is ever made good.
    """
    accepted = counts["accepted"]
    if found.total() == accepted:
        return _counts(accepted, found)
    least = Counter(
        {s: found[s] if s in EXACT else max(found[s], counts[s.value]) for s in Status}
    )  # what each status counts at least
    if least.total() == accepted:
        return _counts(accepted, least)
    none_lost = all(counts[s.value] <= found[s] for s in EXACT)
    agrees = all(counts[s.value] == found[s] for s in Status)
    if agrees or (none_lost and found.total() > accepted):
        return _counts(least.total(), least)
    return None


def _counts(accepted: int, by_status: Counter[Status]) -> dict[str, int]:
    return {"accepted": accepted, **{status.value: by_status[status] for status in Status}}
