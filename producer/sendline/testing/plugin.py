"""The fixtures of sendline_pytest, for `pytest_plugins = ["sendline.testing.plugin"]` and `-p`.

What pytest finds by itself is sendline_pytest, outside this package: whoever imports a module of a package
imports the package, and a plugin that is always there must not do that before its fixture is used.
"""

from sendline_pytest import outbox, sendline_accounts, sendline_settings

__all__ = ["outbox", "sendline_accounts", "sendline_settings"]
