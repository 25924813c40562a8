"""Takes servers in as connectors: shown, agreed to, asked, written. One server is whole or not.

The use case of `wicketd connector new` and `import`, above the proxy, whose client asks. Invariant:
nothing runs and nothing is written before somebody has agreed to what was shown, uncut.
"""

import os
import pwd
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wicketd.api.text import safe_text
from wicketd.connectors import commands
from wicketd.connectors.client_files import ServerEntry
from wicketd.connectors.connector_text import text_of
from wicketd.connectors.draft import Choices, Draft, completed, draft_of
from wicketd.connectors.forms import ConnectorForm, HttpForm
from wicketd.connectors.proposals import Proposal, propose
from wicketd.connectors.rules import BrokenRule
from wicketd.domain.errors import ConfigInvalid
from wicketd.probing import Survey, survey
from wicketd.services.connector_drafts import Shelf

_UNCUT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Dialogue:
    """How an administrator is asked. `agree`: shows a question, False is the answer of silence."""

    say: Callable[[str], None]
    agree: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Asking:
    """How servers are asked. `token`: for this once; `is_wanted`: False writes them unasked."""

    is_wanted: bool = True
    token: str | None = field(default=None, repr=False)
    ask: Callable[..., Survey] = survey


@dataclass(frozen=True, slots=True)
class Taken:
    """A server that is a connector now. `path` None: Wicket brings it; `secret`: what it needs."""

    key: str
    path: Path | None
    secret: str | None = None


class Intake:
    """One run. `origin`: where the servers come from, the first line of each file."""

    def __init__(self, shelf: Shelf, choices: Choices, dialogue: Dialogue, origin: str) -> None:
        self._shelf = shelf
        self._choices = choices
        self._dialogue = dialogue
        self._origin = origin
        self._keys: list[str] = []

    def take(self, entry: ServerEntry, asking: Asking) -> Taken | None:
        """Makes one server a connector; None: the administrator does not want it.

        Raises:
            WicketError: it cannot be one, or does not answer; nothing was written.
        """
        known = None if entry.headers else self._shelf.bundled_for(entry.url)
        if known is not None:
            self._dialogue.say(f"{_plain(entry.name)}: Wicket brings this server as {known.key}.")
            return Taken(known.key, None)
        try:
            draft = draft_of(entry, self._choices)
        except BrokenRule as error:
            raise ConfigInvalid(f"{_plain(entry.name)}: {error.field} {error.reason}.") from error
        key = self._shelf.free_key(draft.form.key, self._keys)
        is_asked = asking.is_wanted and (draft.secret is None or asking.token is not None)
        for line in _shown(draft, entry.name):
            self._dialogue.say(line)
        if not self._dialogue.agree(_question(draft.form, self._shelf.path(key), is_asked)):
            return None
        path = self._write(draft, key, asking if is_asked else None)
        self._keys.append(key)
        return Taken(key, path, draft.secret)

    def _write(self, draft: Draft, key: str, asking: Asking | None) -> Path:
        form, proposal = completed(draft.form, key), None
        if asking is not None:
            bare = self._shelf.parsed(key, text_of(form, self._origin))
            found = asking.ask(bare, asking.token)
            proposal = None if found.oauth is not None else propose(found.tools)
            form = completed(draft.form, key, proposal, found.oauth)
            for line in _proposed(form, proposal):
                self._dialogue.say(line)
        sources = () if proposal is None else proposal.sources
        return self._shelf.put(key, text_of(form, self._origin, sources))


def next_steps(taken: Sequence[Taken]) -> list[str]:
    """The commands that put written connectors to use."""
    written = [one for one in taken if one.path is not None]
    lines = ["wicket catalogue reload"] if written else []
    lines += [f"wicket service enable AGENT {one.key}" for one in taken]
    lines += [
        f"wicket connection set AGENT MEMBER {one.key} --token-stdin   # {one.secret}, once enabled"
        for one in written
        if one.secret is not None
    ]
    return lines


def _question(form: ConnectorForm, path: Path, is_asked: bool) -> str:  # noqa: FBT001
    if not is_asked:
        return f"Write {path}?"
    if isinstance(form.transport, HttpForm):
        return f"Ask it for its tools, and write {path}?"
    user = pwd.getpwuid(os.geteuid()).pw_name
    return f"Run this command now as {user} to list its tools, and write {path}?"


def _shown(draft: Draft, name: str) -> list[str]:
    transport = draft.form.transport
    lines = [f"{_plain(name)}:"]
    if isinstance(transport, HttpForm):
        lines.append(f"  address:    {_plain(transport.url)}")
        if transport.allow_networks:
            lines.append(f"  network:    {', '.join(transport.allow_networks)}")
    else:
        lines.append(f"  command:    {_plain(commands.shown(transport.command))}")
        lines += [f"  variable:   {_plain(f'{k}={v}')}" for k, v in transport.env.items()]
    if draft.secret is not None:
        lines.append(f"  credential: {_plain(draft.secret)}, which each member gives on stdin")
    if draft.left_out:
        lines.append(f"  left out:   {_plain(', '.join(draft.left_out))}")
    return lines


def _proposed(form: ConnectorForm, proposal: Proposal | None) -> list[str]:
    if proposal is None:
        issuer = None if form.oauth is None else form.oauth.issuer
        where = f"at {_plain(issuer)}" if issuer else "where the server says"
        return [f"  sign-in:    {where}; its tools are listed after the first one"]
    lines = [
        f"  {tier + ':':<11} {', '.join(names)}"
        for tier in ("read", "write", "destructive")
        if (names := getattr(form.tools, tier))
    ]
    lines += [f"  target:     {form.namespace}::{one.entity} {one.id}" for one in form.target]
    lines += [
        f"  no tool:    {_plain(name)} (its name cannot be called)" for name in proposal.skipped
    ]
    return lines or ["  tools:      none"]


def _plain(text: str) -> str:
    return safe_text(text, limit=_UNCUT)
