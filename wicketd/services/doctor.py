"""Looks at a host before or beside a running daemon: each check a row, each finding with its fix.

Counterpart: `wicketd doctor`, which prints. Nothing here writes, and no finding holds a secret.
"""

import os
import resource
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from wicketd.connectors import catalogue
from wicketd.domain.catalogue import Connector
from wicketd.domain.errors import WicketError
from wicketd.domain.ports import Clock
from wicketd.vault import keyring

DISK_RESERVE_BYTES: Final = 64 * 1024 * 1024
DISK_COMFORT_BYTES: Final = 1024 * 1024 * 1024
STACK_BYTES: Final = 8 * 1024 * 1024
CLOCK_SLACK_MS: Final = 60_000


class Verdict(StrEnum):
    """How bad a finding is; FAIL stops the daemon or would."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw. `fix`: the command or sentence that mends it."""

    verdict: Verdict
    text: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class House:
    """What is looked at: places as configured, and how to ask a server, if that is wanted.

    `proxied_url`: the https address that a proxy must answer for, None where no proxy is needed;
    `trusts_proxy`: one is declared; `visit`: what is wrong with an answer of that address, None
    if it leads here.
    `keyring`, `audit_key`: configured paths, None for the credential directory. `mail`: the mode
    of mail. `reach`, `greet`: why a connector's server, or the mail server, cannot be used, None
    if it can.
    """

    state_dir: Path
    clock: Clock
    environ: Mapping[str, str] = field(default_factory=dict)
    keyring: Path | None = None
    audit_key: Path | None = None
    connectors_dir: Path | None = None
    mail: str = "off"
    require_mfa: str = "key"
    inline_stdio: bool = False
    proxied_url: str | None = None
    trusts_proxy: bool = False
    visit: Callable[[str], str | None] | None = None
    reach: Callable[[Connector], str | None] | None = None
    greet: Callable[[], str | None] | None = None

    @property
    def database(self) -> Path:
        """The database file."""
        return self.state_dir / "wicket.db"


@dataclass(frozen=True, slots=True)
class Check:
    """One row: its name, what it looks at, and the look itself."""

    name: str
    title: str
    look: Callable[[House], Finding]


@dataclass(frozen=True, slots=True)
class Examined:
    """A check with what it found."""

    check: Check
    finding: Finding


def examine(house: House) -> list[Examined]:
    """Every check in the order of the table; one that fails does not stop the next."""
    return [Examined(check, check.look(house)) for check in CHECKS]


def worst(examined: list[Examined]) -> Verdict:
    """The gravest verdict among them."""
    order = list(Verdict)
    return max((one.finding.verdict for one in examined), key=order.index, default=Verdict.OK)


def _state_directory(house: House) -> Finding:
    path = house.state_dir
    try:
        facts = path.stat()
    except FileNotFoundError:
        return Finding(Verdict.FAIL, f"{path} does not exist.", f"wicketd init --dir {path}")
    if not stat.S_ISDIR(facts.st_mode):
        return Finding(Verdict.FAIL, f"{path} is no directory.", "Name another state directory.")
    return _private(path, facts, 0o700)


def _database(house: House) -> Finding:
    path = house.database
    if not path.exists():
        return Finding(Verdict.OK, f"{path} does not exist yet; the first start makes it.")
    return _private(path, path.stat(), 0o600)


def _private(path: Path, facts: os.stat_result, mode: int) -> Finding:
    if facts.st_uid != os.geteuid():
        text = f"{path} belongs to uid {facts.st_uid}, not to the one that asks."
        return Finding(Verdict.WARN, text, f"Run this as that user, or: sudo chown wicket {path}")
    if stat.S_IMODE(facts.st_mode) & ~mode:
        text = f"{path} has mode {stat.S_IMODE(facts.st_mode):04o}; others could read it."
        return Finding(Verdict.FAIL, text, f"chmod {mode:o} {path}")
    return Finding(Verdict.OK, f"{path} is private.")


def _server_keyring(house: House) -> Finding:
    try:
        found = keyring.load(house.keyring, house.environ)
    except WicketError as error:
        return Finding(Verdict.FAIL, error.message, error.hint or "wicketd keyring init")
    text = f"The keyring has {len(found.roots)} keys, {found.active} is active ({found.source})."
    if house.keyring is not None and _lies_in(house.keyring, house.state_dir):
        return Finding(
            Verdict.WARN,
            f"{text} It lies beside the database: whoever copies both has both.",
            "Move it, name it as `keyring`, and back it up apart from the database.",
        )
    return Finding(Verdict.OK, text)


def _lies_in(path: Path, directory: Path) -> bool:
    return path.parent == directory and path.exists()


def _audit_key(house: House) -> Finding:
    try:
        found = keyring.load_audit_key(house.audit_key, house.environ)
    except WicketError as error:
        return Finding(Verdict.FAIL, error.message, error.hint or "wicketd init")
    return Finding(Verdict.OK, f"The audit key {found.kid} signs checkpoints.")


