"""What may stand behind the ? of a redis_url: what is read there, and checks of it.

Other names are other clients' and say nothing here; but one that begins with ssl_ asks for safety, and is
refused where it would not be given.
"""

import re
from typing import Final
from urllib.parse import parse_qs

_TLS_VERSIONS: Final = ("769", "770", "771", "772")
_DEMANDS: Final = ("required", "optional", "none")
_FREE: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_ca_data",
        "ssl_certfile",
        "ssl_keyfile",
        "ssl_password",
        "ssl_ciphers",
    }
)
_TRUTHS: Final = ("1", "t", "true", "y", "yes", "0", "f", "false", "n", "no")


def check(query: str) -> None:
    """Check the options of a redis_url. Raises ValueError, which quotes no value."""
    for option, values in parse_qs(query, keep_blank_values=True).items():
        problem = _problem(option, values[0])
        if problem is not None:
            raise ValueError(f"its option {problem}")


def _problem(option: str, value: str) -> str | None:
    if option == "db":
        return None if re.fullmatch("[0-9]{1,4}", value) else "db must be the number of a database"
    if option == "ssl_cert_reqs":
        known = value.lower().removeprefix("cert_") in _DEMANDS
        return None if known else f"ssl_cert_reqs must be one of {', '.join(_DEMANDS)}"
    if option == "ssl_min_version":
        return None if value in _TLS_VERSIONS else "ssl_min_version must be 771 (TLS 1.2) or 772 (TLS 1.3)"
    if option == "ssl_check_hostname":
        return None if value.lower() in _TRUTHS else "ssl_check_hostname must be true or false"
    if option.startswith("ssl_") and option not in _FREE:
        return f"{option[:40]} is none that Sendline knows"
    return None
