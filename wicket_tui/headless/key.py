"""`wicket key`: member keys, and what a client needs to use one."""

import re
from typing import Annotated, Final

import typer

from wicket_tui.headless.arguments import AgentArg, MemberArg, ReasonOpt
from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.exits import Exit
from wicket_tui.headless.output import note, table
from wicket_tui.headless.stdin import InputFailed, confirmed, secret
from wicketd.api import endpoints
from wicketd.api.snippets import CLIENTS, PLACES, snippets
from wicketd.api.types import members
from wicketd.api.types.listing import Empty

app = noun("Member keys: issue, list, revoke; snippets for clients.")

_KEY: Final = re.compile(r"\bwkt_[0-9A-Za-z]{43}_([0-9A-Za-z]{8})[0-9A-Za-z]{6}\b")
_ID: Final = re.compile(r"[0-9A-Za-z]{8}")


@command(app, "list")
async def list_(shell: Shell, agent: AgentArg) -> None:
    """Key ids of an agent, ended ones too. The keys themselves are nowhere."""
    items = await shell.all(endpoints.KEY_LIST, members.KeyList(agent=agent))
    heads = ("key id", "member id", "state", "created", "last used", "ended", "reason")
    rows = [
        (
            k.key_id,
            k.member_id,
            k.state,
            k.created_at,
            k.last_used_day,
            k.ended_at,
            k.ended_reason,
        )
        for k in items
    ]
    shell.show(items, table(heads, rows))


@command(app, "issue")
async def issue(shell: Shell, agent: AgentArg, member: MemberArg) -> None:
    """Make a local member's key and print it, this once. Whoever runs this sees the key."""
    request = members.MemberRef(agent=agent, member=member)
    made = await shell.call(endpoints.KEY_ISSUE, request)
    shell.show(made, made.text)
    note(
        f"This is the only time the key of {member} is shown; Wicket keeps no copy. "
        "Whoever ran this command has seen it: whoever holds it acts as this member. "
        f"If that must not be, run: wicket key revoke {agent} {member} --reason seen"
    )


@command(app, "revoke")
async def revoke(
    shell: Shell,
    agent: Annotated[str | None, typer.Argument(metavar="[A]", help="Agent: key or id.")] = None,
    member: Annotated[str | None, typer.Argument(metavar="[M]", help="The member.")] = None,
    *,
    reason: ReasonOpt = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read a leaked key; only its id is sent.")
    ] = False,
) -> Exit | None:
    """End a member's active key, or a leaked one that is pasted on stdin."""
    if stdin:
        await _revoke_pasted(shell, reason)
        return None
    if agent is None or member is None or reason is None:
        message = "Give agent, member and --reason, or paste a leaked key with --stdin."
        raise InputFailed(message)
    if not confirmed(
        f"Revoke the key of {member}? Its connections must be made anew.", yes=shell.yes
    ):
        return Exit.FAILED
    request = members.KeyRevoke(agent=agent, member=member, reason=reason)
    ended = await shell.call(endpoints.KEY_REVOKE, request)
    shell.done(ended, f"Key {ended.key_id} is revoked.")
    return None


@command(app, "snippet")
async def snippet(
    shell: Shell,
    client: Annotated[
        str | None, typer.Argument(metavar="[CLIENT]", help="One of " + ", ".join(CLIENTS) + ".")
    ] = None,
) -> None:
    """Print how a client is set up. The key itself is read from WICKET_KEY."""
    if client is not None and client not in CLIENTS:
        message = f"There is no snippet for this client. Choose one of {', '.join(CLIENTS)}."
        raise InputFailed(message)
    config = await shell.call(endpoints.CONFIG, Empty())
    texts = snippets(config.mcp_url)
    if client is not None:
        shell.show({client: texts[client]}, texts[client])
        return
    shell.show(texts, "\n\n".join(f"# {PLACES[name]}\n{text}" for name, text in texts.items()))


async def _revoke_pasted(shell: Shell, reason: str | None) -> None:
    key_id = key_id_in(secret("Leaked key: "))
    request = members.KeyRevokeById(key_id=key_id, reason=reason or "reported as leaked")
    ended = await shell.call(endpoints.KEY_REVOKE_BY_ID, request)
    shell.done(ended, f"Key {ended.key_id} is revoked.")


def key_id_in(text: str) -> str:
    """The public id of the key in a pasted text, or the text if it is such an id.

    Raises:
        InputFailed: there is no key in it.
    """
    found = _KEY.search(text)
    if found is not None:
        return found.group(1)
    if _ID.fullmatch(text.lstrip("_")):
        return text.lstrip("_")
    message = "There is no Wicket key in this text. Paste the whole key, or its 8-character id."
    raise InputFailed(message)
