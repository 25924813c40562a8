"""Builds the Debian package: `python -m tools.deb [DIRECTORY]`; prints the file that it wrote.

The tree under /usr/lib/wicket is a virtual environment over Debian's own Python, with the pinned,
hashed packages of requirements/run.txt inside: nothing of it is on the system's module path. The
maintainer scripts are the files of contrib/debian.
"""

import compileall
import gzip
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.man import page
from wicket_tui.cli import app as wicket
from wicketd import __version__
from wicketd.cli import app as wicketd
from wicketd.config import template

ROOT: Final = Path(__file__).resolve().parent.parent
CONTRIB: Final = ROOT / "contrib"
HOME: Final = Path("usr/lib/wicket")
PROGRAMS: Final = {"wicketd": "wicketd.cli", "wicket": "wicket_tui.cli"}
UNITS: Final = ("wicketd.service", "wicketd-admin.socket", "wicketd-admin-ro.socket")
SCRIPTS: Final = ("postinst", "prerm", "postrm")
EPOCH: Final = "1767225600"
"""The time of every file where SOURCE_DATE_EPOCH sets none: two builds of one tree are alike."""


def build(target: Path) -> Path:
    """The package file in `target`; needs dpkg-deb, and the Python whose version it is for."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        _environment(tree)
        _system_files(tree)
        architecture = _output("dpkg", "--print-architecture")
        _control(tree, architecture)
        package = target / f"wicket_{__version__}_{architecture}.deb"
        _run(
            "dpkg-deb", "--root-owner-group", "--build", str(tree), str(package),
            SOURCE_DATE_EPOCH=os.environ.get("SOURCE_DATE_EPOCH", EPOCH),
        )  # fmt: skip
    return package


def wheel(target: Path) -> Path:
    """The wheel of this tree in `target`."""
    _run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target),
        str(ROOT),
    )  # fmt: skip
    return next(target.glob(f"wicket-{__version__}-*.whl"))


def _environment(tree: Path) -> None:
    home = tree / HOME
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = home / "lib" / python / "site-packages"
    programs = home / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(f"/usr/bin/{python}")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    with tempfile.TemporaryDirectory() as place:
        own = wheel(Path(place))
        into = ("--quiet", "--no-compile", "--no-warn-script-location", "--target", str(site))
        pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
        _run(*pip, *into, "--require-hashes", "-r", str(ROOT / "requirements" / "run.txt"))
        _run(*pip, *into, "--no-deps", str(own))
    shutil.rmtree(site / "bin", ignore_errors=True)
    for name, module in PROGRAMS.items():
        program = programs / name
        program.write_text(
            f"#!/{HOME}/bin/python\nimport sys\n\nfrom {module} import main\n\nsys.exit(main())\n"
        )
        program.chmod(0o755)
        link = tree / "usr/bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"/{HOME}/bin/{name}")
    compileall.compile_dir(
        site, quiet=1, stripdir=str(tree), prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )  # fmt: skip


def _system_files(tree: Path) -> None:
    units = tree / "usr/lib/systemd/system"
    for name in UNITS:
        text = (CONTRIB / "systemd" / name).read_text().replace("/opt/wicket/bin", "/usr/bin")
        _write(units / name, text)
    _write(tree / "usr/lib/sysusers.d/wicket.conf", _contrib("systemd/wicket.sysusers"))
    _write(tree / "usr/lib/tmpfiles.d/wicket.conf", _contrib("systemd/wicket.tmpfiles"))
    settings = template(Path("/var/lib/wicket"))
    settings = settings.replace("/var/lib/wicket/connectors.d", "/etc/wicket/connectors.d")
    _write(tree / "etc/wicket/wicketd.toml", settings)
    documents = tree / "usr/share/doc/wicket"
    for name in ("README.md", "SECURITY.md"):
        _write(documents / name, (ROOT / name).read_text())
    _write(documents / "copyright", "License: Apache-2.0\n\n" + (ROOT / "LICENSE").read_text())
    _write(documents / "changelog.gz", (ROOT / "CHANGELOG.md").read_text())
    for name, app in (("wicket", wicket), ("wicketd", wicketd)):
        _write(tree / f"usr/share/man/man1/{name}.1.gz", page(name, app))


def _control(tree: Path, architecture: str) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    sums = "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{path.relative_to(tree)}\n"
        for path in files
    )
    major, minor = sys.version_info[:2]
    control = _contrib("debian/control").format(
        version=__version__,
        architecture=architecture,
        python=f"{major}.{minor}",
        next_python=f"{major}.{minor + 1}",
        kib=sum(path.stat().st_size for path in files) // 1024,
    )
    _write(tree / "DEBIAN/control", control)
    _write(tree / "DEBIAN/md5sums", sums)
    _write(tree / "DEBIAN/conffiles", "/etc/wicket/wicketd.toml\n")
    for name in SCRIPTS:
        _write(tree / "DEBIAN" / name, _contrib(f"debian/{name}"))
        (tree / "DEBIAN" / name).chmod(0o755)


def _contrib(name: str) -> str:
    return (CONTRIB / name).read_text()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    path.chmod(0o644)


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist")))
