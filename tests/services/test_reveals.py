"""Reveals and proofs over real calls, real policies, a real audit key."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.calling import CAP, Calling, break_disk, mend_disk, open_calling
from tests.support.rehearsing import rehearsals_over
from tests.support.state import ADMIN, INSTALL_ID, tool
from tests.support.tampering import tamper
from wicketd.audit import checkpoint
from wicketd.domain.audit import AuditRow
from wicketd.domain.errors import Conflict, NotFound, Unhealthy
from wicketd.services import proofs
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.entries import Recording
from wicketd.services.proofs import Proof
from wicketd.services.recorded import RecordedArguments
from wicketd.services.reveals import ERASED, SET_GONE, TOOLS_CHANGED, Reveals
from wicketd.storage import audit
from wicketd.vault.keyring import AuditKey


def key_of(seed: int) -> AuditKey:
    """An audit key."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    return AuditKey("a1", {"a1": private}, "test")


KEY = key_of(7)
PUBLICS = (KEY.public,)
WHY = "incident 7"


def reveals_over(calling: Calling) -> Reveals:
    """The use case with a log that is really signed."""
    state = calling.state
    notary = Notary(
        lambda epoch, size, root: checkpoint.sign(KEY, INSTALL_ID, epoch, size, root),
        lambda _: None,
    )
    log = AuditLog(state.desk, notary, {})
    return Reveals(state.desk, log, rehearsals_over(state))


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Calling]:
    async with open_calling(tmp_path) as fresh:
        await fresh.policy("Cap", CAP)
        yield fresh


async def paid(calling: Calling, amount: float = 5) -> str:
    """The reference of one call of `pay`."""
    await calling.run(calling.call(await calling.caller(), "pay", arguments={"amount": amount}))
    return (await calling.last()).id


def verified(tmp_path: Path, proof: Proof) -> proofs.ProofReport:
    """What the third party is told."""
    file = tmp_path / "proof.json"
    file.write_bytes(msgspec.json.encode(proof))
    return proofs.of_file(file, PUBLICS)


async def test_arguments_are_shown_as_they_were_sent_and_the_reason_is_on_record(
    calling: Calling,
) -> None:
    ref = await paid(calling)
    found = await reveals_over(calling).reveal(ADMIN, ref, None, WHY)
    assert found.arguments == {"amount": 5}
    row = await calling.last()
    assert (row.kind, row.member_id) == ("audit.revealed", found.row.member_id)
    assert msgspec.json.decode(row.body)["after"] == {"reason": WHY, "entry": ref, "proof": False}


