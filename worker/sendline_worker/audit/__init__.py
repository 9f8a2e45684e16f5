"""The audit: proves that the ledger is whole, or names what isn't so, and mends what is derived."""

from sendline_worker.audit.audit import Audit
from sendline_worker.audit.repair import Repair, Repaired
from sendline_worker.audit.report import Finding, Report

__all__ = ["Audit", "Finding", "Repair", "Repaired", "Report"]
