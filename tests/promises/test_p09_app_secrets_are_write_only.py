"""P9: connector app secrets are encrypted and write-only: nothing returns the value or its length.

A canary is stored and then looked for in every GET of the admin API, in what `wicket --json`
prints, in the audit and in the files. The screens of the TUI come with the TUI: that part is not
proven here.

Removals tried: `AppClients.sealed` keeping the secret as it is (found in the files); the route
giving it back as the key id (found in the command's output); the length of the ciphertext read as
`last_error` (the answers of a short and a long secret differ).
"""

import base64
from pathlib import Path
from typing import Any

import msgspec

from tests.support.admin import get, raw, run_wicket
from tests.support.admin_cases import of_pinned, pinned
from tests.support.administered import Administered, administered
from tests.support.state import ADMIN
from wicketd.api.endpoints import ENDPOINTS
from wicketd.domain.ports import Query
from wicketd.vault.secret import Secret

CANARY = "p9-canary-1f0a77e2"
FORMS = (
    CANARY.encode(),
    base64.b64encode(CANARY.encode()).rstrip(b"="),
    base64.urlsafe_b64encode(CANARY.encode()).rstrip(b"="),
    CANARY.encode().hex().encode(),
)
TARGETS = [
    row.path.format(
        agent="demo",
        member="bob",
        service="pinned",
        key="pinned",
        policy="baseline-pinned",
        version="1",
        revision="1",
        session="ts_0",
        ref="00000000",
        account="nobody@example.test",
        replay="none",
    )
    + ("?from=1&to=1" if row.path.endswith("/diff") else "")
    for row in ENDPOINTS
    if row.method == "GET" and row.form != "events"
]
COMMANDS = (
    "service show demo pinned",
    "service list demo",
    "service tools demo pinned",
    "service drift demo pinned",
    "catalogue show pinned",
    "agent show demo",
    "connection list demo",
    "audit list agent:demo",
    "audit export --format jsonl",
    "audit export --format csv",
    "status",
    "config",
    "keyring",
)


async def store(there: Administered, secret: str) -> None:
    """An admin's command stores the app."""
    line = ("service", "credentials", "demo", "pinned", "--client-id", "an-app", "--json")
    ran = await run_wicket(there.socket, *line, stdin=secret)
    assert ran.code == 0, ran.err
    assert secret not in ran.out + ran.err
    assert set(msgspec.json.decode(ran.out)["result"]) == {"set_at", "kid"}


def leaks(data: bytes) -> list[bytes]:
    """The forms of the secret that stand in `data`."""
    return [form for form in FORMS if form in data]


async def test_no_answer_no_command_no_row_and_no_file_holds_the_secret(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        await pinned(there)
        await store(there, CANARY)
        for target in TARGETS:
            answer = await raw(there.socket, get(target))
            assert answer.status in (200, 404), target
            assert leaks(answer.body) == [], target
        for command in COMMANDS:
            ran = await run_wicket(there.socket, *command.split(), "--json")
            assert ran.code == 0, (command, ran.err)
            assert leaks((ran.out + ran.err).encode()) == [], command
        assert leaks("".join(row.body for row in await there.state.rows()).encode()) == []
        assert leaks(there.state.file_bytes()) == []


async def shown(there: Administered) -> dict[str, Any]:
    """Everything that the API says of the service, without the times and counters of a change."""
    answers = {}
    for target in TARGETS:
        if "services" in target:
            body = msgspec.json.decode((await raw(there.socket, get(target))).body)
            for item in [body, *body.get("items", ())]:
                item.pop("rev", None)
                item.pop("secret_set_at", None)
            answers[target] = body
    return answers


async def test_nothing_tells_how_long_the_secret_is(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        await pinned(there)
        await store(there, "short")
        before = await shown(there)
        await store(there, "s" * 4_000)
        assert await shown(there) == before
        assert before


async def test_a_secret_that_was_replaced_or_cleared_is_gone_from_the_files(
    tmp_path: Path,
) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        await pinned(there)
        await store(there, CANARY)
        query = Query("SELECT client_secret_ct FROM services WHERE key = 'pinned'", (), bytes_of)
        (sealed,) = await there.state.db.all(query)
        assert sealed in there.state.file_bytes()
        await there.state.flows.apps.clear(ADMIN, "demo", "pinned")
        assert sealed not in there.state.file_bytes()


def bytes_of(row: Any) -> bytes:
    """The first column."""
    return bytes(row[0])


async def test_a_read_only_peer_neither_stores_nor_clears(tmp_path: Path) -> None:
    async with administered(tmp_path) as there:
        await there.state.connected()
        await pinned(there)
        line = ("service", "credentials", "demo", "pinned", "--client-id", "an-app")
        ran = await run_wicket(there.read_only, *line, stdin=CANARY)
        assert ran.code == 4
        rev = await of_pinned(there)
        await there.state.flows.apps.put(
            ADMIN, "demo", "pinned", "an-app", Secret(CANARY.encode()), expected=rev
        )
        ran = await run_wicket(
            there.read_only, "service", "credentials-clear", "demo", "pinned", "--yes"
        )
        assert ran.code == 4
        assert (await there.state.services.get("demo", "pinned")).service.has_app
