"""A request that passed its era's rules, taken apart for the call path.

Counterpart of `era`, which makes it. Invariant: everything it gives comes from the decoded body;
of the headers it holds only what the body is compared with later.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wicketd.domain.calls import Era, Refusal
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy.jsonrpc import Message, Notification, Request, id_of
from wicketd.proxy.methods import Method

META_PREFIX: Final = "io.modelcontextprotocol/"
META_VERSION: Final = META_PREFIX + "protocolVersion"
META_CAPABILITIES: Final = META_PREFIX + "clientCapabilities"
META_CLIENT_INFO: Final = META_PREFIX + "clientInfo"
META_LOG_LEVEL: Final = META_PREFIX + "logLevel"

_LABEL_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Routed:
    """A request that passed its era's rules, taken apart for the call path.

    `message` and `method` are None for GET and DELETE; `method` also for posted responses, for
    notifications nobody knows (accepted and dropped) and beside a `pending` refusal.
    """

    era: Era
    version: str | None
    """Modern: the body's. Legacy: the header's; None means the session's negotiated one (L2)."""
    message: Message | None = None
    method: Method | None = None
    session_id: str | None = None
    """The legacy session that must exist; None if the request needs none (L3)."""
    pending: Refusal | None = None
    """What answers once the session was found: L3 comes before L7."""
    param_headers: Mapping[str, str] = field(default_factory=dict)
    """`mcp-param-*` as sent, lower-case names: M10 compares them."""

    @property
    def params(self) -> JsonObject:
        """The params of a request or notification, without `task` (L13)."""
        if isinstance(self.message, Request | Notification):
            return self.message.params
        return {}

    @property
    def meta(self) -> JsonObject:
        """`params._meta`, empty if there is none."""
        return as_object(self.params.get("_meta"))

    @property
    def front_id(self) -> int | str | None:
        """The id under which the client waits."""
        return id_of(self.message)

    @property
    def name(self) -> str:
        """The front name or URI that a checked method is about."""
        ref = as_object(self.params.get("ref"))
        for value in (self.params.get("name"), self.params.get("uri"), ref.get("name")):
            if isinstance(value, str):
                return value
        uri = ref.get("uri")
        return uri if isinstance(uri, str) else ""

    @property
    def arguments(self) -> JsonObject:
        """The one value that is decided and forwarded: `params.arguments`.

        Of a completion: the argument to complete and the ones that stand already.
        """
        if self.method is not None and self.method.name == "completion/complete":
            kept = {name: self.params.get(name) for name in ("argument", "context")}
            return {name: value for name, value in kept.items() if isinstance(value, dict)}
        return as_object(self.params.get("arguments"))

    @property
    def progress_token(self) -> int | str | None:
        """The client's own token, if it wants progress."""
        token = self.meta.get("progressToken")
        is_token = isinstance(token, int | str) and not isinstance(token, bool)
        return token if is_token and isinstance(token, int | str) else None

    @property
    def capabilities(self) -> JsonObject:
        """Modern: what the client declares with this request."""
        is_modern = self.era is Era.MODERN
        return as_object(self.meta.get(META_CAPABILITIES)) if is_modern else {}

    @property
    def inputs(self) -> JsonObject | None:
        """Modern: the client's answers to what a server asked."""
        answers = self.params.get("inputResponses") if self.era is Era.MODERN else None
        return answers if isinstance(answers, dict) else None

    @property
    def request_state(self) -> str | None:
        """Modern: the state that came with those questions."""
        state = self.params.get("requestState") if self.era is Era.MODERN else None
        return state if isinstance(state, str) else None

    @property
    def log_level(self) -> str | None:
        """Modern: the least severe level this request wants (M12)."""
        level = self.meta.get(META_LOG_LEVEL) if self.era is Era.MODERN else None
        return level if isinstance(level, str) else None

    @property
    def client(self) -> tuple[str | None, str | None]:
        """Modern: name and version of the client, for display only."""
        info = as_object(self.meta.get(META_CLIENT_INFO))
        return label(info.get("name")), label(info.get("version"))


def label(value: Json) -> str | None:
    """A client's own string for display: printable, at most 256 characters; None if it is none."""
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, value[:_LABEL_MAX]))


def as_object(value: Json) -> JsonObject:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
