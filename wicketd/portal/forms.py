"""Reads what a browser sends: path, query and form, each strictly. Pure.

Invariant: a name that comes twice, bytes that are no UTF-8 and a form in another encoding are
refused, so that no two readers can disagree about a value.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from wicketd.domain.errors import BadRequest

MAX_FORM: Final = 64 * 1024
MAX_QUERY: Final = 4 * 1024
_FIELDS_MAX: Final = 32
_FORM_TYPE: Final = b"application/x-www-form-urlencoded"
_OWN_PATH: Final = re.compile(r"/(?:agents|join|account)(?:/[A-Za-z0-9_.~-]+)*")
_OWN_PATH_MAX: Final = 400
_SHAPE: Final = "This form did not arrive as it was sent. Open the page again, then send it anew."


def fields(text: bytes) -> Mapping[str, str]:
    """The names and values of a form or query.

    Raises:
        BadRequest: a name comes twice, there are more than 32, or the bytes are no text.
    """
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError as error:
        raise BadRequest(_SHAPE) from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest(_SHAPE)
    return found


def lenient(text: bytes) -> Mapping[str, str]:
    """A query that only chooses what is shown: one that cannot be read is as good as none."""
    try:
        return fields(text) if text else {}
    except BadRequest:
        return {}


def is_form(content_type: bytes | None) -> bool:
    """Whether a body is declared as a form; a charset other than UTF-8 is another thing."""
    if content_type is None:
        return False
    kind, _, parameter = content_type.partition(b";")
    charset = parameter.strip().lower().replace(b'"', b"")
    return kind.strip().lower() == _FORM_TYPE and charset in {b"", b"charset=utf-8"}


def own_path(text: str, otherwise: str) -> str:
    """A place of ours to go on to; whatever else somebody put there is `otherwise`."""
    is_ours = len(text) <= _OWN_PATH_MAX and _OWN_PATH.fullmatch(text) is not None
    return text if is_ours and "/." not in text else otherwise
