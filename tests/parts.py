"""Settings of the parts that tests start."""

from contextlib import closing

from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings, ledger_url
from sendline_worker.audit import Audit, Finding


def quick_settings(**changes) -> Settings:
    """Settings with short waits, apart from the machine's environment."""
    return Settings.model_construct(
        _fields_set=set(),
        **{
            "retry_base": 0.5,
            "retry_max": 1.0,
            "max_attempts": 5,
            "call_timeout": 2.0,
            "processes": 2,
            **changes,
        },
    )


def audit_findings(settings: Settings) -> tuple[Finding, ...]:
    """What an audit of the ledger behind `settings` finds wrong."""
    with closing(Ledger(ledger_url(settings))) as ledger:
        return Audit(ledger, Limits.of(settings)).run().findings
