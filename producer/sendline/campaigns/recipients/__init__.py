"""The recipients of a campaign, read from files, streams and iterables: streamed, never held in memory."""

from sendline.campaigns.recipients.columns import Columns, masked
from sendline.campaigns.recipients.files import content_of
from sendline.campaigns.recipients.opening import open_source
from sendline.campaigns.recipients.rows import BadRow, Row
from sendline.campaigns.recipients.source import Source

__all__ = ["BadRow", "Columns", "Row", "Source", "content_of", "masked", "open_source"]
