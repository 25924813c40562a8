"""A second server key for a state whose keyring has one."""

from tests.support.state import CountedRandom, State
from wicketd.vault.keyring import KeyringFile
from wicketd.vault.secret import Secret


def with_new_key(state: State, kid: str = "k2", *, without: tuple[str, ...] = ()) -> KeyringFile:
    """The state's keyring with one key more, which is active."""
    seed = b"root of " + kid.encode()
    roots = {name: root for name, root in state.keyring.roots.items() if name not in without}
    roots[kid] = Secret(_spread(seed))
    return KeyringFile(kid, roots, dict.fromkeys(roots, "2026-11-24T00:00:00Z"), "test")


def rotate(state: State, kid: str = "k2", *, without: tuple[str, ...] = ()) -> None:
    """Puts it in force."""
    state.keyring.swap(with_new_key(state, kid, without=without))


def _spread(seed: bytes) -> bytes:
    random = CountedRandom()
    for _ in range(1_000 + sum(seed)):
        random.bytes(1)
    return random.bytes(32)
