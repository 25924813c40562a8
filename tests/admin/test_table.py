"""Every row of the contract's table, over a real socket: documented, shaped, complete.

What rows do to a database: `test_effects`.
"""

import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.admin import admin_socket, get, post, raw, scripted
from wicketd.admin.handlers import HANDLERS
from wicketd.api.endpoints import ENDPOINTS, Endpoint
from wicketd.api.errors import STATUS

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROWS = pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)


def target(row: Endpoint[Any, Any]) -> str:
    return re.sub(r"\{(\w+)\}", "x", row.path)


def test_the_handlers_are_the_table() -> None:
    assert HANDLERS.keys() == {row.name for row in ENDPOINTS}


@ROWS
def test_each_row_is_documented(row: Endpoint[Any, Any]) -> None:
    page = (DOCS / "admin-api.md").read_text()

    assert f"\n## {row.name}\n" in page
    assert f"`{row.method} {row.path}`" in page


@ROWS
def test_each_handler_is_short_and_explained(row: Endpoint[Any, Any]) -> None:
    handler = HANDLERS[row.name]
    code = inspect.unwrap(handler).__code__
    last = max(line for _, _, line in code.co_lines() if line is not None)

    assert handler.__doc__
    assert last - code.co_firstlineno <= 12


@ROWS
async def test_a_request_that_does_not_fit_has_the_error_shape(
    tmp_path: Path, row: Endpoint[Any, Any]
) -> None:
    path_of_row = target(row)
    if row.method in ("GET", "DELETE"):
        request = get(path_of_row + "?no_such_field=1", method=row.method)
    else:
        request = post(path_of_row, b'{"no_such_field":1}', method=row.method)
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, request)
    body = msgspec.json.decode(answer.body, type=dict[str, Any])

    assert answer.status == STATUS[body["code"]] == 400
    assert body.keys() == {"code", "message", "hint", "details"}
    assert body["message"].endswith(".")


@pytest.mark.parametrize("row", [r for r in ENDPOINTS if r.match], ids=lambda row: row.name)
async def test_a_write_on_what_exists_needs_its_revision(
    tmp_path: Path, row: Endpoint[Any, Any]
) -> None:
    fields = {
        field.encode_name: {str: "x", bool: True, int: 1}.get(field.type)
        for field in msgspec.structs.fields(row.request)
        if field.required and "{" + field.encode_name + "}" not in row.path
    }
    known: dict[str, Any] = {"mode": "shadow", "tier": None, "confirm": "x", "policies": []}
    body = {name: known.get(name, value) for name, value in fields.items()}
    if row.method == "DELETE":
        query = "&".join(f"{name}={value}" for name, value in body.items())
        request = get(f"{target(row)}?{query}", method="DELETE")
    else:
        numbered = target(row)
        request = post(numbered, msgspec.json.encode(body), method=row.method)
    async with admin_socket(tmp_path, scripted()) as path:
        answer = await raw(path, request)

    assert (answer.status, msgspec.json.decode(answer.body)["code"]) == (
        428,
        "precondition_required",
    )
