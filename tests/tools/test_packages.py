"""What the suite needs from npm and Debian: pinned, and never left out silently."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.support.packages import require

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the script, a lock, and a `bin` that is all of its PATH."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "packages.sh", tmp_path / "tools")
    (tmp_path / "tests" / "clients").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "clients" / "package-lock.json", tmp_path / "tests" / "clients")
    (tmp_path / "bin").mkdir()
    for name in ("cmp", "cp", "dirname", "mkdir", "rm"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    command(tmp_path, "id", "echo 1000")
    return tmp_path


def command(tree: Path, name: str, text: str) -> None:
    path = tree / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def install(tree: Path, group: str = "npm") -> str:
    done = subprocess.run(
        ["/bin/sh", str(tree / "tools" / "packages.sh"), group],
        env={"PATH": str(tree / "bin")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def stamp(tree: Path) -> Path:
    return tree / "tests" / "clients" / "node_modules" / ".stamp"


def test_a_machine_without_npm_says_so_and_stamps_it(tree: Path) -> None:
    assert install(tree).startswith("not run: npm is missing")
    assert stamp(tree).read_text() == "not-available\n"


def test_a_failed_installation_says_so_and_leaves_no_stamp(tree: Path) -> None:
    command(tree, "npm", "exit 1")

    assert install(tree).startswith("not run: ")
    assert not stamp(tree).exists()


def test_the_stamp_is_the_lock_that_was_installed_and_saves_the_next_run(tree: Path) -> None:
    command(tree, "npm", "mkdir -p tests/clients/node_modules; echo ran")

    assert install(tree) == "ran\n"
    assert stamp(tree).read_bytes() == (tree / "tests/clients/package-lock.json").read_bytes()
    assert install(tree) == ""


def test_only_a_program_that_cannot_be_had_skips_its_tests(tree: Path) -> None:
    clients = tree / "tests" / "clients"
    command(tree, "nginx", "exit 0")
    assert install(tree, "proxies").startswith("not run: caddy is missing")
    with pytest.raises(pytest.skip.Exception):
        require("caddy", "proxies", stamps=clients)
    with pytest.raises(AssertionError, match=r"Run: tools/packages\.sh proxies"):
        require("no-such-program", "proxies", stamps=clients)

    command(tree, "caddy", "exit 0")
    assert install(tree, "proxies") == ""
    assert not list(clients.glob(".no-*"))


def test_a_root_directory_needs_root(tree: Path) -> None:
    command(tree, "debootstrap", "exit 0")

    assert install(tree, "debian") == "not run: debootstrap needs root\n"
    with pytest.raises(pytest.skip.Exception):
        require("debootstrap", "debian", stamps=tree / "tests" / "clients")


def test_the_lock_pins_what_is_wanted_and_names_no_registry() -> None:
    clients = ROOT / "tests" / "clients"
    lock = msgspec.json.decode((clients / "package-lock.json").read_bytes())["packages"]
    wanted = msgspec.json.decode((clients / "package.json").read_bytes())["dependencies"]

    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert not [name for name, entry in lock.items() if "resolved" in entry]
