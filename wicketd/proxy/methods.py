"""The table of MCP messages: where each exists, who may send it, how the policy covers it.

Counterpart of `era`, which routes by it. Invariant: a message without a row is unknown, in both
directions; adding a method starts here. Source: protocol spec, 2.3 L7, 2.4 M8, section 6.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from wicketd.domain.calls import Era
from wicketd.proxy.params import Param, Shape, optional, required


class Direction(StrEnum):
    """Who may send a message."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"
    BOTH = "both"


class PolicyAction(StrEnum):
    """What a policy-checked method is checked as."""

    TOOL = "tool"
    """The tool's own action, for example `GitHubMCP::Action::"delete_file"`."""
    GET_PROMPT = "get_prompt"
    READ_RESOURCE = "read_resource"
    BY_REFERENCE = "by_reference"
    """`get_prompt` or `read_resource`, as `ref.type` says."""


@dataclass(frozen=True, slots=True)
class Method:
    """One row: where a method exists, how the policy covers it, which params fit.

    `name_param`: the param that `Mcp-Name` mirrors. `is_filtered`: a list whose items are shown or
    hidden by the policy; it is not checked itself.
    """

    name: str
    eras: frozenset[Era]
    direction: Direction
    action: PolicyAction | None = None
    is_filtered: bool = False
    name_param: str | None = None
    params: tuple[Param, ...] = ()

    @property
    def is_checked(self) -> bool:
        """Whether a call of it is decided, audited and rate limited."""
        return self.action is not None

    @property
    def is_notification(self) -> bool:
        """Whether it has no answer."""
        return self.name.startswith("notifications/")

    def is_served(self, era: Era) -> bool:
        """Whether clients of `era` may send it."""
        return era in self.eras and self.direction is not Direction.TO_CLIENT


_ANY: Final = frozenset(Era)
_LEGACY: Final = frozenset({Era.LEGACY})
_MODERN: Final = frozenset({Era.MODERN})
_SERVER: Final = Direction.TO_SERVER
_CLIENT: Final = Direction.TO_CLIENT

_RETRY: Final = (optional("inputResponses", Shape.ANSWERS), optional("requestState", Shape.STRING))
_URI: Final = (required("uri", Shape.STRING),)
_CURSOR: Final = (optional("cursor", Shape.STRING),)
_CALL: Final = (required("name", Shape.STRING), optional("arguments", Shape.OBJECT), *_RETRY)
_PROMPT: Final = (required("name", Shape.STRING), optional("arguments", Shape.STRINGS), *_RETRY)
_COMPLETE: Final = (
    required("ref/type", Shape.STRING),
    required("argument/name", Shape.STRING),
    required("argument/value", Shape.STRING),
)
_INITIALIZE: Final = (
    required("protocolVersion", Shape.STRING),
    required("capabilities", Shape.OBJECT),
    required("clientInfo", Shape.OBJECT),
)
_LISTEN: Final = (
    required("notifications", Shape.OBJECT),
    optional("notifications/resourceSubscriptions", Shape.URIS),
)

_TOOL: Final = PolicyAction.TOOL
_READ: Final = PolicyAction.READ_RESOURCE

_ROWS: Final = (
    Method("initialize", _LEGACY, _SERVER, params=_INITIALIZE),
    Method("server/discover", _MODERN, _SERVER),
    Method("ping", _LEGACY, Direction.BOTH),
    Method("tools/list", _ANY, _SERVER, is_filtered=True, params=_CURSOR),
    Method("tools/call", _ANY, _SERVER, _TOOL, name_param="name", params=_CALL),
    Method("prompts/list", _ANY, _SERVER, is_filtered=True, params=_CURSOR),
    Method(
        "prompts/get", _ANY, _SERVER, PolicyAction.GET_PROMPT, name_param="name", params=_PROMPT
    ),
    Method("resources/list", _ANY, _SERVER, is_filtered=True, params=_CURSOR),
    Method("resources/templates/list", _ANY, _SERVER, is_filtered=True, params=_CURSOR),
    Method("resources/read", _ANY, _SERVER, _READ, name_param="uri", params=(*_URI, *_RETRY)),
    Method("resources/subscribe", _LEGACY, _SERVER, _READ, params=_URI),
    Method("resources/unsubscribe", _LEGACY, _SERVER, params=_URI),
    Method("completion/complete", _ANY, _SERVER, PolicyAction.BY_REFERENCE, params=_COMPLETE),
    Method("logging/setLevel", _LEGACY, _SERVER, params=(required("level", Shape.LEVEL),)),
    Method("subscriptions/listen", _MODERN, _SERVER, _READ, params=_LISTEN),
    Method("notifications/initialized", _LEGACY, _SERVER),
    Method("notifications/roots/list_changed", _LEGACY, _SERVER),
    Method("notifications/cancelled", _ANY, Direction.BOTH),
    Method("notifications/progress", _ANY, Direction.BOTH),
    Method("notifications/message", _ANY, _CLIENT),
    Method("notifications/tools/list_changed", _ANY, _CLIENT),
    Method("notifications/prompts/list_changed", _ANY, _CLIENT),
    Method("notifications/resources/list_changed", _ANY, _CLIENT),
    Method("notifications/resources/updated", _ANY, _CLIENT),
    Method("notifications/subscriptions/acknowledged", _MODERN, _CLIENT),
    Method("notifications/elicitation/complete", _LEGACY, _CLIENT),
    Method("elicitation/create", _LEGACY, _CLIENT),
    Method("sampling/createMessage", _LEGACY, _CLIENT),
    Method("roots/list", _LEGACY, _CLIENT),
)

METHODS: Final[Mapping[str, Method]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every message the front knows, by name."""