async def test_nothing_is_opened_where_the_row_cannot_be_written(
    calling: Calling, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, opened = RecordedArguments.open_salted, list[str]()

    def watched(recorded: RecordedArguments, row: AuditRow, envelope: bytes | None) -> Any:
        opened.append(row.id)
        return whole(recorded, row, envelope)

    monkeypatch.setattr(RecordedArguments, "open_salted", watched)
    ref = await paid(calling)
    await break_disk(calling.state.db)
    try:
        with pytest.raises(Unhealthy):
            await reveals_over(calling).reveal(ADMIN, ref, None, WHY)
        with pytest.raises(Unhealthy):
            await reveals_over(calling).prove(ADMIN, ref, None, WHY)
        assert opened == []
    finally:
        await mend_disk(calling.state.db)
    await reveals_over(calling).prove(ADMIN, ref, None, WHY)
    assert opened == [ref]
    row = await calling.last()
    assert row.kind == "audit.revealed"
    assert msgspec.json.decode(row.body)["after"] == {"reason": WHY, "entry": ref, "proof": True}


async def test_arguments_that_are_gone_are_refused_without_a_row(calling: Calling) -> None:
    ref = await paid(calling)
    await calling.state.db.write(lambda tx: tx.run(audit.erase_arguments(2**62)))
    before = len(await calling.state.rows())
    with pytest.raises(Conflict, match="not kept"):
        await reveals_over(calling).reveal(ADMIN, ref, None, WHY)
    with pytest.raises(NotFound):
        await reveals_over(calling).reveal(ADMIN, "ZZZZZZZZ", None, WHY)
    assert len(await calling.state.rows()) == before


@pytest.mark.parametrize(("amount", "word"), [(5, "allowed"), (5000, "denied")])
async def test_a_proof_is_verified_and_decided_again_from_the_file_alone(
    calling: Calling, tmp_path: Path, amount: float, word: str
) -> None:
    ref = await paid(calling, amount)
    proof = await reveals_over(calling).prove(ADMIN, ref, None, WHY)
    report = verified(tmp_path, proof)
    assert (report.exit_code, report.findings) == (0, ())
    assert word in report.lines[1]
    assert report.facts["exit"] == 0


async def test_a_proof_holds_the_outcome_and_stands_among_many_rows(
    calling: Calling, tmp_path: Path
) -> None:
    for _ in range(9):
        await paid(calling)
    call = await calling.run(calling.call(await calling.caller(), "look"))
    reveals = reveals_over(calling)
    (first, *_) = [row for row in await calling.state.rows() if row.kind == "call.intent"]
    proof = await reveals.prove(ADMIN, first.id, None, WHY)
    assert verified(tmp_path, proof).exit_code == 0
    assert call is not None
    again = await reveals.prove(ADMIN, first.id, None, WHY)
    assert again.checkpoint == proof.checkpoint, "a checkpoint that covers it is used again"
    newer = await reveals.prove(ADMIN, await paid(calling), None, WHY)
    assert newer.checkpoint != proof.checkpoint
    assert verified(tmp_path, newer).exit_code == 0


async def test_no_proof_is_made_of_a_log_that_is_not_whole(calling: Calling) -> None:
    reveals, ref = reveals_over(calling), await paid(calling)
    await reveals.prove(ADMIN, ref, None, WHY)
    await tamper(calling.state.db, "UPDATE audit SET hash = zeroblob(32) WHERE seq = 2")
    with pytest.raises(Unhealthy, match="does not agree"):
        await reveals.prove(ADMIN, ref, None, WHY)
    await tamper(calling.state.db, "DELETE FROM audit WHERE seq < 5")
    with pytest.raises(Conflict, match="are gone"):
        await reveals.prove(ADMIN, ref, None, WHY)


async def test_a_call_refused_before_policies_is_proven_as_a_row(
    calling: Calling, tmp_path: Path
) -> None:
    proof = await reveals_over(calling).prove(ADMIN, (await calling.last()).id, None, WHY)
    report = verified(tmp_path, proof)
    assert report.exit_code == 2
    assert "no call" in report.lines[-1]


def with_body(proof: Proof, **changes: Any) -> Proof:
    """The proof with another first row."""
    body = msgspec.json.decode(proof.rows[0].body) | changes
    text = msgspec.json.encode(body, order="deterministic").decode()
    row = msgspec.structs.replace(proof.rows[0], body=text)
    return msgspec.structs.replace(proof, rows=(row, *proof.rows[1:]))


def with_row(proof: Proof, **changes: Any) -> Proof:
    """The proof with its first row changed beside the body."""
    row = msgspec.structs.replace(proof.rows[0], **changes)
    return msgspec.structs.replace(proof, rows=(row, *proof.rows[1:]))


def with_arguments(proof: Proof, **changes: Any) -> Proof:
    """The proof with other arguments."""
    assert proof.arguments is not None
    given = msgspec.structs.replace(proof.arguments, **changes)
    return msgspec.structs.replace(proof, arguments=given)


def with_basis(proof: Proof, **changes: Any) -> Proof:
    """The proof with another basis."""
    assert proof.basis is not None
    return msgspec.structs.replace(proof, basis=msgspec.structs.replace(proof.basis, **changes))


def permissive(proof: Proof) -> Proof:
    """The first policy permits everything."""
    assert proof.basis is not None
    first, *others = proof.basis.policies
    text = "permit (principal, action, resource);"
    return with_basis(proof, policies=(msgspec.structs.replace(first, text=text), *others))


LIES: dict[str, Callable[[Proof], Proof]] = {
    "body": lambda proof: with_body(proof, decision="DENY"),
    "path": lambda proof: with_row(proof, path=(*proof.rows[0].path[:-1], "00" * 32)),
    "long path": lambda proof: with_row(proof, path=("00" * 32,) * 65),
    "prev": lambda proof: with_row(proof, prev="zz"),
    "seq": lambda proof: with_row(proof, seq=1),
    "arguments": lambda proof: with_arguments(proof, canonical='{"amount":6}'),
    "salt": lambda proof: with_arguments(proof, salt="AAAA"),
    "policy": permissive,
    "fewer policies": lambda proof: with_basis(proof, policies=()),
    "tools": lambda proof: with_basis(proof, services=()),
    "schema": lambda proof: with_basis(proof, schema="namespace X {}"),
    "note": lambda proof: msgspec.structs.replace(proof, checkpoint="none"),
    "another call": lambda proof: msgspec.structs.replace(
        proof, rows=(*proof.rows, msgspec.structs.replace(proof.rows[0], body="{}"))
    ),
}


@pytest.mark.parametrize("name", sorted(LIES))
async def test_no_part_of_a_proof_can_be_changed(
    calling: Calling, tmp_path: Path, name: str
) -> None:
    proof = await reveals_over(calling).prove(ADMIN, await paid(calling), None, WHY)
    assert verified(tmp_path, proof).exit_code == 0
    report = verified(tmp_path, LIES[name](proof))
    assert report.exit_code == 1, report.lines
    assert "FALSE" in report.lines[0]


async def test_a_true_row_that_the_policies_contradict_is_named(
    calling: Calling, tmp_path: Path
) -> None:
    """As if the daemon had recorded an allow that its own policies do not give."""
    proof = await reveals_over(calling).prove(ADMIN, await paid(calling, 5000), None, WHY)
    lied = with_body(proof, decision="ALLOW")
    row = msgspec.json.decode(lied.rows[0].body, type=proofs.Decided)
    (found,) = proofs.redecided(lied, row)
    assert "the row says otherwise" in found.message


async def test_without_the_key_or_with_another_one_nothing_is_proven(
    calling: Calling, tmp_path: Path
) -> None:
    proof = await reveals_over(calling).prove(ADMIN, await paid(calling), None, WHY)
    verified(tmp_path, proof)
    file = tmp_path / "proof.json"
    assert proofs.of_file(file, ()).exit_code == 2
    assert proofs.of_file(file, (key_of(1).public,)).exit_code == 1
    assert proofs.of_file(tmp_path / "none.json", PUBLICS).exit_code == 2
    file.write_text("{}")
    assert proofs.of_file(file, PUBLICS).exit_code == 2


async def test_what_is_gone_is_said_and_the_rest_is_proven(
    calling: Calling, tmp_path: Path
) -> None:
    state, reveals, ref = calling.state, reveals_over(calling), await paid(calling)
    state.upstreams.lists["open"] = [tool("look"), tool("pay"), tool("wipe", more="string")]
    await state.services.discover(ADMIN, "demo", "open")
    assert verified(tmp_path, await reveals.prove(ADMIN, ref, None, WHY)).exit_code == 0
    await tamper(state.db, "DELETE FROM schemas")  # as of a row of an older release
    proof = await reveals.prove(ADMIN, ref, None, WHY)
    assert proof.missing == (TOOLS_CHANGED,)
    await state.db.write(lambda tx: tx.run(audit.erase_arguments(2**62)))
    proof = await reveals.prove(ADMIN, ref, None, WHY)
    assert proof.missing == (ERASED, TOOLS_CHANGED)
    report = verified(tmp_path, proof)
    assert report.exit_code == 2
    assert report.lines[-2:] == (ERASED, TOOLS_CHANGED)
    await calling.policy("Later", CAP)
    await tamper(state.db, "DELETE FROM policy_revisions WHERE revision < 4")
    assert (await reveals.prove(ADMIN, ref, None, WHY)).missing == (ERASED, SET_GONE)


async def test_arguments_that_were_never_kept_cannot_be_shown(tmp_path: Path) -> None:
    async with open_calling(tmp_path, recording=Recording("digest")) as calling:
        reveals, ref = reveals_over(calling), await paid(calling)
        with pytest.raises(Conflict):
            await reveals.reveal(ADMIN, ref, None, WHY)
        proof = await reveals.prove(ADMIN, ref, None, WHY)
        assert proof.missing == (ERASED,)
        assert verified(tmp_path, proof).exit_code == 2
