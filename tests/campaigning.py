"""Campaigns in processes of their own, which tests kill."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sendline import Producer

if TYPE_CHECKING:
    from sendline.settings import Settings

TEXT = "campaign for {{ name }}"


def import_recipients(
    settings: "Settings", name: str, path: Path, rejects: Path, *, on_ready: Callable[..., None]
) -> int:
    """Import a campaign's recipients from a file, or go on with that."""
    with Producer(settings=settings) as producer:
        on_ready()
        producer.campaign(name, text=TEXT, recipients=path, rejects=rejects)
    return 0
