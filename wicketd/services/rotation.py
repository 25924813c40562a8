"""The commands `wicketd keyring …`: acts on the keyring file and the database of this host.

Counterparts: `services.rewrapping`, the daemon's half of a rotation; `vault.keyring`, the file's
form. Invariants: the file is replaced whole or not at all; a key leaves it only after the database
has let go of it, and no running daemon can write under it any more; whatever is opened is opened as
its owner. Source: security spec, section 1; product spec, section 11.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wicketd.domain.errors import KeyringInvalid, SecondInstance
from wicketd.domain.health import KeyUse
from wicketd.domain.json import Json, JsonObject
from wicketd.domain.ports import Random
from wicketd.services import retiring
from wicketd.services.keyring import progress, uses
from wicketd.services.retiring import Dropped, Tools
from wicketd.storage import files, key_usage, kid_rows, meta
from wicketd.storage.db import SqliteDatabase
from wicketd.storage.offline import OfflineDatabase
from wicketd.vault import key_file, keyring
from wicketd.vault.keyring import KeyringFile

_ENCRYPT: Final = (
    "Decrypt it with systemd-creds, change that file with --keyring, then: systemd-creds encrypt "
    "--name=server.keyring FILE /etc/credstore.encrypted/server.keyring"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation keeps its keyring and its database."""

    keyring: Path
    database: Path


@dataclass(frozen=True, slots=True)
class Rotated:
    """`kid` is the new active key, `was` the one before."""

    kid: str
    was: str


@dataclass(frozen=True, slots=True)
class Report:
    """Each key with what it holds, the active one first. `source`: the file."""

    source: str
    created: Mapping[str, str]
    uses: Sequence[KeyUse]

    def lines(self) -> Sequence[str]:
        """The report for people: a paragraph a key, then how far the rotation is."""
        lines = [f"keyring {self.source}"]
        for use in self.uses:
            state = "active" if use.is_active else "old"
            lines.append(f"{use.kid}  {state}, made {self.created[use.kid]}")
            for noun, counts in (("rows", use.rows), ("encryptions", use.encryptions)):
                told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
                lines.append(f"    {noun}: {told or 'none'}")
            lines.append(f"    verifiers: {use.verifiers:,}")
        done, left = progress(self.uses)
        lines.append(f"{done:,} of {done + left:,} rows are under the active key.")
        free = [use.kid for use in self.uses if not use.is_active and not use.rows]
        lines += [f"{kid} holds nothing: wicketd keyring retire {kid}" for kid in free]
        return lines

    def facts(self) -> JsonObject:
        """The same as JSON."""
        done, left = progress(self.uses)
        keys: list[Json] = [
            {
                "kid": use.kid,
                "state": "active" if use.is_active else "old",
                "created": self.created[use.kid],
                "rows": {**use.rows},
                "verifiers": use.verifiers,
                "encryptions": {**use.encryptions},
                "toRewrap": use.to_rewrap,
            }
            for use in self.uses
        ]
        return {"version": 1, "keys": keys, "rewrapped": done, "toRewrap": left}


def init(place: Place, created_iso: str, random: Random) -> Path:
    """Makes a keyring with one key where there is none.

    Raises:
        KeyringInvalid: a file is there, it cannot be written, or the database has rows already: a
            new keyring could not read them.
    """
    if place.database.exists():
        with files.as_owner(place.database), OfflineDatabase(place.database) as db:
            named = sorted(set(db.all(meta.named_kids())))
        if named:
            key_file.refuse(
                f"The database has rows under {', '.join(named)}, which a new keyring cannot read.",
                "Restore the keyring that belongs to it.",
            )
    key_file.create(place.keyring, keyring.generate(created_iso, random))
    return place.keyring


