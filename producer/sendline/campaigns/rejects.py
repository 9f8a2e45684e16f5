"""The file of rows that a campaign does not send to: line, reason and recipient, for its owner to mend."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from sendline.campaigns.checking import Rejected
from sendline.campaigns.defuse import defuse
from sendline.campaigns.locking import only_writer
from sendline.contract.errors import InvalidCampaign

HEADER_LINE: Final = b"line,reason,to,campaign\r\n"


class Rejects(Protocol):
    """Takes the rows that are not sent to."""

    def write(self, rejected: Sequence[Rejected]) -> None:
        """Take `rejected`."""
        ...


class Hearer:
    """Passes them on to a function."""

    def __init__(self, hear: Callable[[Sequence[Rejected]], None]) -> None:
        """`hear` gets them a stretch at a time."""
        self._hear = hear

    def write(self, rejected: Sequence[Rejected]) -> None:
        """Pass on `rejected`."""
        self._hear(rejected)


class RejectsFile:
    """A CSV file that is written as an import goes on, and goes on itself where an earlier one stopped."""

    def __init__(
        self, path: str | os.PathLike[str], campaign: str, *, done: int | None, rejected: int = 0
    ) -> None:
        """Open `path`, for the rows of `campaign`; `done` is None where that is new.

        Of what an earlier import of it wrote there, only rows up to line `done` are kept: the rest comes
        again. Where they are fewer than `rejected`, the file was another one or none: all of them are to come
        again, and `lacks_earlier` is true. The file holds phone numbers, so that only its owner may read it.

        Raises CampaignConflict while another import writes it, and InvalidCampaign, also where `path` holds
        anything else than rows of this campaign: then it is left as it is.
        """
        self.path = Path(os.path.realpath(path))  # two links to one file are one file
        self._campaign = campaign
        with ExitStack() as opened:
            try:
                opened.enter_context(only_writer(self.path))
                kept = _write(self.path, _kept(self.path, campaign, done)) - 1
                self.lacks_earlier = kept < rejected
                if self.lacks_earlier and kept:
                    _write(self.path, [HEADER_LINE])
                file = self.path.open("a", encoding="utf-8", newline="")
            except OSError as error:
                why = (error.strerror or "").lower()
                raise InvalidCampaign("rejects", f"can't be written: {why}") from None
            self._file: IO[str] = opened.enter_context(file)
            self._opened = opened.pop_all()
        self._csv: Any = csv.writer(self._file)

    def write(self, rejected: Iterable[Rejected]) -> None:
        """Add `rejected`; they are in the file when this returns."""
        self._csv.writerows(
            (each.line, each.reason, defuse(_one_line(each.to)), self._campaign) for each in rejected
        )
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


def _write(path: Path, lines: Iterable[bytes]) -> int:
    """Let `lines` take the place of what stands in the file, at once; return how many they are."""
    number = 0
    growing = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for line in lines:
                file.write(line)
                number += 1
            file.flush()
            os.fsync(file.fileno())
        growing.replace(path)
    finally:
        growing.unlink(missing_ok=True)
    return number


def _kept(path: Path, campaign: str, done: int | None) -> Iterator[bytes]:
    """Yield the header, and of what stands in the file the rows up to line `done`: one line each."""
    yield HEADER_LINE
    if not path.exists():
        return
    if not path.is_file():
        raise InvalidCampaign("rejects", "that is no file; name a new one")
    own = f",{campaign}\r\n".encode()
    with path.open("rb") as file:
        first = file.readline(len(HEADER_LINE) + 1)
        if first not in (b"", HEADER_LINE):
            raise InvalidCampaign("rejects", "that file holds something else; name a new one")
        for line in file:
            number = line.partition(b",")[0]
            is_whole = line.endswith(b"\n")  # the last line may have been cut off
            if done is None or (is_whole and not line.endswith(own)):
                raise InvalidCampaign("rejects", "that file holds another campaign's rows; name a new one")
            if is_whole and number.isdigit() and int(number) <= done:
                yield line


def _one_line(text: str) -> str:
    return " ".join(text.split())
