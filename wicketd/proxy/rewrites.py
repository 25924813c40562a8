"""URIs of an upstream as the front shows them: `service+uri`. Pure.

Counterpart of `names`. Rewritten are the places that a client may use in its next request; text,
arguments and structured content are never touched, and web addresses in content blocks stay, for
clients open those themselves. Source: protocol spec, 3.1.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from wicketd.domain.calls import Call, Era
from wicketd.domain.json import Json, JsonObject
from wicketd.proxy import names

RESOURCE_NOT_FOUND: Final = -32002
_INVALID_PARAMS: Final = -32602
_COMPLETIONS_MAX: Final = 100
_WEB: Final = ("http:", "https:")

_Rewrite: TypeAlias = Callable[[Json, str], Json]


def result(answer: JsonObject, call: Call) -> JsonObject:
    """A copy of an upstream's result with front URIs."""
    if call.method == "resources/read":
        return {**answer, "contents": _each(answer.get("contents"), call.service, _item)}
    if call.method == "tools/call":
        return {**answer, "content": _each(answer.get("content"), call.service, _block)}
    if call.method == "prompts/get":
        return {**answer, "messages": _each(answer.get("messages"), call.service, _message)}
    if call.method == "completion/complete":
        return {**answer, "completion": _completion(answer.get("completion"))}
    return answer


def error(sent: JsonObject, call: Call) -> JsonObject:
    """A copy of an upstream's error: the URI in its data as the client sent it.

    A legacy client is told of a missing resource by the code that its revision has for it.
    """
    data = sent.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
        return sent
    rewritten = {**sent, "data": _item(data, call.service)}
    is_missing = sent.get("code") == _INVALID_PARAMS and data["uri"] == call.name
    if is_missing and call.method == "resources/read" and call.era is Era.LEGACY:
        rewritten["code"] = RESOURCE_NOT_FOUND
    return rewritten


def listed(item: JsonObject, service: str, field: str) -> JsonObject:
    """An item of a list under its front name or URI; `field`: name, uri or uriTemplate."""
    join = names.join if field == "name" else names.join_uri
    return {**item, field: join(service, str(item.get(field)))}


def _each(items: Json, service: str, rewrite: _Rewrite) -> Json:
    return [rewrite(item, service) for item in items] if isinstance(items, list) else items


def _item(item: Json, service: str) -> Json:
    if not isinstance(item, dict) or not isinstance(item.get("uri"), str):
        return item
    return {**item, "uri": names.join_uri(service, str(item["uri"]))}


def _block(block: Json, service: str) -> Json:
    """A content block: a link to a resource, or one that is embedded."""
    if not isinstance(block, dict):
        return block
    if block.get("type") == "resource_link" and not _is_web(block):
        return _item(block, service)
    resource = block.get("resource")
    if block.get("type") == "resource" and isinstance(resource, dict) and not _is_web(resource):
        return {**block, "resource": _item(resource, service)}
    return block


def _is_web(item: JsonObject) -> bool:
    return str(item.get("uri")).lower().startswith(_WEB)


def _message(message: Json, service: str) -> Json:
    if not isinstance(message, dict):
        return message
    return {**message, "content": _block(message.get("content"), service)}


def _completion(completion: Json) -> Json:
    if not isinstance(completion, dict):
        return completion
    values = completion.get("values")
    return {**completion, "values": values[:_COMPLETIONS_MAX] if isinstance(values, list) else []}
