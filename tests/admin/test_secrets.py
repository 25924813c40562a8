"""No answer holds a key, a token or a link, but the one that issues it."""

from pathlib import Path

import pytest

from tests.support.admin import get, raw
from tests.support.administered import administered
from tests.support.state import ADMIN
from wicketd.api import endpoints
from wicketd.api.endpoints import AUDIT_EXPORT, ENDPOINTS
from wicketd.api.types.audit import AuditExport
from wicketd.api.types.invites import InviteCreate
from wicketd.api.types.members import MemberRef

ASKED = "asked@example.test"
CANARY = "canary-token-4711"


@pytest.mark.requirement("P15")
async def test_reading_everything_shows_no_key_and_no_token(tmp_path: Path) -> None:
    targets = [
        row.path.format(
            agent="demo",
            member="bob",
            service="notes",
            key="notes",
            policy="baseline-notes",
            version="1",
            revision="1",
            session="ts_0",
            ref="00000000",
            account=ASKED,
            replay="none",
        )
        + ("?from=1&to=1" if row.path.endswith("/diff") else "")
        for row in ENDPOINTS
        if row.method == "GET" and row.form == "json"
    ]
    async with administered(tmp_path) as there, there.client() as client:
        await there.state.connected()
        issued = await client.call(endpoints.KEY_ISSUE, MemberRef(agent="demo", member="bob"))
        await there.state.connections.set_static(ADMIN, "demo", "bob", "notes", CANARY.encode())
        invite = InviteCreate(agent="demo", email=ASKED)
        link = (await client.call(endpoints.INVITE_CREATE, invite)).url.rpartition("/")[2]
        answers = [await raw(there.socket, get(target)) for target in targets]
        log = "".join([line async for line in client.lines(AUDIT_EXPORT, AuditExport())])

    secret = issued.text.split("_")[1].encode()
    assert "connection.sealed" in log
    assert secret.decode() not in log
    assert CANARY not in log
    assert link not in log
    assert issued.text.startswith("wkt_")
    assert issued.key.key_id in issued.text
    for target, answer in zip(targets, answers, strict=True):
        assert answer.status in (200, 404), target
        assert secret not in answer.body, target
        assert CANARY.encode() not in answer.body, target
        assert link.encode() not in answer.body, target