def rotate(place: Place, environ: Mapping[str, str], created_iso: str, random: Random) -> Rotated:
    """Adds an active key; the others only decrypt from now on.

    Raises:
        KeyringInvalid: the keyring is no good file that may be rewritten, or it is full.
    """
    with _as_keeper(place):
        data, file = _rewritable(place, environ)
        changed, kid = keyring.rotated(data, created_iso, random)
        key_file.replace(place.keyring, changed, random)
    return Rotated(kid, file.active)


def status(place: Place, environ: Mapping[str, str], now_ms: int) -> Report:
    """What each key still holds; works beside a running daemon.

    Raises:
        KeyringInvalid: the keyring is missing or refused.
        StorageBroken: there is no database, or it cannot be read.
        Forbidden: the database belongs to somebody else.
    """
    with _as_keeper(place):
        file = keyring.load(place.keyring, environ)
    with files.as_owner(place.database), OfflineDatabase(place.database) as db:
        rows, used = db.all(kid_rows.all(now_ms)), db.all(key_usage.usage())
    return Report(file.source, file.created, uses(file.active, file.roots, rows, used))


async def retire(
    place: Place, environ: Mapping[str, str], kid: str, tools: Tools, *, drop_keys: bool
) -> Sequence[Dropped]:
    """Takes a key that nothing names any more out of database and keyring; a daemon may run.

    `drop_keys`: verifiers that still name it are ended, and given back; else they refuse.

    Raises:
        SecondInstance: verifiers are to be ended, and a daemon runs, whose log that belongs into.
        KeyringInvalid: the keyring is refused, belongs to another database, or `kid` is its active
            key or none of its keys.
        Conflict: rows or verifiers name the key, or a running daemon may still write under it.
        StorageBroken: there is no database, or it cannot be read.
        Forbidden: the database belongs to somebody else.
    """
    with _as_keeper(place):
        data, file = _rewritable(place, environ)
        changed = keyring.without(data, kid)
    with files.as_owner(place.database):
        try:
            db = await SqliteDatabase.open(place.database, tools.clock)
        except SecondInstance:
            if drop_keys:
                raise
            retiring.let_go_beside(place.database, file, kid, tools.clock.now_ms())
            dropped: Sequence[Dropped] = ()
        else:
            try:
                dropped = await retiring.let_go(db, file, kid, tools, drop_keys=drop_keys)
            finally:
                await db.close()
    # A crash here leaves a key in the file that no row names: the command can be run again.
    with _as_keeper(place):
        key_file.replace(place.keyring, changed, tools.random)
    return dropped


def _rewritable(place: Place, environ: Mapping[str, str]) -> tuple[bytes, KeyringFile]:
    """The keyring file's bytes and keys, if this command may replace it.

    Raises:
        KeyringInvalid: systemd handed it over, or it is not readable as a keyring.
    """
    key_file.refuse_values(environ)
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and os.path.lexists(Path(directory) / key_file.SERVER_KEYRING.credential):
        raise KeyringInvalid("systemd hands the keyring over as a credential.", hint=_ENCRYPT)
    data = key_file.read_file(place.keyring)
    if key_file.is_encrypted(data):
        message = f"{place.keyring} is a credential that systemd encrypted."
        raise KeyringInvalid(message, hint=_ENCRYPT)
    return data, keyring.parse(data, str(place.keyring))


@contextmanager
def _as_keeper(place: Place) -> Iterator[None]:
    """Root reads and writes the daemon's own keyring as the daemon's user, any other as root.

    Raises:
        KeyringInvalid: there is no such file, or it may not be looked at.
    """
    try:
        keeper = place.keyring.stat(follow_symlinks=False).st_uid
        near = (path for path in (place.database, place.keyring.parent) if path.exists())
        trusted = {path.stat().st_uid for path in near}
    except OSError as error:
        message = f"Cannot open the key file {place.keyring}: {error.strerror}."
        raise KeyringInvalid(message, hint='Make one with "wicketd keyring init".') from error
    is_daemons = os.geteuid() == 0 and keeper != 0 and keeper in trusted
    with files.as_owner(place.keyring) if is_daemons else nullcontext():
        yield
