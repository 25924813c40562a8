"""A state whose keyring is a file on disk, with the daemon's own start, reload and retirement."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.support.state import CountedRandom, State
from wicketd.services import retiring, rotation
from wicketd.services.installation import Installation, Keys
from wicketd.services.retiring import Dropped, Tools
from wicketd.services.rewrapping import Rewrapper
from wicketd.services.rotation import Place
from wicketd.storage import meta
from wicketd.vault import key_file, keyring
from wicketd.vault.keyring import AuditKey
from wicketd.vault.usage import Reservations

CREATED = "2026-11-24T00:00:00Z"


def first_keyring() -> bytes:
    """The keyring that every fresh state draws."""
    return keyring.generate(CREATED, CountedRandom())


@dataclass
class Site:
    """One installation: `state` is its database, `path` its keyring file."""

    state: State
    path: Path
    random: CountedRandom = field(default_factory=CountedRandom)
    rewrapper: Rewrapper | None = None

    def __post_init__(self) -> None:
        for _ in range(10_000):  # other bytes than the state draws
            self.random.bytes(1)
        self.audit_key: AuditKey = keyring.parse_audit_key(
            keyring.generate_audit_key(CREATED, self.random)
        )

    @property
    def place(self) -> Place:
        return Place(self.path, self.state.directory / "wicket.db")

    @property
    def worker(self) -> Rewrapper:
        assert self.rewrapper is not None
        return self.rewrapper

    @classmethod
    async def found(cls, state: State) -> "Site":
        """Writes the file and starts for the first time."""
        site = cls(state, state.directory / "server.keyring")
        key_file.create(site.path, first_keyring())
        install_id = state.keyring.install_id.hex()
        await state.db.write(lambda tx: tx.run(meta.put_once("install_id", install_id)))
        await site.restart()
        return site

    async def restart(self) -> Installation:
        """A start: the keyring is checked against the database and in force from now on."""
        file = keyring.load(self.path, {})
        home = await Installation.open(self.state.db, Keys(file, self.audit_key), self.random)
        self.state.keyring.swap(file)
        self.rewrapper = Rewrapper(self.state.desk, self.state.keyring, self.state.sealer)
        return home

    async def reload(self) -> str:
        """SIGHUP."""
        state = self.state
        home = Installation(state.keyring.install_id, state.keyring, self.audit_key, Reservations())
        return await home.reload(state.db, keyring.load(self.path, {}))

    def rotate(self) -> str:
        """`wicketd keyring rotate`."""
        return rotation.rotate(self.place, {}, CREATED, self.random).kid

    async def retire(self, kid: str, *, drop_keys: bool = False) -> list[Dropped]:
        """`wicketd keyring retire` on the open database, then the next start."""
        state = self.state
        data = self.path.read_bytes()
        changed = keyring.without(data, kid)
        tools = Tools(state.clock, state.desk.ids, self.random)
        dropped = await retiring.let_go(
            state.db, keyring.parse(data), kid, tools, drop_keys=drop_keys
        )
        key_file.replace(self.path, changed, self.random)
        await self.restart()
        return list(dropped)
