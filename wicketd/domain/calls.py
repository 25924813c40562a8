"""One MCP call on its way.

Who asks, what for, how it may be refused, how it ended (product spec, section 5).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wicketd.domain.agents import Agent
from wicketd.domain.ids import CallId, KeyId
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.members import Member
from wicketd.domain.secret import SecretBytes
from wicketd.domain.sessions import SessionCandidate


class Era(StrEnum):
    """The two families of MCP revisions the front speaks (protocol spec, line 2)."""

    LEGACY = "legacy"
    MODERN = "modern"


@dataclass(frozen=True, slots=True)
class FrontRequest:
    """One HTTP request on `/mcp`.

    Raw header pairs (names lower case) and the whole, capped body.
    """

    method: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    peer_ip: str

    def values(self, name: bytes) -> list[bytes]:
        """Every value sent under the lower-case header `name`, in order."""
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified key with the live state of its agent and member.

    `secret`: the 32 bytes that open tokens.
    """

    agent: Agent
    member: Member
    key_id: KeyId
    key_row: str
    secret: SecretBytes
    ip: str
    user_agent: str
    is_blocked: bool = False
    """The member's account is blocked."""


class Subject(StrEnum):
    """What a call is about."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Call:
    """One decoded, policy-checked request.

    `arguments` is the one parsed value that is decided and forwarded.
    """

    id: CallId
    caller: Caller
    method: str
    service: str
    name: str
    """The tool's or prompt's name, or the URI, as the upstream knows it."""
    arguments: JsonObject
    era: Era
    protocol_version: str
    front_id: int | str
    at_ms: int
    sessions: tuple[SessionCandidate, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    """`mcp-param-*` only, lower case: what M10 compares with the arguments."""
    progress_token: int | str | None = None
    log_level: str | None = None
    client_name: str | None = None
    client_version: str | None = None
    parent_call_id: CallId | None = None
    bytes_in: int = 0
    subject: Subject = Subject.TOOL
    capabilities: JsonObject = field(default_factory=dict)
    """What the client declared, with this request or for its session."""
    inputs: JsonObject | None = None
    """Its answers to what the upstream asked in the round before."""
    upstream_state: str | None = None
    held: str | None = None
    """The name of the waiting call that this one goes on with."""
    round: int = 0
    """How often the upstream has asked already."""

    @property
    def front_name(self) -> str:
        """The name or URI as the client sent it."""
        mark = "+" if self.subject is Subject.RESOURCE else "__"
        return f"{self.service}{mark}{self.name}"


class RefusalKind(StrEnum):
    """One member per row of protocol spec, section 8.

    `proxy.errors` holds status, code and text of each.
    """

    HOST = "invalid_host"
    ORIGIN = "invalid_origin"
    NO_BEARER = "missing_bearer"
    BAD_KEY = "unknown_key"
    TOO_MANY_FAILURES = "too_many_failures"
    CONCURRENCY = "too_many_concurrent"
    AGENT_DISABLED = "agent_disabled"
    NOT_APPROVED = "not_approved"
    BLOCKED = "account_blocked"
    HTTP_METHOD = "method_not_allowed"
    CONTENT_TYPE = "content_type"
    CONTENT_ENCODING = "content_encoding"
    NOT_ACCEPTABLE = "not_acceptable"
    BODY_TOO_LARGE = "body_too_large"
    BODY_TIMEOUT = "body_timeout"
    PARSE = "parse_error"
    SHAPE = "invalid_message"
    NO_SESSION = "missing_session"
    UNKNOWN_SESSION = "unknown_session"
    HEADER_MISMATCH = "header_mismatch"
    VERSION = "unsupported_version"
    PARAMS = "invalid_params"
    METHOD = "method_not_found"
    RATE = "rate_limited"
    TOOL_NAME = "tool_name"
    UNKNOWN_SERVICE = "unknown_service"
    SERVICE_OFF = "service_not_enabled"
    HELD = "tool_held"
    ARGUMENTS = "invalid_arguments"
    DENIED = "denied"
    NOT_CONNECTED = "not_connected"
    RECONNECT = "needs_reconnect"
    SCOPES = "scopes_missing"
    UNREACHABLE = "unreachable"
    INVALID_ANSWER = "invalid_answer"
    UPSTREAM_RATE = "upstream_rate_limited"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    AUDIT_REFUSED = "audit_not_writable"
    AUDIT_WITHHELD = "result_withheld"
    DRAINING = "draining"
    INTERNAL = "internal"
    CURSOR = "invalid_cursor"
    NOTHING_TO_LIST = "nothing_to_list"
    RESOURCE = "resource_not_found"
    ID_IN_FLIGHT = "id_in_flight"
    UNKNOWN_EVENT = "unknown_event"
    STATE = "invalid_request_state"
    INPUT = "input_refused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal is a value: an expected answer.

    `values` fill the row's text; `call_id` gives the reference.
    """

    kind: RefusalKind
    values: Mapping[str, str] = field(default_factory=dict)
    call_id: CallId | None = None
    retry_after_s: int | None = None
    data: Mapping[str, Json] = field(default_factory=dict)
    """Further members of `error.data` (not of `data.wicket`)."""


class OutcomeStatus(StrEnum):
    """How an allowed call ended; closed (product spec, section 4)."""

    OK = "ok"
    TOOL_ERROR = "tool_error"
    UPSTREAM_ERROR = "upstream_error"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    NO_CREDENTIALS = "no_credentials"
    WITHHELD = "withheld"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the upstream answered: exactly one of `result` and `error`.

    `status`: its HTTP status.
    """

    result: JsonObject | None
    error: JsonObject | None
    status: int | None
    upstream_ms: int
    bytes_out: int
    generation: int | None = None
    """Of the credential that was sent, if it is not the one that was opened first."""
    is_held: bool = False
    """It is a question of an upstream that still waits; its state is a name of ours."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer: the outcome to record and the refusal to send."""

    outcome: OutcomeStatus
    refusal: Refusal
    status: int | None = None
    upstream_ms: int = 0
    cap: str | None = None
    """The cap that was passed, if one was (protocol spec, 4.7)."""
    generation: int | None = None
    """As in `Answer`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The row that closes a stored intent. Times in ms, sizes in bytes."""

    status: OutcomeStatus
    upstream_status: int | None = None
    upstream_ms: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    result: JsonObject | None = None
    """Only for the keyed digest; never stored."""
    cap: str | None = None
    connection_id: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer: a body, or a stream of already framed SSE chunks.

    `headers`: lower-case names.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
    stream: AsyncIterator[bytes] | None = None
