"""Requests and answers between HTTP and the contract's structs: path, query, body, ETag."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from wicketd.api.endpoints import Endpoint
from wicketd.domain.errors import BadRequest, RevisionRequired

_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,17})"')


def request_of(
    endpoint: Endpoint[Any, Any], path: Mapping[str, str], query: bytes, body: bytes
) -> Any:
    """The request struct of an endpoint; each of its fields has exactly one place.

    `path`: raw, percent-encoded path parameters.

    Raises:
        BadRequest: a field is missing, unknown, of the wrong type, or in the wrong place.
    """
    try:
        fixed = {name: unquote(value, errors="strict") for name, value in path.items()}
        if endpoint.method in ("GET", "DELETE"):
            return _from_query(endpoint, fixed, query, body)
        return _from_body(endpoint, fixed, query, body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _misfit(endpoint, str(error)) from error


def expected_revision(endpoint: Endpoint[Any, Any], header: str | None) -> int | None:
    """The revision of `If-Match`; None where the endpoint needs none.

    Raises:
        RevisionRequired: it is missing.
        BadRequest: it is not one quoted number.
    """
    if endpoint.match is None:
        return None
    if header is None:
        message = f"{endpoint.method} {endpoint.path} changes something that exists: send If-Match."
        raise RevisionRequired(message, hint=f"Read it first and send its {endpoint.match} along.")
    found = _ETAG.fullmatch(header.strip())
    if found is None:
        message = 'If-Match must be one quoted number, such as "3".'
        raise BadRequest(message)
    return int(found.group(1))


def etag_of(endpoint: Endpoint[Any, Any], answer: Any) -> str | None:
    """The ETag of an answer, where the endpoint has one."""
    return None if endpoint.etag is None else f'"{getattr(answer, endpoint.etag)}"'


def _from_query(
    endpoint: Endpoint[Any, Any], path: dict[str, str], query: bytes, body: bytes
) -> Any:
    if body:
        raise _misfit(endpoint, f"{endpoint.method} takes no body")
    values: dict[str, str] = {}
    for name, value in parse_qsl(query.decode(), keep_blank_values=True, errors="strict"):
        if name in values or name in path:
            raise _misfit(endpoint, f"`{name}` is given twice")
        values[name] = value
    return msgspec.convert({**values, **path}, endpoint.request, strict=False)


def _from_body(
    endpoint: Endpoint[Any, Any], path: dict[str, str], query: bytes, body: bytes
) -> Any:
    if query:
        raise _misfit(endpoint, f"{endpoint.method} takes no query")
    values = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    doubled = sorted(values.keys() & path.keys())
    if doubled:
        raise _misfit(endpoint, f"`{doubled[0]}` belongs into the path alone")
    return msgspec.convert({**values, **_typed(endpoint, path)}, endpoint.request)


def _typed(endpoint: Endpoint[Any, Any], path: dict[str, str]) -> dict[str, Any]:
    """Path values are text; a field that counts takes its number from it."""
    numbers = {f.encode_name for f in msgspec.structs.fields(endpoint.request) if f.type is int}
    return {
        n: msgspec.convert(v, int, strict=False) if n in numbers else v for n, v in path.items()
    }


def _misfit(endpoint: Endpoint[Any, Any], why: str) -> BadRequest:
    return BadRequest(
        f"This does not fit {endpoint.method} {endpoint.path}: {why}.",
        hint="docs/admin-api.md lists the fields of each request.",
    )
