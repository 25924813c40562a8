"""Protocols where siblings meet: `app.py` hands in the real ones, tests scripted ones."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from wicketd.domain.audit import AuditRow, Entry
from wicketd.domain.calls import (
    Answer,
    Call,
    Caller,
    Failure,
    FrontRequest,
    Outcome,
    Refusal,
)
from wicketd.domain.connections import Credential
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.policies import Decision

T = TypeVar("T")
SqlValue: TypeAlias = "int | float | str | bytes | None"


class Clock(Protocol):
    """The only source of time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; only differences mean something."""


class Random(Protocol):
    """The only source of randomness."""

    def bytes(self, count: int) -> bytes:
        """`count` bytes from the operating system."""


class Ids(Protocol):
    """Mints identifiers."""

    def uuid7(self) -> str:
        """A new UUIDv7 as lower-case text; later ones sort later."""


class Spawn(Protocol):
    """Starts a task that is kept, named and cancelled with its owner."""

    def __call__(self, work: Coroutine[Any, Any, Any], *, name: str) -> "Task":
        """Runs `work` in the background; `name` holds no secret."""


class Task(Protocol):
    """A running background task."""

    def cancel(self) -> bool:
        """Asks it to stop."""


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A read as a value: repositories build it, a transaction or a reader runs it."""

    sql: str
    params: tuple[SqlValue, ...]
    read: Callable[[Sequence[Any]], T]


@dataclass(frozen=True, slots=True)
class Statement:
    """A write as a value."""

    sql: str
    params: tuple[SqlValue, ...]


class Tx(Protocol):
    """The write transaction of one unit of work.

    Synchronous: it runs on the writer's thread, no network here.
    """

    def one(self, query: Query[T]) -> T | None:
        """The first row, or None."""

    def all(self, query: Query[T]) -> list[T]:
        """Every row."""

    def run(self, statement: Statement) -> int:
        """Executes a write and gives the number of rows it touched."""

    def fold(
        self,
        key: tuple[object, ...],
        counts: tuple[int, ...],
        into: "FoldInto",
        *,
        maxima: tuple[int, ...] = (),
    ) -> None:
        """Adds counters that are written once per commit group instead of once per unit.

        `key` names the row, its first element the kind of counter. `counts` are summed, of `maxima`
        the largest stays; the newest `into` of the key gets the counts followed by the maxima.
        """


FoldInto: TypeAlias = Callable[[tuple[object, ...], tuple[int, ...]], Statement]
"""Makes the upsert for a folded key from its summed counts and, behind them, its maxima."""


class Database(Protocol):
    """One writer that commits in groups, and readers that never block it."""

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Runs `work` in the next commit group and returns its result once it is durable.

        Raises:
            AuditNotDurable: the group did not become durable in time, or the database is degraded.
            WicketError: whatever `work` raised; its own writes are rolled back, the group goes on.
        """

    async def one(self, query: Query[T]) -> T | None:
        """The first row of a read, from a reader connection."""

    async def all(self, query: Query[T]) -> list[T]:
        """Every row of a read."""

    def stream(self, query: Query[T]) -> AsyncIterator[T]:
        """Rows one by one, in constant memory."""


class AuditRows(Protocol):
    """The statements that the journal needs from storage."""

    def head(self) -> Query[tuple[int, bytes, int]]:
        """(seq, hash, epoch) of the newest row; none in an empty log."""

    def insert(self, row: AuditRow) -> Statement:
        """Appends one row."""

    def insert_side(self, row: AuditRow, entry: Entry) -> Sequence[Statement]:
        """The rows of `audit_policies` and `audit_args` that belong to it."""

    def fold(self, tx: Tx, row: AuditRow, entry: Entry) -> None:
        """Feeds facets and hourly counts of the row into the commit group."""


class Journal(Protocol):
    """Appends chained rows inside the writer's transaction."""

    def append(self, tx: Tx, entry: Entry) -> AuditRow:
        """Chains `entry` behind the newest row; durable when the group commits."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one address. `html` holds no remote image; both texts may hold a secret link."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


class Mailer(Protocol):
    """Hands a message to whoever delivers it; it is kept nowhere on the way."""

    async def send(self, mail: Mail) -> None:
        """Delivers it.

        Raises:
            MailFailed: the mail server did not take it.
        """


class Front(Protocol):
    """The client's side of a running call: what may reach it before the answer."""

    def started(self, call: Call) -> None:
        """The call's intent is durable: from now on its progress token and log level are known."""

    def progress(self, params: JsonObject) -> None:
        """Relays a progress notification, under the client's own token; dropped if it gave none."""

    def log(self, params: JsonObject) -> None:
        """Relays a log message, if the client's level asks for it."""

    def elicited(self, elicitation_id: Json) -> None:
        """Relays that what an elicitation by URL asked for is done, if the client knows of it."""

    async def ask(self, questions: Mapping[str, JsonObject]) -> Mapping[str, JsonObject]:
        """Puts an upstream's questions (method, params) to the client, all at once.

        Gives a reply for each key, which holds a result or an error: also if the client cannot be
        asked or does not answer in time.
        """


class CallPorts(Protocol):
    """What `proxy.calls.handle_call` needs, in that order (protocol spec, section 1)."""

    async def identify(self, request: FrontRequest) -> Caller | Refusal:
        """Verifies the key and reads agent, member and account state."""

    def standing(self, caller: Caller) -> Refusal | None:
        """Whether agent, membership and account admit calls now."""

    def leave(self, caller: Caller) -> None:
        """Gives back the place in flight that `identify` took."""

    async def take_token(self, caller: Caller) -> Refusal | None:
        """Takes a rate token of the key's bucket, waiting in order for at most 2 s."""

    def new_call_id(self) -> str:
        """A UUIDv7 for the call."""

    def now_ms(self) -> int:
        """The one clock reading of the call."""

    async def refuse(
        self, caller: Caller, refusal: Refusal, call: Call | None, tool: str | None
    ) -> Refusal:
        """Records `call.denied` for a refusal that came before a decision.

        Gives it with its reference.
        """

    def mirrored_schema(self, call: Call) -> JsonObject | None:
        """The inputSchema of a tool in the member's list that mirrors arguments in headers, M10."""

    def open_state(self, caller: Caller, sealed: bytes) -> bytes | None:
        """What `seal_state` took from the same member of the same agent; else None."""

    def seal_state(self, caller: Caller, content: bytes) -> bytes:
        """Makes a round of a call unreadable and unchangeable for everybody outside."""

    def decide(self, call: Call) -> Decision | Refusal:
        """Decides in memory; an exception inside is a denial.

        A Refusal: steps 9 to 11 of product spec 5.
        """

    async def store_intent(self, call: Call, decision: Decision) -> Call | Refusal:
        """Durable intent, or the denial that is answered; the Call carries the id that stands."""

    async def credentials(self, call: Call) -> Credential | Failure:
        """Opens the member's credential, bound to its destination."""

    async def send(self, call: Call, credential: Credential, front: Front) -> Answer | Failure:
        """Forwards the decided value."""

    async def pause(self, seconds: float) -> None:
        """Lets an upstream that sheds load rest before it is asked again."""

    async def store_outcome(self, call: Call, outcome: Outcome) -> Refusal | None:
        """Durable outcome; a Refusal means the result is withheld."""
