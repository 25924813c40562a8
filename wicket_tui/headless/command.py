"""Makes a command of an async function: common options, one client, failures to exit codes.

A command is `async def f(shell: Shell, …) -> Exit | None` under `@command(app, "name")`; what it
prints goes
through its shell. Source: product specification, section 11.
"""

import asyncio
import inspect
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec
import typer

from wicket_tui.headless import output
from wicket_tui.headless.exits import BY_CODE, Exit
from wicket_tui.headless.stdin import InputFailed
from wicket_tui.sockets import default_socket
from wicketd.api.client import AdminClient, Refused, TimedOut, Unreachable
from wicketd.api.endpoints import Endpoint
from wicketd.api.errors import ErrorBody
from wicketd.api.types.listing import Page

P = ParamSpec("P")
Q = TypeVar("Q")
R = TypeVar("R")
T = TypeVar("T")

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every command has."""

    json: Annotated[bool, typer.Option("--json", help='Print JSON: {"version":1,"result":…}.')]
    no_color: Annotated[bool, typer.Option("--no-color", help="Never print colours.")]
    socket: Annotated[
        Path | None,
        typer.Option("--socket", envvar="WICKET_SOCKET", help="Admin socket of the daemon."),
    ]
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait.")]
    yes: Annotated[bool, typer.Option("--yes", help="Answer every question with yes.")]


_DEFAULTS: Final[dict[str, Any]] = {
    "json": False,
    "no_color": False,
    "socket": None,
    "timeout": 15.0,
    "yes": False,
}


class Shell:
    """What a command works with: the client, and how this run wants its answers."""

    def __init__(self, client: AdminClient, common: Common) -> None:
        self.client = client
        self.common = common

    @property
    def yes(self) -> bool:
        """Whether questions are answered beforehand."""
        return self.common.yes

    async def call(self, endpoint: Endpoint[Q, R], request: Q, *, match: int | None = None) -> R:
        """Asks the daemon once."""
        return await self.client.call(endpoint, request, match=match)

    async def all(self, endpoint: Endpoint[Q, Page[T]], request: Q) -> list[T]:
        """Every item of a list, page by page."""
        items: list[T] = []
        cursor: str | None = None
        while True:
            ask = msgspec.structs.replace(request, limit=PAGE, cursor=cursor)  # type: ignore[type-var]  # lists are structs with both fields
            page = await self.client.call(endpoint, ask)
            items += page.items
            cursor = page.next
            if cursor is None:
                return items

    def show(self, result: Any, text: str) -> None:
        """Prints a result: as JSON if asked for, else as the text."""
        output.say(output.document(result) if self.common.json else text)

    def show_line(self, result: Any, text: str) -> None:
        """Prints one item of a stream at once."""
        output.say(output.json_line(result) if self.common.json else text)
        sys.stdout.flush()

    def done(self, result: Any, sentence: str) -> None:
        """Reports a change: the sentence on stderr, or the result as JSON on stdout."""
        if self.common.json:
            output.say(output.document(result))
        else:
            output.note(sentence)


Work = Callable[Concatenate[Shell, P], Awaitable[Exit | None]]


def command(app: typer.Typer, name: str) -> Callable[[Work[P]], Work[P]]:
    """Registers an async function as the command `name`; its docstring is the help."""

    def register(work: Work[P]) -> Work[P]:
        def run(ctx: typer.Context, **values: Any) -> None:
            common = Common(**{option: values.pop(option) for option in _DEFAULTS})
            common = replace(common, socket=_socket(ctx, common))
            raise typer.Exit(execute(common, lambda shell: work(shell, **values)))  # type: ignore[call-arg]  # Typer parsed them by this very signature

        run.__doc__ = work.__doc__
        run.__signature__ = _signature(work)  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {
            p.name: p.annotation
            for p in run.__signature__.parameters.values()  # type: ignore[attr-defined]
        }
        app.command(name)(run)
        return work

    return register


def is_typed(ctx: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line, and not in the environment."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _socket(ctx: typer.Context, common: Common) -> Path | None:
    """The socket as given behind the command, else before it, else in the environment."""
    if is_typed(ctx, "socket"):
        return common.socket
    before: Path | None = ctx.find_root().params.get("socket")
    return before or common.socket


def noun(help_text: str) -> typer.Typer:
    """An app for the commands of one noun."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )


def execute(common: Common, work: Callable[[Shell], Awaitable[Exit | None]]) -> Exit:
    """Runs a command's work and turns its failure into text and exit code."""
    try:
        return asyncio.run(_with_client(common, work)) or Exit.DONE
    except Refused as error:
        return _fail(common, error.body, BY_CODE.get(error.body.code, Exit.FAILED))
    except TimedOut as error:
        return _fail(common, _local("timeout", error), Exit.TIMED_OUT)
    except Unreachable as error:
        return _fail(common, _local("unreachable", error), Exit.UNREACHABLE)
    except InputFailed as error:
        return _fail(common, ErrorBody(code="usage", message=str(error)), error.exit)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return Exit.FAILED


async def _with_client(
    common: Common, work: Callable[[Shell], Awaitable[Exit | None]]
) -> Exit | None:
    socket = common.socket or default_socket(os.environ)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            async with AdminClient(socket, timeout_s=common.timeout) as client:
                return await work(Shell(client, common))
        finally:
            for text in sorted({str(warning.message) for warning in seen}):
                output.note(f"Warning: {text}.")


def _fail(common: Common, body: ErrorBody, code: Exit) -> Exit:
    output.note(output.failure(body, as_json=common.json))
    return code


def _local(code: str, error: Unreachable) -> ErrorBody:
    return ErrorBody(code=code, message=error.message, hint=error.hint)


def _signature(work: Callable[..., Any]) -> inspect.Signature:
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    common = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_DEFAULTS[name],
            annotation=Common.__annotations__[name],
        )
        for name in _DEFAULTS
    ]
    ctx = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return inspect.Signature([ctx, *(p.replace(kind=p.KEYWORD_ONLY) for p in own), *common])


def _silence_stdout() -> None:
    """Whoever read our output is gone: nothing more is written, not even at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
