"""The command line `wicketd`: runs the daemon and looks at its files. Acts on this host only.

A command parses, calls, prints and gives an exit code (product spec, section 11); it decides
nothing.
"""

import asyncio
import importlib
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from wicketd import __version__, logs
from wicketd import config as configuration
from wicketd.config import Config
from wicketd.connector_commands import connector_app
from wicketd.domain.errors import KeyringInvalid
from wicketd.shell import INTERNAL, USAGE, ConfigOption, explained, load
from wicketd.system import SystemClock, SystemIds, SystemRandom

if TYPE_CHECKING:
    from wicketd.services.rotation import Place

app = typer.Typer(
    name="wicketd",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)
config_app = typer.Typer(help="The configuration file.", no_args_is_help=True)
keyring_app = typer.Typer(help="The server keyring on disk.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit log on disk.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(keyring_app, name="keyring")
app.add_typer(audit_app, name="audit")
app.add_typer(connector_app, name="connector")

KeyringOption = Annotated[
    Path | None, typer.Option("--keyring", help="The keyring file.", show_default=False)
]


def _print_version(asked: bool) -> None:  # noqa: FBT001  # Typer hands the value over by position
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def bare(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """The daemon of Wicket, an authorization proxy for MCP clients."""


@app.command()
def serve(
    config: ConfigOption = None,
    keyring: Annotated[Path | None, typer.Option(help="The keyring file.")] = None,
) -> None:
    """Runs the daemon until it is told to stop."""
    with explained():
        settings, file = load(config)
        if keyring is not None:
            settings = _with_keyring(settings, keyring)
        logs.begin()
        importlib.import_module("wicketd.daemon").run(settings, file, dict(os.environ))


@app.command()
def init(
    directory: Annotated[Path, typer.Option("--dir", help="The state directory.")] = Path(
        "/var/lib/wicket"
    ),
    *,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Say how to hand the keys to systemd.")
    ] = False,
) -> None:
    """Makes state directory, keys and configuration; overwrites nothing."""
    from wicketd.services import founding

    with explained():
        place = directory.absolute()
        text = configuration.template(place)
        for made in founding.found(place, text, _created(), SystemRandom()):
            typer.echo(f"{'made' if made.is_new else 'kept'} {made.path}")
        typer.echo(_next_steps(place, systemd=systemd))


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the directory.")] = False,
) -> None:
    """Runs daemon, upstream and client, and shows what was decided."""
    script = Path(__file__).parent.parent / "contrib" / "demo" / "demo.py"
    if not script.is_file():
        typer.echo("The demo is part of the source tree: run make demo there.", err=True)
        raise typer.Exit(1)
    os.execv(sys.executable, [sys.executable, str(script), *(["--keep"] if keep else [])])  # noqa: S606  # our own script, no shell


@app.command()
def doctor(
    config: ConfigOption = None,
    *,
    limits: Annotated[
        bool, typer.Option("--limits", help="Print what Wicket does not protect against.")
    ] = False,
) -> None:
    """Looks at this host: each finding with the command that mends it."""
    from wicketd.entrance import mail_fault
    from wicketd.net import doorbell
    from wicketd.services import doctor as checks
    from wicketd.services import limits as unprotected

    with explained():
        if limits:
            typer.echo(unprotected.text())
            return
        settings, _ = load(config)
        house = checks.House(
            settings.state,
            SystemClock(),
            configuration.unit_credentials() | dict(os.environ),
            keyring=Path(settings.keyring.path or settings.state / "server.keyring"),
            audit_key=Path(settings.keyring.audit_key or settings.state / "audit.key"),
            connectors_dir=Path(settings.services.connectors_dir),
            mail=settings.portal.mail,
            require_mfa=settings.portal.require_mfa,
            inline_stdio=settings.stdio.inline,
            proxied_url=settings.proxied_url,
            trusts_proxy=bool(settings.http.trusted_proxies),
            visit=lambda url: asyncio.run(doorbell.ring(url)),
            greet=lambda: asyncio.run(mail_fault(settings, SystemClock(), SystemIds())),
        )
        examined = checks.examine(house)
        for one in examined:
            fix = f"\n     {one.finding.fix}" if one.finding.fix else ""
            typer.echo(f"{one.finding.verdict.value:4} {one.check.name}: {one.finding.text}{fix}")
        raise typer.Exit(1 if checks.worst(examined) is checks.Verdict.FAIL else 0)


