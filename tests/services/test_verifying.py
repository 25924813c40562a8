"""The log of a database or an export, verified without a daemon."""

from pathlib import Path

import pytest

from tests.support.state import INSTALL_ID, CountedRandom, State
from tests.support.tampering import tamper
from wicketd.audit import checkpoint
from wicketd.audit.export import jsonl_line
from wicketd.audit.report import CANNOT_VERIFY, OK, TAMPERED
from wicketd.services.audit import AuditLog, Notary
from wicketd.services.verifying import Proofs, of_database, of_export
from wicketd.storage import meta
from wicketd.vault import keyring

KEY = keyring.parse_audit_key(keyring.generate_audit_key("2026-11-24T00:00:00Z", CountedRandom()))
PUBLICS = tuple(KEY.publics.values())


async def signed(state: State) -> str:
    """A log with some rows under one checkpoint; gives the signed note."""
    await state.db.write(lambda tx: tx.run(meta.put_once("install_id", INSTALL_ID.hex())))
    await state.connected()
    return await sign(state)


async def sign(state: State) -> str:
    """Signs what is there; gives the note."""
    notes: list[str] = []
    notary = Notary(lambda *head: checkpoint.sign(KEY, INSTALL_ID, *head), notes.append)
    await AuditLog(state.desk, notary, {}).checkpoint()
    return notes[0]


async def test_a_log_is_whole_until_a_byte_of_it_changes(state: State) -> None:
    await signed(state)
    path = state.directory / "wicket.db"
    assert of_database(path, Proofs(PUBLICS)).exit_code(strict=True) == OK
    await tamper(state.db, "UPDATE audit SET body = replace(body, 'demo', 'dem0') WHERE seq = 1")
    report = of_database(path, Proofs(PUBLICS))
    assert (report.exit_code(), report.first_bad_seq) == (TAMPERED, 1)


async def test_a_checkpoint_kept_elsewhere_shows_a_log_that_was_cut(state: State) -> None:
    note = await signed(state)
    await tamper(state.db, "DELETE FROM audit WHERE seq > 1", "DELETE FROM audit_checkpoints")
    path = state.directory / "wicket.db"
    assert of_database(path, Proofs(PUBLICS)).exit_code() == CANNOT_VERIFY
    assert of_database(path, Proofs(PUBLICS, (note,))).exit_code() == TAMPERED


@pytest.mark.requirement("FC20")
async def test_without_key_checkpoint_or_file_nothing_is_called_whole(
    state: State, tmp_path: Path
) -> None:
    await state.connected()
    path = state.directory / "wicket.db"
    assert of_database(path, Proofs(PUBLICS)).exit_code() == CANNOT_VERIFY
    await sign(state)
    for proofs in (Proofs(()), Proofs((bytes(32),))):
        assert of_database(path, proofs).exit_code() != OK
    missing = of_database(tmp_path / "none.db", Proofs(PUBLICS))
    assert missing.exit_code() == CANNOT_VERIFY
    assert of_export(tmp_path / "none.jsonl", Proofs(PUBLICS)).exit_code() == CANNOT_VERIFY


async def test_an_export_is_verified_by_itself(state: State, tmp_path: Path) -> None:
    note = await signed(state)
    lines = [jsonl_line(row) for row in reversed(await state.rows())]
    path = tmp_path / "export.jsonl"
    path.write_text("".join(lines))
    assert of_export(path, Proofs(PUBLICS, (note,))).exit_code() == OK
    path.write_text("".join(lines).replace('"demo"', '"dem0"', 1))
    assert of_export(path, Proofs(PUBLICS, (note,))).exit_code() == TAMPERED
    path.write_text("no json\n")
    assert of_export(path, Proofs(PUBLICS, (note,))).exit_code() == CANNOT_VERIFY
