"""An open source of recipients."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from sendline.campaigns.recipients.rows import BadRow, Row


class Source:
    """Recipients that are read one by one: an iterator of rows, and a context manager that closes the file.

    Iterating raises InvalidCampaign where a file turns out to be unreadable as a whole.
    """

    __slots__ = (
        "_close",
        "_read",
        "_rows",
        "encoding",
        "fingerprint",
        "guessed",
        "name",
        "size",
        "variables",
    )

    def __init__(
        self,
        rows: Iterator[Row | BadRow],
        *,
        name: str,
        variables: tuple[str, ...] | None = None,
        encoding: str | None = None,
        guessed: bool = False,
        size: int | None = None,
        fingerprint: str | None = None,
        read: Callable[[], int] = int,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._rows = rows
        self._read = read
        self._close = close
        self.name = name
        """What the source is called in errors: the file's path, or "standard input"."""
        self.variables = variables
        """The columns that all rows have beside recipient and overrides; None: each row has its own."""
        self.encoding = encoding
        """The encoding of a text file; None where there is none."""
        self.guessed = guessed
        """Whether the encoding is a guess: short texts are easily guessed wrong, so tell it."""
        self.size = size
        """Bytes of a regular file; None where nobody knows."""
        self.fingerprint = fingerprint
        """Equal for a file that is the same as one read before; None for streams and iterables."""

    @property
    def read(self) -> int:
        """Bytes read so far (characters, of a file that is open as text); 0 where there are none."""
        return self._read()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self._rows

    def __next__(self) -> Row | BadRow:
        return next(self._rows)

    def __repr__(self) -> str:
        return f"<Source {self.name}>"
