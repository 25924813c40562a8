"""P6: once sealed, a token opens with the member key and the server keyring together, and not else.

The attackers here have no code of ours: they hold bytes of the database file and one of the keys,
and try every key that can be made from it on every part of every ciphertext. The server's own copy
is looked for in the database and its log after the key was made.

Removals tried by hand, each turned a test here red: the outer layer in `Sealer._outer`; the
secret in the member's own keys; `secure_delete`; the truncation of the log after a key was made.
"""

import hmac
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.support.sign_ins import SignInScene, key_of, open_scene
from tests.support.state import ADMIN, INSTALL_ID
from wicketd.domain.calls import Caller
from wicketd.domain.connections import Connection, ConnectionState, Credential
from wicketd.services.transitions import Held
from wicketd.storage import keys
from wicketd.vault import member_key
from wicketd.vault.keyring import LABELS
from wicketd.vault.member_key import ParsedKey

STATIC = """
key = "static"
name = "Static"
transport = { kind = "streamable-http", url = "https://static.example.test/mcp" }
credential = { kind = "static", header = "Authorization", format = "Bearer {token}" }
"""
HEAD = 4
NONCE, TAG, POINT = 12, 16, 32


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[SignInScene]:
    async with open_scene(tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Loot:
    """What a thief reads from the database: one sealed record with its row."""

    row: Connection
    agent_key: str

    def aad(self, head: bytes, generation: int) -> bytes:
        """Written after the specification, not with our encoder."""
        row = self.row
        texts = (
            "connections", "sealed_ct", row.id, row.agent_id, row.member_id, self.agent_key,
            row.issuer or "", row.destination.origin, row.destination.placement,
        )  # fmt: skip
        fields = (head, INSTALL_ID, *(text.encode() for text in texts))
        packed = b"".join(len(one).to_bytes(2, "big") + one for one in fields)
        return b"wicket/aad/v1\0" + packed + (8).to_bytes(2, "big") + generation.to_bytes(8, "big")

    def opened(self, envelope: bytes, keys: Iterator[bytes]) -> bytes | None:
        """Tries each key with each generation that the format allows; None: none opens."""
        kid = envelope[3]
        head = envelope[: HEAD + kid]
        start = len(head) + (POINT if envelope[1] == 2 else 0)
        nonce, sealed = envelope[start : start + NONCE], envelope[start + NONCE :]
        for key in keys:
            for generation in (self.row.generation, 0):
                try:
                    return AESGCM(key).decrypt(nonce, sealed, self.aad(head, generation))
                except InvalidTag:
                    continue
        return None


def server_keys(scene: SignInScene) -> Iterator[bytes]:
    """Every key that the keyring gives."""
    for root in scene.state.keyring.roots.values():
        yield root.reveal()
        for label in sorted(LABELS):
            info = b"wicket/v1/srv/" + label.encode()
            yield HKDF(SHA256(), 32, INSTALL_ID, info).derive(root.reveal())


def member_keys(key: ParsedKey, agent_id: str, envelope: bytes) -> Iterator[bytes]:
    """Every key that the member key gives, an agreed one for a deposit included."""
    secret = key.secret.reveal()
    yield secret
    for label in (b"wicket/v1/member/token-wrap\0", b"wicket/v1/member/seal-key\0"):
        yield hmac.digest(
            secret, label + key.key_id.encode() + agent_id.encode() + b"\x01", "sha256"
        )
    if envelope[1] != 2:
        return
    start = HEAD + envelope[3]
    point = envelope[start : start + POINT]
    label = b"wicket/v1/member/seal-key\0"
    private = X25519PrivateKey.from_private_bytes(
        hmac.digest(secret, label + key.key_id.encode() + agent_id.encode() + b"\x01", "sha256")
    )
    public = private.public_key().public_bytes_raw()
    agreed = private.exchange(X25519PublicKey.from_public_bytes(point))
    info = b"wicket/v1/member/deposit\0" + key.key_id.encode() + agent_id.encode()
    yield HKDF(SHA256(), 32, point + public, info).derive(agreed)


async def loot(scene: SignInScene) -> Loot:
    """The row as it lies in the file, read by SQLite alone."""
    held = await scene.held()
    assert held is not None
    assert held.state is ConnectionState.SEALED
    path = scene.state.directory / "wicket.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        (stored,) = file.execute("SELECT sealed_ct FROM connections").fetchone()
    assert stored == held.sealed_ct
    return Loot(held, "notes")


async def keyed(scene: SignInScene) -> ParsedKey:
    key = member_key.parse(await key_of(scene))
    assert key is not None
    return key


async def used(scene: SignInScene, key: ParsedKey) -> None:
    """One call with the key takes its credential."""
    record = await scene.state.db.one(keys.by_key_id(key.key_id))
    assert record is not None
    caller = Caller(
        agent=record.agent,
        member=record.member,
        key_id=key.key_id,
        key_row=record.key.id,
        secret=key.secret,
        ip="127.0.0.1",
        user_agent="test",
    )
    assert isinstance(await scene.state.connections.unlock(caller, "notes"), Credential)


async def sealed(scene: SignInScene, way: str) -> ParsedKey:
    """A sealed connection: made symmetric at the first key, or a deposit to an active one."""
    if way == "symmetric":
        await scene.connected()
        return await keyed(scene)
    key = await keyed(scene)
    await scene.connected()
    return key


WAYS = pytest.mark.parametrize("way", ["symmetric", "deposit"])


@WAYS
async def test_the_database_and_the_keyring_open_no_token(scene: SignInScene, way: str) -> None:
    await sealed(scene, way)
    taken = await loot(scene)
    inner = taken.opened(taken.row.sealed_ct or b"", server_keys(scene))
    assert inner is not None, "the outer layer is the server's"
    assert inner[2] == 2, "a member layer lies inside"
    assert b"access_token" not in inner
    assert taken.opened(inner, server_keys(scene)) is None


@WAYS
async def test_the_database_and_the_member_key_open_no_token(scene: SignInScene, way: str) -> None:
    key = await sealed(scene, way)
    taken = await loot(scene)
    outer = taken.row.sealed_ct or b""
    assert taken.opened(outer, member_keys(key, taken.row.agent_id, outer)) is None


@WAYS
async def test_both_together_open_it(scene: SignInScene, way: str) -> None:
    key = await sealed(scene, way)
    taken = await loot(scene)
    inner = taken.opened(taken.row.sealed_ct or b"", server_keys(scene))
    assert inner is not None
    record = taken.opened(inner, member_keys(key, taken.row.agent_id, inner))
    assert record is not None
    assert b'"access_token"' in record


@WAYS
async def test_another_members_key_opens_nothing(scene: SignInScene, way: str) -> None:
    await sealed(scene, way)
    taken = await loot(scene)
    eve = await scene.other_member()
    issued = await scene.state.keys.issue_own(eve, scene.agent.id)
    stranger = member_key.parse(issued.text.reveal())
    assert stranger is not None
    inner = taken.opened(taken.row.sealed_ct or b"", server_keys(scene))
    assert inner is not None
    assert taken.opened(inner, member_keys(stranger, taken.row.agent_id, inner)) is None


async def test_making_the_key_destroys_the_servers_copy_in_file_and_log(
    scene: SignInScene,
) -> None:
    pending = await scene.connected()
    assert pending.pending_ct is not None
    assert pending.pending_ct in scene.state.file_bytes()
    await keyed(scene)
    assert pending.pending_ct not in scene.state.file_bytes()
    assert pending.pending_ct[-64:] not in scene.state.file_bytes()
    row = (await loot(scene)).row
    assert (row.pending_ct, row.pending_expires_at) == (None, None)


async def test_no_page_keeps_a_piece_of_a_long_record(scene: SignInScene) -> None:
    state = scene.state
    state.connectors["static"] = STATIC
    state.files.put(state.catalogue())
    await state.services.enable(ADMIN, "demo", "static")
    pending = await state.connections.set_own_static(
        scene.ann, scene.agent.id, "static", b"x" * 8_000
    )
    before = pending.pending_ct or b""
    pieces = [before[at : at + 64] for at in range(0, len(before) - 64, 64)]
    assert len(pieces) > 100, "it fills overflow pages"
    await keyed(scene)
    on_disk = state.file_bytes()
    assert not [piece for piece in pieces if piece in on_disk]


async def test_of_a_member_with_a_key_the_server_never_had_a_copy(scene: SignInScene) -> None:
    await keyed(scene)
    await scene.signed_in()
    with sqlite3.connect(scene.state.directory / "wicket.db") as file:
        (tokens,) = file.execute("SELECT tokens_ct FROM oauth_flows").fetchone()
    assert tokens[2] == 3, "the outer layer around a deposit"


async def test_a_deposit_is_made_symmetric_by_its_first_use_and_its_bytes_are_gone(
    scene: SignInScene,
) -> None:
    key = await sealed(scene, "deposit")
    deposit = (await loot(scene)).row
    assert (deposit.sealed_suite, deposit.generation) == (2, 1)
    await used(scene, key)
    await scene.state.db.truncate_wal()
    row = (await loot(scene)).row
    assert (row.sealed_suite, row.generation) == (1, 2)
    assert deposit.sealed_ct is not None
    assert deposit.sealed_ct not in scene.state.file_bytes()
    opened = scene.state.box.open_sealed(Held(row, "notes"), key.key_id, key.secret)
    assert not opened.is_deposit