@config_app.command("check")
def config_check(
    file: Annotated[Path | None, typer.Argument(help="The file; default: the one in use.")] = None,
) -> None:
    """Reads and checks a configuration and its connector files; says what is wrong and where."""
    from wicketd.connectors import catalogue

    with explained():
        settings, read = load(file)
        catalogue.load(bundled=True, directory=Path(settings.services.connectors_dir))
        typer.echo(f"{read or 'defaults'}: good")


@audit_app.command("verify")
def audit_verify(  # noqa: PLR0913  # one option a kind of evidence
    config: ConfigOption = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="A signed checkpoint kept off this host.")
    ] = None,
    from_export: Annotated[Path | None, typer.Option(help="A JSONL export to verify.")] = None,
    proof: Annotated[Path | None, typer.Option(help="The proof of one decision.")] = None,
    key: Annotated[Path | None, typer.Option(help="audit.pub: the public keys.")] = None,
    *,
    strict: Annotated[bool, typer.Option(help="A tail or an open intent fails too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recomputes every hash; 0 whole, 1 tampering, 2 could not verify."""
    import msgspec

    from wicketd.services import verifying

    with explained():
        settings, _ = load(config)
        try:
            notes = tuple(path.read_text(encoding="utf-8") for path in checkpoint or ())
            proofs = verifying.Proofs(_publics(settings, key), notes)
        except (OSError, ValueError) as error:
            typer.echo(f"Could not verify: {error}.", err=True)
            raise typer.Exit(2) from error
        if proof is not None:
            _verified_proof(proof, proofs.publics, as_json=as_json)
        if from_export is not None:
            report = verifying.of_export(from_export, proofs)
        else:
            report = verifying.of_database(settings.state / "wicket.db", proofs)
        if as_json:
            typer.echo(msgspec.json.encode(report.facts(strict=strict)).decode())
        else:
            typer.echo("\n".join(report.lines(strict=strict)))
        raise typer.Exit(report.exit_code(strict=strict))


@keyring_app.command("init")
def keyring_init(config: ConfigOption = None, keyring: KeyringOption = None) -> None:
    """Makes a keyring with one key where there is none."""
    from wicketd.services import rotation

    with explained():
        made = rotation.init(_place(config, keyring), _created(), SystemRandom())
        typer.echo(f"made {made}\nKeep a copy off this host: without it every token is lost.")


@keyring_app.command("rotate")
def keyring_rotate(config: ConfigOption = None, keyring: KeyringOption = None) -> None:
    """Adds a new active key; the daemon re-wraps everything after a restart or SIGHUP."""
    from wicketd.services import rotation

    with explained():
        place = _place(config, keyring)
        done = rotation.rotate(place, dict(os.environ), _created(), SystemRandom())
        typer.echo(
            f"{done.kid} is the active key, {done.was} only decrypts.\n"
            "Next: copy the file off this host, restart wicketd (or send it SIGHUP), then\n"
            "wicketd keyring status until nothing is left to re-wrap."
        )


@keyring_app.command("status")
def keyring_status(
    config: ConfigOption = None,
    keyring: KeyringOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rows, verifiers and encryptions per key, and how far a rotation is."""
    import msgspec

    from wicketd.services import rotation

    with explained():
        place = _place(config, keyring)
        found = rotation.status(place, dict(os.environ), int(_now() * 1000))
        if as_json:
            typer.echo(msgspec.json.encode(found.facts()).decode())
        else:
            typer.echo("\n".join(found.lines()))


@keyring_app.command("retire")
def keyring_retire(
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key to take away.")],
    config: ConfigOption = None,
    keyring: KeyringOption = None,
    *,
    drop_keys: Annotated[
        bool, typer.Option("--drop-keys", help="End the verifiers that still name it.")
    ] = False,
) -> None:
    """Takes a key away that nothing names any more; with --drop-keys wicketd must be stopped."""
    from wicketd.services import rotation
    from wicketd.services.retiring import Tools

    with explained():
        tools = Tools(SystemClock(), SystemIds(), SystemRandom())
        place = _place(config, keyring)
        work = rotation.retire(place, dict(os.environ), kid, tools, drop_keys=drop_keys)
        for one in asyncio.run(work):
            typer.echo(one.line())
        typer.echo(f"{kid} is out of the keyring. Next: copy the file off this host.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; it must not exist.")],
    config: ConfigOption = None,
) -> None:
    """Copies the database while the daemon runs; no key is in it."""
    from wicketd.services import backup as backups

    with explained():
        settings, _ = load(config)
        database = settings.state / backups.NAME
        made = backups.make(database, file, SystemClock().now_ms())
        typer.echo(
            f"made {file} ({made.size_bytes:,} bytes, audit row {made.audit_seq}), "
            "and its manifest\n"
            "Keep both off this host. The keyring is not in it, and without one nothing opens it."
        )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A copy with its manifest.")],
    config: ConfigOption = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Move a database aside; accept an unsigned log.")
    ] = False,
) -> None:
    """Puts a backup in the place of the database; wicketd must be stopped."""
    from wicketd.daemon import read_keys
    from wicketd.services import backup as backups
    from wicketd.services.retiring import Tools

    with explained():
        settings, _ = load(config)
        keys = read_keys(settings, dict(os.environ))
        tools = Tools(SystemClock(), SystemIds(), SystemRandom())
        work = backups.restore(file, settings.state, keys, tools, force=force)
        for line in asyncio.run(work).lines():
            typer.echo(line)


def main() -> int:
    """Runs the command line; gives the exit code."""
    try:
        # Without its standalone mode the app gives the code of an Exit instead of raising it.
        given = app(standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:  # noqa: BLE001  # the process boundary: a traceback must not exit 1
        if error.__class__.__module__.startswith(("click", "typer")):
            told = str(error)  # where a command is missing, the whole help
            typer.echo(told if told.startswith("Usage: ") else f"wicketd: {told}", err=True)
            return USAGE
        traceback.print_exception(error)
        return INTERNAL
    return given if isinstance(given, int) else 0


def _publics(settings: Config, key: Path | None) -> tuple[bytes, ...]:
    from wicketd.audit import public_keys
    from wicketd.daemon import read_keys

    if key is not None:
        return tuple(public_keys.parse(key.read_text(encoding="utf-8")).values())
    try:
        return tuple(read_keys(settings, dict(os.environ)).audit.publics.values())
    except KeyringInvalid:
        return ()


def _verified_proof(path: Path, publics: tuple[bytes, ...], *, as_json: bool) -> NoReturn:
    import msgspec

    from wicketd.services import proofs

    report = proofs.of_file(path, publics)
    text = msgspec.json.encode(report.facts).decode() if as_json else "\n".join(report.lines)
    typer.echo(text)
    raise typer.Exit(report.exit_code)


def _with_keyring(settings: Config, path: Path) -> Config:
    import msgspec

    table = msgspec.structs.replace(settings.keyring, path=str(path))
    return msgspec.structs.replace(settings, keyring=table)


def _place(named: Path | None, keyring: Path | None) -> "Place":
    from wicketd.services.rotation import Place

    settings, _ = load(named)
    ring = keyring or Path(settings.keyring.path or settings.state / "server.keyring")
    return Place(ring, settings.state / "wicket.db")


def _created() -> str:
    return datetime.fromtimestamp(int(_now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _next_steps(place: Path, *, systemd: bool) -> str:
    if systemd:
        return (
            "Next: move server.keyring and audit.key to /etc/wicket/credentials; wicketd.toml\n"
            "is not needed there. docs/systemd.md has every step."
        )
    return f"Next: wicketd serve --config {place / configuration.FILE_NAME}"


def _now() -> float:
    return SystemClock().now_ms() / 1000
