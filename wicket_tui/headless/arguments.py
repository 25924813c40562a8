"""Arguments and options that several commands share: one thing has one name and one help."""

from typing import Annotated, Literal

import typer

AgentArg = Annotated[str, typer.Argument(metavar="A", help="Agent: key or id.")]
MemberArg = Annotated[str, typer.Argument(metavar="M", help="Member: e-mail, local name or id.")]
ServiceArg = Annotated[str, typer.Argument(metavar="S", help="Service: its connector's key.")]
PolicyArg = Annotated[str, typer.Argument(metavar="P", help="Policy: its key.")]
FileArg = Annotated[str, typer.Argument(metavar="[F]", help="File, or - for stdin.")]
ReasonOpt = Annotated[str | None, typer.Option("--reason", help="Why; kept in the audit.")]
NoteOpt = Annotated[str | None, typer.Option("--note", help="What the version is for.")]
RoleOpt = Annotated[
    Literal["owner", "member"] | None, typer.Option("--role", help="Policies see it; no rights.")
]
GroupOpt = Annotated[list[str] | None, typer.Option("--group", help="A group; may be repeated.")]
TagOpt = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")]
SinceOpt = Annotated[
    str | None, typer.Option("--since", help="Such as 30m, 1h, 7d, or 2026-01-31T12:00:00Z.")
]
UntilOpt = Annotated[str | None, typer.Option("--until", help="The same, inclusive.")]
