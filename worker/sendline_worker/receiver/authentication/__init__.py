"""Who may report: what an account demands of a request, besides the signed token in its path."""

from sendline_worker.receiver.authentication.addresses import Addresses
from sendline_worker.receiver.authentication.authenticator import Authenticator, Refusal, refusal
from sendline_worker.receiver.authentication.configured import authenticators_of
from sendline_worker.receiver.authentication.facts import Facts
from sendline_worker.receiver.authentication.login import Login
from sendline_worker.receiver.authentication.signature import Signature

__all__ = [
    "Addresses",
    "Authenticator",
    "Facts",
    "Login",
    "Refusal",
    "Signature",
    "authenticators_of",
    "refusal",
]
