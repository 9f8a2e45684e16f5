"""pyarrow, loaded when a Parquet file is read or written: 170 MB that few need."""

from importlib import import_module
from typing import Any

from sendline.contract.errors import InvalidCampaign


def load_arrow(field: str, use: str) -> tuple[Any, Any]:
    """Return the modules pyarrow and pyarrow.parquet.

    Raises InvalidCampaign about `field` where it is not installed: a line that begins with `use`.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise InvalidCampaign(field, f"{use} needs pyarrow: pip install 'sendline[parquet]'") from None
