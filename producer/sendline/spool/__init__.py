"""The spool: accepted messages on this machine's disk, while the ledger is away."""

from sendline.spool.delivery import Tally
from sendline.spool.directory import SpoolDirectory
from sendline.spool.entry import Entry
from sendline.spool.shelter import Shelter

__all__ = ["Entry", "Shelter", "SpoolDirectory", "Tally"]
