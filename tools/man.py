"""The manual pages wicket(1) and wicketd(1), from the commands' own help, as roff."""

import typer

from tools.docs import leaves
from wicketd import __version__

_ABOUT = {
    "wicket": "administer a running Wicket daemon",
    "wicketd": "the Wicket daemon and the tools of its host",
}
_SEE = {"wicket": "wicketd (1)", "wicketd": "wicket (1)"}


def page(name: str, app: typer.Typer) -> str:
    """One page: every command with what it does, its arguments and its options."""
    root = typer.main.get_command(app)
    lines = [
        f'.TH {name.upper()} 1 "" "wicket {__version__}" "Wicket"',
        ".SH NAME",
        rf"{name} \- {_ABOUT[name]}",
        ".SH SYNOPSIS",
        rf".B {name}",
        r".RI [ command ] \ [ options ]",
        ".SH COMMANDS",
    ]
    for path, leaf in leaves(name, root):
        lines += [".TP", rf".B {_roff(path)}{_roff(_arguments(leaf))}", _roff(leaf.help or "")]
        for param in leaf.params:
            if param.param_type_name == "option" and getattr(param, "help", None):
                lines += [".RS", ".TP", rf".B {_roff(', '.join(param.opts))}", _roff(param.help)]
                lines.append(".RE")
    lines += [
        ".SH FILES", ".TP", "/etc/wicket/wicketd.toml", "Settings.",
        ".TP", "/etc/wicket/connectors.d", "Connector files of this host.",
        ".TP", "/etc/wicket/credentials", "The server keyring and the audit key.",
        ".TP", "/var/lib/wicket", "The database.",
        ".SH SEE ALSO", f".BR {_SEE[name]}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _arguments(leaf: object) -> str:
    names = [
        ((param.metavar or param.name or "").upper(), param.required)
        for param in leaf.params  # type: ignore[attr-defined]  # Typer's own command class
        if param.param_type_name == "argument"
    ]
    return "".join(f" {name}" if needed else f" [{name}]" for name, needed in names)


def _roff(text: str) -> str:
    """Text as roff prints it: no line begins a request, no backslash begins an escape."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    lines = (line.strip() for line in escaped.splitlines())
    return "\n".join(
        rf"\&{line}" if line.startswith((".", "'")) else line for line in lines if line
    )
