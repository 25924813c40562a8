"""Key files: which source counts, the file rule, and keys in the environment."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from wicketd.domain.errors import KeyringInvalid
from wicketd.vault import key_file, keyring

KEY = key_file.encode_key(bytes.fromhex("9f" * 16 + "01" * 16))


def data(kid: str) -> bytes:
    row = {
        "kid": kid,
        "alg": "A256GCM",
        "created": "2026-11-24T00:00:00Z",
        "state": "active",
        "key": KEY,
    }
    return msgspec.json.encode({"v": 1, "active": kid, "keys": [row]})


def file(path: Path, kid: str = "k1", mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data(kid))
    path.chmod(mode)
    return path


def descriptor(content: bytes) -> int:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(content)
    return reader


def test_the_credential_comes_before_path_and_descriptor(tmp_path: Path) -> None:
    file(tmp_path / "c" / "server.keyring", "credential")
    path = file(tmp_path / "f", "path")
    fd = descriptor(data("fd"))
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "c"), "WICKET_KEYRING_FD": str(fd)}
    assert keyring.load(path, environ).active == "credential"
    assert keyring.load(path, environ).source == "credential server.keyring"
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "empty")
    assert keyring.load(path, environ).active == "path"
    assert keyring.load(None, environ).active == "fd"


def test_a_bad_first_source_is_not_passed_over(tmp_path: Path) -> None:
    file(tmp_path / "c" / "server.keyring", mode=0o644)
    good = file(tmp_path / "f")
    with pytest.raises(KeyringInvalid, match="mode 0644"):
        keyring.load(good, {"CREDENTIALS_DIRECTORY": str(tmp_path / "c")})


def test_a_dangling_credential_link_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "server.keyring").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyringInvalid, match="Cannot open"):
        keyring.load(file(tmp_path / "f"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_descriptor_is_read_once_and_closed() -> None:
    fd = descriptor(data("k1"))
    assert keyring.load(None, {"WICKET_KEYRING_FD": str(fd)}).source == f"descriptor {fd}"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize("number", ["", "x", "-1", "2", "99999", "9" * 30])
def test_a_number_that_is_no_open_descriptor_refuses(number: str) -> None:
    with pytest.raises(KeyringInvalid):
        keyring.load(None, {"WICKET_KEYRING_FD": number})


def test_no_source_at_all_refuses_with_the_command_that_makes_one() -> None:
    with pytest.raises(KeyringInvalid) as caught:
        keyring.load(None, {})
    assert "wicketd init" in (caught.value.hint or "")


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_only_the_two_private_modes_are_read(tmp_path: Path, mode: int) -> None:
    assert keyring.load(file(tmp_path / "f", mode=mode), {}).active == "k1"


@pytest.mark.parametrize("mode", [0o440, 0o640, 0o604, 0o644, 0o660, 0o700, 0o1600, 0o4600, 0o200])
def test_any_other_mode_refuses_and_says_how_to_mend_it(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path / "f", mode=mode)
    with pytest.raises(KeyringInvalid) as caught:
        keyring.load(path, {})
    if os.geteuid() == 0:  # else opening already failed for want of a read bit
        assert "chmod 0600" in (caught.value.hint or "")


def shown(monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int) -> None:
    """An open file shows a status that only root could give it."""
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        status = real(fd)
        fields = list(status)
        fields[stat.ST_MODE] = stat.S_IFMT(status.st_mode) | mode
        fields[stat.ST_UID], fields[stat.ST_GID] = owner, group
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)


def credential(directory: Path) -> dict[str, str]:
    """Where systemd would have put it; the environment that says so."""
    file(directory / "server.keyring")
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def test_a_credential_of_roots_that_an_acl_opens_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = credential(tmp_path)
    shown(monkeypatch, 0o440, 0, 0)
    assert keyring.load(None, environ).active == "k1"


@pytest.mark.parametrize(
    ("mode", "owner", "group"),
    [(0o440, 0, 12345), (0o440, 12345, 0), (0o444, 0, 0), (0o460, 0, 0), (0o640, 0, 0)],
)
def test_a_credential_that_more_than_root_may_read_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, group: int
) -> None:
    environ = credential(tmp_path)
    shown(monkeypatch, mode, owner, group)
    with pytest.raises(KeyringInvalid, match=f"has mode {mode:04o}"):
        keyring.load(None, environ)


def test_a_key_file_that_is_no_credential_is_not_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path / "f")
    shown(monkeypatch, 0o440, 0, 0)
    with pytest.raises(KeyringInvalid, match="has mode 0440"):
        keyring.load(path, {})


def test_a_link_refuses(tmp_path: Path) -> None:
    file(tmp_path / "f")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with pytest.raises(KeyringInvalid, match="Cannot open"):
        keyring.load(tmp_path / "link", {})


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["fifo", "directory"])
def test_something_else_than_a_regular_file_refuses_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "x")
    (tmp_path / "x").chmod(0o600)
    with pytest.raises(KeyringInvalid, match="not a regular file"):
        keyring.load(tmp_path / "x", {})


def test_a_missing_file_refuses(tmp_path: Path) -> None:
    with pytest.raises(KeyringInvalid, match="No such file"):
        keyring.load(tmp_path / "x", {})


def test_a_foreign_owner_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path / "f")
    shown(monkeypatch, 0o600, 12345, 12345)
    with pytest.raises(KeyringInvalid, match="uid 12345"):
        keyring.load(path, {})


def test_a_file_past_64_kib_refuses(tmp_path: Path) -> None:
    path = file(tmp_path / "f")
    path.write_bytes(b" " * 65_536 + b"{}")
    with pytest.raises(KeyringInvalid, match="64 KiB"):
        keyring.load(path, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WICKET_KEYRING", data("k1").decode()),
        ("WICKET_KEYRING_KEY", KEY),
        ("WICKET_KEY", KEY + "="),
        ("WICKET_AUDIT_KEY", "ab" * 32),
        ("ANYTHING", ' {"v":1, "keys":[]}'),
        ("ANYTHING", '"alg":"Ed25519"'),
    ],
)
@pytest.mark.requirement("FC15")
def test_key_material_as_environment_value_refuses_and_is_not_quoted(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(KeyringInvalid) as caught:
        keyring.load(file(tmp_path / "f"), {name: value})
    assert name in caught.value.message
    assert value not in caught.value.message + (caught.value.hint or "")


def test_paths_and_foreign_values_in_the_environment_are_fine(tmp_path: Path) -> None:
    environ = {"WICKET_KEYRING": "/etc/wicket/server.keyring", "SHA": "ab" * 32, "JSON": '{"a":1}'}
    assert keyring.load(file(tmp_path / "f"), environ).active == "k1"


def test_the_audit_key_has_its_own_names(tmp_path: Path) -> None:
    row = {"kid": "a1", "alg": "Ed25519", "created": "2026-11-24T00:00:00Z", "key": KEY}
    content = msgspec.json.encode({"v": 1, "active": "a1", "keys": [row]})
    path = tmp_path / "audit.key"
    path.write_bytes(content)
    path.chmod(0o400)
    assert keyring.load_audit_key(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).kid == "a1"
    assert keyring.load_audit_key(path, {}).source == str(path)
    fd = descriptor(content)
    assert keyring.load_audit_key(None, {"WICKET_AUDIT_KEY_FD": str(fd)}).kid == "a1"
    with pytest.raises(KeyringInvalid, match="no audit key"):
        keyring.load_audit_key(None, {})


class Counted:
    """Different bytes each time."""

    def __init__(self) -> None:
        self.count = 0

    def bytes(self, count: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(count, "big")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_key_file_is_the_owners_alone_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "server.keyring"
    key_file.create(path, data("k1"))
    assert (path.read_bytes(), mode_of(path)) == (data("k1"), 0o600)
    with pytest.raises(KeyringInvalid, match="nothing is overwritten"):
        key_file.create(path, data("k2"))
    assert path.read_bytes() == data("k1")


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_replaced_key_file_keeps_its_mode_and_leaves_nothing_beside_it(
    tmp_path: Path, mode: int
) -> None:
    path = file(tmp_path / "server.keyring", mode=mode)
    key_file.replace(path, data("k2"), Counted())
    assert (path.read_bytes(), mode_of(path)) == (data("k2"), mode)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_what_root_writes_belongs_to_whom_it_belonged(tmp_path: Path) -> None:
    path = file(tmp_path / "server.keyring")
    os.chown(path, 12345, 12346)
    key_file.replace(path, data("k2"), Counted())
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    os.chown(tmp_path, 12345, 12346)
    key_file.create(tmp_path / "new", data("k1"))
    assert (tmp_path / "new").stat().st_uid == 12345


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_replacement_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = file(tmp_path / "server.keyring")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", fail) if step == "fsync" else (Path, "rename", fail)))
    with pytest.raises(KeyringInvalid, match="No space left"):
        key_file.replace(path, data("k2"), Counted())
    assert path.read_bytes() == data("k1")
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = file(tmp_path / "elsewhere")
    link = tmp_path / "server.keyring"
    link.symlink_to(target)
    with pytest.raises(KeyringInvalid):
        key_file.read_file(link)
    key_file.replace(link, data("k2"), Counted())
    assert target.read_bytes() == data("k1")
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("content", "is_encrypted"),
    [
        (b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAAAAC1lFmb\nGsuRYbFBzxbvNuIj\n", True),
        (data("k1"), False),
        (b"", False),
        (b"short", False),
    ],
)
def test_a_credential_that_systemd_encrypted_is_known_by_its_form(
    content: bytes, is_encrypted: bool
) -> None:
    assert key_file.is_encrypted(content) is is_encrypted
