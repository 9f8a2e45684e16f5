"""What users configure: one typed object, from arguments, the environment and sendline.toml."""

from sendline.settings.accounts import AccountSettings, RouteSettings
from sendline.settings.instances import check_redis_url, instance_dir, ledger_url, running_server
from sendline.settings.model import Settings

__all__ = [
    "AccountSettings",
    "RouteSettings",
    "Settings",
    "check_redis_url",
    "instance_dir",
    "ledger_url",
    "running_server",
]
