"""One row of the admin API's table.

Fields of `request` that the path names travel in the path; the others are the query of GET and
DELETE and the JSON body of POST, PUT and PATCH. There is no second way to pass a value.
"""

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

Q = TypeVar("Q")
R = TypeVar("R")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[Q, R]):
    """One row. `{x}` in `path` is field `x` of `request`."""

    name: str
    method: Method
    path: str
    request: type[Q]
    response: type[R]
    permission: Literal["read", "write"] = "read"
    match: Literal["rev", "policy_revision"] | None = None
    """What `If-Match` must carry; None: the request needs no revision."""
    etag: Literal["rev", "policy_revision"] | None = None
    """The field of the answer that is its ETag."""
    audit: tuple[str, ...] = ()
    """Kinds of the rows that a success may write."""
    command: str
    """The command of `wicket` that does the same."""
    form: Literal["json", "events", "lines"] = "json"
    """"events": a stream of server-sent events; "lines": a streamed text.

    Neither has a deadline.
    """
    summary: str


AGENT: Final = "/v1/agents/{agent}"
"""The path below which everything of one agent lies."""
