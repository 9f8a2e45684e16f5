"""What the simulator knows and decides; providers' faces and the control endpoints work on it."""

import asyncio
import random
import sys
import time
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sendline_worker.simulator.answers import JSON, Hang, Nothing, Ordinary, Reset, answer_for
from sendline_worker.simulator.behaviours import ORDINARY, Act, Behaviour, Report, of_number
from sendline_worker.simulator.entries import Entry, Log
from sendline_worker.simulator.face import RequestRefused, Submission
from sendline_worker.simulator.ids import Ids
from sendline_worker.simulator.receipts import Receipts
from sendline_worker.simulator.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from sendline_worker.simulator.face import Face, Incoming, Reporter
    from sendline_worker.simulator.options import Settings, SimulatorOptions

LONGEST_REQUEST = 1024 * 1024
_ANSWERING = frozenset({Act.ANSWER, Act.CUT})
_ANSWERS = {Act.HANG: "hang", Act.RESET: "reset", Act.RESET_EARLY: "reset", Act.CUT: "cut"}


class Simulation:
    """One running simulator: its log, its rules, its receipts under way."""

    def __init__(self, options: "SimulatorOptions") -> None:
        self.options = options
        self.rules = Rules()
        self._rng = random.Random(options.seed)
        self._ids = Ids()
        self.log = Log(options.max_entries, self._ids, options.log_file)
        self.receipts = Receipts(options, self.log, self._rng)
        self.stopping = asyncio.Event()
        self._met: set[int] = set()
        self.faces: dict[str, Face] = {}
        """A face of each provider, by its name."""

    @property
    def settings(self) -> "Settings":
        """What can be changed while it runs."""
        return self.receipts.settings

    @settings.setter
    def settings(self, settings: "Settings") -> None:
        self.receipts.settings = settings

    def reset(self) -> None:
        """Be as at the start: nothing logged, no rules, no receipts under way, the options' settings."""
        self.receipts.forget()
        self.rules.clear()
        self._met.clear()
        self.log.clear()
        self._ids.renew()
        self._rng.seed(self.options.seed)
        self.settings = self.options.settings()

    async def submit(self, request: "Request", face: "Face") -> Response:
        """Answer a request to send a message, in whatever way it shall be."""
        entry = Entry(time.time(), time.monotonic_ns(), face.provider)
        early = self.rules.early(face.provider)
        if early is not None:
            self._conclude(entry, early, "reset")
            return Reset()
        try:
            entry.account = sys.intern(face.account(request))
            submission = face.read(request, await read_body(request))
        except ClientDisconnect:
            self._conclude(entry, ORDINARY, "gone")
            return Nothing()
        except RequestRefused as refusal:
            entry.behaviour = "refused_by_the_book"
            entry.answer = str(refusal.status)
            self.log.add(entry)
            return Response(face.refused(refusal.status, refusal.reason), refusal.status, media_type=JSON)
        entry.recipient, entry.text = submission.recipient, submission.text
        entry.sender = sys.intern(submission.sender)
        entry.callback_url = submission.callback_url
        return await self._behave(request, face, submission, entry)

    async def _behave(
        self, request: "Request", face: "Face", submission: Submission, entry: Entry
    ) -> Response:
        behaviour = self._choose(submission, entry)
        entry.accepted = behaviour.accepts
        reporter = face.reporter
        entry.plan = behaviour.receipts if behaviour.accepts and reporter is not None else ()
        status = behaviour.status
        own = b""
        if behaviour.act in _ANSWERING:
            if status is None or status < 300:  # noqa: PLR2004
                usual, own = face.accepted(entry, self._ids.of(self.log.last + 1))
                status = status or usual
            else:
                own = face.refused(status, behaviour.what)
        self._conclude(entry, behaviour, str(status))
        run = self.receipts.run
        url = submission.callback_url or self.settings.callback_url
        if url is not None and reporter is not None and behaviour.early_receipts:
            await self.receipts.post_all(entry, reporter, url)
        await self._wait(behaviour)
        if url is not None and reporter is not None and not behaviour.early_receipts:
            self.receipts.begin(entry, reporter, url, run)
        return self._answer(request, behaviour, status or 200, own)

    async def enquire(
        self, request: "Request", face: "Face", recipient: str, usual: tuple[int, bytes]
    ) -> Response:
        """Answer a look-up or a search with `usual`, unless a rule for asking says otherwise."""
        self.log.counts.asked += 1
        behaviour = self.rules.take_asking(face.provider, recipient)
        status, own = usual
        if behaviour is None:
            behaviour = ORDINARY
        elif behaviour.status is not None:
            status = behaviour.status
            own = own if status < 300 else face.refused(status, behaviour.what)  # noqa: PLR2004
        await self._wait(behaviour)
        return self._answer(request, behaviour, status, own)

    async def _wait(self, behaviour: Behaviour) -> None:
        delay = self.settings.latency + self._rng.uniform(*behaviour.delay)
        if delay:
            await asyncio.sleep(delay)

    def _answer(self, request: "Request", behaviour: Behaviour, status: int, own: bytes) -> Response:
        if behaviour is ORDINARY:
            return Ordinary(status, own)
        match behaviour.act:
            case Act.RESET | Act.RESET_EARLY:
                return Reset()
            case Act.HANG:
                return Hang(self.options.hang_limit, self.stopping)
            case Act.ANSWER | Act.CUT:
                return answer_for(request, behaviour, status, own)

    def _choose(self, submission: Submission, entry: Entry) -> Behaviour:
        """Return what this request meets: a rule, else what its number says."""
        ruled = self.rules.take(entry.provider, submission.recipient)
        if ruled is not None or not self.settings.numbers:
            return ruled or ORDINARY
        behaviour = of_number(submission.recipient)
        if behaviour.first_only:
            key = hash((entry.provider, entry.recipient, entry.sender, entry.text, behaviour.name))
            if key in self._met:
                return ORDINARY
            self._met.add(key)
        return behaviour

    def _conclude(self, entry: Entry, behaviour: Behaviour, status: str) -> None:
        """Write down what is about to be done, before it is done."""
        entry.behaviour = behaviour.name
        entry.answer = sys.intern(_ANSWERS.get(behaviour.act, status))
        self.log.add(entry)

    async def bring(self, reporter: "Reporter", message: "Incoming", url: str, times: int) -> list[str]:
        """Let a message come in: post it to `url` so many times; return what each was answered."""
        body = reporter.incoming(message, self.settings.shape, time.time())
        return [await self.receipts.post(url, body) for _ in range(times)]

    def find(self, provider: str, account: str, provider_id: str) -> Entry | None:
        """Return the message with this id, where this account of this provider sent it."""
        entry = self.log.find(provider_id)
        if entry is None or (entry.provider, entry.account) != (provider, account):
            return None
        return entry

    def accepted(self, provider: str, account: str, since: float) -> "Iterator[Entry]":
        """Return what the account had accepted at `since` (unix seconds) and later, newest first."""
        for entry in self.log.newest():
            if entry.at < since:
                return
            if entry.accepted and (entry.provider, entry.account) == (provider, account):
                yield entry

    def reported(self, entry: Entry) -> list[Report]:
        """Return what the provider knows of a message by now, oldest first.

        Without a callback URL nothing is posted, and each step counts once its longest delay is over.
        """
        waited, reached = time.time() - entry.at, entry.reached
        due = 0.0
        for index, step in enumerate(entry.plan):
            due += self.settings.receipt_delay[1] + step.after
            if waited >= due:
                reached = max(reached, index + 1)
        return [step.report for step in entry.plan[:reached]]


async def read_body(request: "Request") -> bytes:
    """Return the request's body.

    Raises RequestRefused where it is longer than any message, ClientDisconnect where the client went away.
    """
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LONGEST_REQUEST:
            raise RequestRefused(413, "the request is too long")
    return body