def _clock(house: House) -> Finding:
    newest = max(
        (path.stat().st_mtime_ns // 1_000_000 for path in house.state_dir.glob("wicket.db*")),
        default=0,
    )
    behind_ms = newest - house.clock.now_ms()
    if behind_ms > CLOCK_SLACK_MS:
        text = f"The clock is {behind_ms // 1000} s behind the last write of the database."
        return Finding(Verdict.FAIL, text, "timedatectl set-ntp true")
    return Finding(Verdict.OK, "The clock is not behind the database.")


def _disk(house: House) -> Finding:
    try:
        free = shutil.disk_usage(house.state_dir).free
    except OSError as error:
        return Finding(Verdict.FAIL, f"{house.state_dir}: {error.strerror}.", "wicketd init")
    mib = free // (1024 * 1024)
    if free < DISK_RESERVE_BYTES:
        text = f"{mib} MiB are free; below 64 MiB every call is refused."
        return Finding(Verdict.FAIL, text, "Free some space, or move the state directory.")
    if free < DISK_COMFORT_BYTES:
        text = f"{mib} MiB are free; the audit log grows with every call."
        return Finding(Verdict.WARN, text, "Free some space, or move the state directory.")
    return Finding(Verdict.OK, f"{mib} MiB are free.")


def _stack(_house: House) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if soft != resource.RLIM_INFINITY and soft < STACK_BYTES:
        text = f"The stack limit is {soft // 1024} KiB; the policy engine needs 8 MiB."
        return Finding(Verdict.FAIL, text, "ulimit -s 8192, or LimitSTACK=16M in the unit")
    return Finding(Verdict.OK, "The stack limit is large enough for the policy engine.")


def _connector_files(house: House) -> Finding:
    try:
        found = catalogue.load(bundled=True, directory=house.connectors_dir)
    except WicketError as error:
        return Finding(Verdict.FAIL, error.message, error.hint or "Correct the file it names.")
    return Finding(Verdict.OK, f"{len(found.all())} connectors are readable.")


def _upstreams(house: House) -> Finding:
    if house.reach is None or house.connectors_dir is None:
        return Finding(Verdict.OK, "No server was asked.")
    try:
        own = catalogue.load(bundled=False, directory=house.connectors_dir).all()
    except WicketError:
        return Finding(Verdict.OK, "No server was asked: the connector files are not readable.")
    failed = {one.key: why for one in own if (why := house.reach(one)) is not None}
    if failed:
        text = "; ".join(f"{key}: {why}" for key, why in sorted(failed.items()))
        return Finding(Verdict.WARN, text, "Check the URLs in the connector files and the network.")
    return Finding(Verdict.OK, f"{len(own)} servers of your own files answer.")


def _mail(house: House) -> Finding:
    if house.mail in {"file", "console"}:
        text = f"Mail goes to {house.mail}, which is for development."
        return Finding(Verdict.WARN, text, 'Set mail = "smtp", or "off" for sign-in links.')
    why = house.greet() if house.mail == "smtp" and house.greet is not None else None
    if why is not None:
        fix = "Check [smtp] in the configuration and the server it names, then look again."
        return Finding(Verdict.FAIL, f"No code can be mailed. {why}", fix)
    return Finding(Verdict.OK, f"Mail is {house.mail}.")


def _second_factor(house: House) -> Finding:
    if house.require_mfa == "off":
        text = "A mailbox alone can make a member key (L6)."
        return Finding(Verdict.WARN, text, 'Set portal.require_mfa = "key".')
    return Finding(Verdict.OK, "A member key needs a second factor.")


def _proxy(house: House) -> Finding:
    if house.proxied_url is None:
        return Finding(Verdict.OK, "No proxy is needed in front of the daemon.")
    if not house.trusts_proxy:
        text = (
            f"A proxy must answer for {house.proxied_url}, and none is declared: every caller has "
            "its address in policies, limits and the audit log."
        )
        return Finding(Verdict.WARN, text, '[http] trusted_proxies = ["127.0.0.1"]')
    why = house.visit(house.proxied_url) if house.visit is not None else None
    if why is not None:
        text = f"{house.proxied_url} does not lead to this daemon: {why}"
        fix = "Check server.public_url, DNS and the proxy; docs/reverse-proxy.md shows both sides."
        return Finding(Verdict.WARN, text, fix)
    return Finding(Verdict.OK, f"{house.proxied_url} leads here through a declared proxy.")


def _stdio(house: House) -> Finding:
    if house.inline_stdio:
        text = "Servers over stdio run with the daemon's own uid and could read its keys."
        return Finding(Verdict.WARN, text, "Run them as wicket-stdio-<name>@.service units.")
    return Finding(Verdict.OK, "No server runs with the daemon's uid.")


CHECKS: Final = (
    Check("state", "State directory", _state_directory),
    Check("database", "Database file", _database),
    Check("keyring", "Server keyring", _server_keyring),
    Check("audit-key", "Audit key", _audit_key),
    Check("clock", "Clock", _clock),
    Check("disk", "Free space", _disk),
    Check("stack", "Stack limit", _stack),
    Check("connectors", "Connector files", _connector_files),
    Check("upstreams", "Servers", _upstreams),
    Check("proxy", "Reverse proxy", _proxy),
    Check("mail", "Mail", _mail),
    Check("second-factor", "Second factor", _second_factor),
    Check("stdio", "Servers over stdio", _stdio),
)
"""In the order in which they are printed."""
