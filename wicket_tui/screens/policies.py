"""Screen 4: the policies of the agent: what they do, whether they hold, what is wrong with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.text import Text
from textual import on, work
from textual.message import Message
from typing_extensions import override

from wicket_tui.client import CallFailed
from wicket_tui.screens.confirm import Confirmed
from wicket_tui.screens.coverage import CoverageSheet
from wicket_tui.screens.editor import EditorScreen
from wicket_tui.screens.flips import FlipsSheet
from wicket_tui.screens.listing import ListScreen
from wicket_tui.screens.pick import PickDialog
from wicket_tui.screens.replay import ReplaySheet, Subject
from wicket_tui.screens.simulate import SimulateSheet
from wicket_tui.screens.versions import VersionsSheet
from wicket_tui.snippets import snippets
from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.rows import Column, Row, Rows
from wicket_tui.widgets.text import plain
from wicketd.api import endpoints, policy_endpoints
from wicketd.api.types import agents
from wicketd.api.types.coverage import PolicyCover
from wicketd.api.types.policies import (
    PolicyEnabled,
    PolicyList,
    PolicyMode,
    PolicyRef,
    PolicyVersion,
    Revision,
    RevisionList,
)
from wicketd.policy import lexer


@dataclass(frozen=True, slots=True)
class Listed:
    """A policy at its current version. `revision`: the agent's when it was read.

    `cover`: what coverage knows of it, None until that was read.
    """

    version: PolicyVersion
    revision: int
    cover: PolicyCover | None = None

    @property
    def state(self) -> str:
        """In one word: whether its statements decide, are only watched, or are off."""
        if not self.version.enabled:
            return "off"
        return "enforced" if self.version.mode == "enforce" else "shadow"

    @property
    def trouble(self) -> str:
        """What is wrong with it today, in a word; empty while nothing is known to be."""
        cover = self.cover
        if cover is None:
            return ""
        if cover.broken is not None:
            return "broken"
        return "stale" if cover.stale else "unmatchable" if cover.unmatchable else ""


def effects(text: str) -> str:
    """What the statements of a text do: `forbid`, `permit`, or `2 permit, 1 forbid`."""
    found = []
    for span in lexer.split(text):
        tokens = lexer.significant(text[span.start : span.end])
        found += [one.text for one in tokens if one.text in ("permit", "forbid")][:1]
    kinds = [kind for kind in ("permit", "forbid") if kind in found]
    if len(found) == 1:
        return kinds[0]
    return ", ".join(f"{found.count(kind)} {kind}" for kind in kinds)


class PoliciesScreen(ListScreen[Listed]):
    """The live policies by key; hits and problems come behind, from coverage."""

    NAME = "policies"
    TOPICS = frozenset({"policies", "services"})
    COLUMNS = (
        Column("Policy", 0),
        Column("Effect", 9, from_width=64),
        Column("State", 11),
        Column("Ver", 4),
        Column("Hits", 6),
        Column("Problem", 12),
    )
    EMPTY = (
        "No policy yet: every call is denied",
        (
            "A policy permits or forbids calls. Enabling a service makes its first one.\n\n"
            "  n   write one, from a recipe\n"
            "  3   enable a service: its read tools are permitted by a baseline"
        ),
    )

    class Covered(Message):
        """Coverage was read. `agent`: whose."""

        def __init__(self, agent: str, policies: Mapping[str, PolicyCover]) -> None:
            super().__init__()
            self.agent = agent
            self.policies = policies

    @override
    async def fetch(self, agent: str) -> list[Listed]:
        owner = await self.session.call(endpoints.AGENT_SHOW, agents.AgentRef(agent=agent))
        found = await self.session.every(policy_endpoints.POLICY_LIST, PolicyList(agent=agent))
        return [Listed(one, owner.policy_revision) for one in found]

    @override
    def show(self, data: list[Listed]) -> None:
        super().show(data)
        if data and all(one.cover is None for one in data) and self.agent is not None:
            self._read_cover(self.agent)

    @work(exclusive=True, group="coverage", exit_on_error=False)
    async def _read_cover(self, agent: str) -> None:
        # It decides for every tool, so it is read behind the list, not before it.
        ref = agents.AgentRef(agent=agent)
        try:
            found = await self.session.call(policy_endpoints.POLICY_COVERAGE, ref)
        except CallFailed:
            return
        self.post_message(self.Covered(agent, {one.policy: one for one in found.policies}))

    @on(Covered)
    def _take_cover(self, event: Covered) -> None:
        event.stop()
        if event.agent != self.agent or self.data is None:
            return
        self.data = [
            replace(one, cover=event.policies.get(one.version.key, one.cover)) for one in self.data
        ]
        ListScreen.show(self, self.data)

    @override
    def key(self, item: Listed) -> str:
        return item.version.key

    @override
    def cells(self, item: Listed) -> Sequence[Text]:
        return (
            self.strong(item.version.key),
            self.quiet(effects(item.version.text)),
            self.state(item.state),
            self.quiet(item.version.version),
            self.quiet("" if item.cover is None else item.cover.hits),
            self.state(item.trouble) if item.trouble else self.quiet(""),
        )

    @override
    def summary(self, items: Sequence[Listed]) -> str:
        wrong = sum(bool(one.trouble) for one in items)
        watched = sum(one.state == "shadow" for one in items)
        parts = (f"{len(items)}", watched and f"{watched} shadow", wrong and f"{wrong} wrong")
        return " · ".join(part for part in parts if part)

    @override
    def detail(self, item: Listed) -> tuple[str, Sequence[Pair]]:
        version, cover = item.version, item.cover
        facts: list[Pair] = [
            ("name", plain(version.name)),
            ("state", self.state(item.state).append(_flips(version))),
            ("does", plain(effects(version.text))),
            ("for", plain(version.scope or "all members")),
            ("version", _saved(version).append_text(self.ago(version.created_at))),
        ]
        if version.note:
            facts.append(("note", plain(version.note)))
        if cover is not None:
            facts.append(("hits", plain(f"{cover.hits} in 7 days")))
            facts += [("broken", plain(cover.broken))] if cover.broken else []
            facts += [("stale", plain(cover.stale))] if cover.stale else []
            nothing = "no tool of today is within it"
            facts += [("idle", plain(nothing))] if cover.unmatchable else []
        facts += [("", plain(line)) for line in version.text.splitlines()[:40]]
        return version.key, facts

    @override
    def chosen(self) -> dict[str, str]:
        item = self.item
        if item is None:
            return {}
        is_on, shadow = item.version.enabled, item.version.mode == "shadow"
        return {
            "policy": item.version.key,
            "state": item.state,
            "switch": "disable" if is_on else "enable",
            "Switch": "Disable" if is_on else "Enable",
            "switch_effect": "It decides nothing from the next call on."
            if is_on
            else "It holds from the next call on.",
            "mode": "enforce" if shadow else "shadow",
            "mode_effect": "It decides calls from the next one on."
            if shadow
            else "It decides nothing any more; what it would have done is counted.",
        }

    @override
    def shown_twin(self) -> str:
        return "policy show {agent} {policy}" if self.item else "policy list {agent}"

    def do_policy_edit(self) -> None:
        """Opens the policy in the editor."""
        item, agent = self.item, self.agent
        if item is not None and agent is not None:
            _ = self.wicket.switch_screen(EditorScreen(agent, item.version.key))

    def do_policy_new(self) -> None:
        """Offers the recipes that the agent's names can fill; the editor opens with one."""
        if self.agent is not None:
            self._read_recipes(self.agent)

    @work(exclusive=True, group="recipes", exit_on_error=False)
    async def _read_recipes(self, agent: str) -> None:
        try:
            ref = agents.AgentRef(agent=agent)
            schema = await self.session.call(policy_endpoints.SCHEMA, ref)
        except CallFailed as failure:
            self.say_failed(failure.problem)
            return
        offered = {one.name: one for one in snippets(schema.names)}
        rows = [Row(name, (plain(name), plain(one.help))) for name, one in offered.items()]
        rows.append(Row("", (plain("nothing"), plain("An empty text."))))

        def begin(name: str | None) -> None:
            if name is not None:
                text = offered[name].text + "\n" if name else ""
                screen = EditorScreen(agent, "", name=name, text=text)
                _ = self.wicket.switch_screen(screen)

        columns = (Column("Begin with", 20), Column("What it does", 0))
        self.wicket.open(PickDialog("New policy", columns, rows), begin)

    def do_policy_enabled(self, _given: Confirmed) -> None:
        """Turns the policy on or off."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return
        wanted = not item.version.enabled
        request = PolicyEnabled(agent=agent, policy=item.version.key, enabled=wanted)

        async def switch() -> str:
            await self.session.call(policy_endpoints.POLICY_ENABLED, request, match=item.revision)
            return f"{item.version.key} is {'on' if wanted else 'off'}. space undoes it."

        self.write(switch)

    def do_policy_mode(self, _given: Confirmed) -> None:
        """Enforces the policy, or only watches it."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return
        shadow = item.version.mode == "shadow"
        request = PolicyMode(
            agent=agent, policy=item.version.key, mode="enforce" if shadow else "shadow"
        )

        async def switch() -> str:
            await self.session.call(policy_endpoints.POLICY_MODE, request, match=item.revision)
            return f"{item.version.key} is {'enforced' if shadow else 'only watched'} now."

        self.write(switch)

    def do_policy_delete(self, _given: Confirmed) -> None:
        """Deletes the policy whose key was typed."""
        item, agent = self.item, self.agent
        if item is None or agent is None:
            return
        request = PolicyRef(agent=agent, policy=item.version.key)

        async def delete() -> str:
            await self.session.call(policy_endpoints.POLICY_DELETE, request, match=item.revision)
            return f"{item.version.key} is deleted; its versions stay readable."

        self.write(delete)

    def do_policy_versions(self) -> None:
        """The versions of the policy."""
        if self.item is not None and self.agent is not None:
            self.wicket.open(VersionsSheet(self.agent, self.item.version.key))

    def do_policy_simulate(self) -> None:
        """Decides a call in thought."""
        if self.agent is not None:
            self.wicket.open(SimulateSheet(self.agent))

    def do_policy_replay(self) -> None:
        """Decides recorded calls once more with the policy enforced."""
        if self.item is not None and self.agent is not None:
            subject = Subject(policy=self.item.version.key)
            self.wicket.open(ReplaySheet(self.agent, subject), self.wicket.look_up)

    def do_policy_coverage(self) -> None:
        """What the policies leave open; a policy chosen there is chosen here."""
        if self.agent is not None:
            self.wicket.open(CoverageSheet(self.agent), self._choose)

    def _choose(self, policy: str | None) -> None:
        if policy is not None:
            self.query_one(Rows).choose(policy)

    def do_policy_flips(self) -> None:
        """The calls that the policy would have decided otherwise."""
        if self.item is not None and self.agent is not None:
            sheet = FlipsSheet(self.agent, self.item.version.key)
            self.wicket.open(sheet, self.wicket.look_up)

    def do_policy_revisions(self) -> None:
        """The history of the set."""
        if self.agent is not None:
            self._read_revisions(self.agent)

    @work(exclusive=True, group="revisions", exit_on_error=False)
    async def _read_revisions(self, agent: str) -> None:
        try:
            request = RevisionList(agent=agent)
            found = await self.session.every(policy_endpoints.REVISION_LIST, request)
        except CallFailed as failure:
            self.say_failed(failure.problem)
            return
        rows = [
            Row(str(one.revision), tuple(map(plain, (one.revision, *_told(one, before)))))
            for one, before in zip_longest(found, found[1:])
        ]
        columns = (
            Column("Rev", 5),
            Column("Why", 12),
            Column("What", 0),
            Column("Who", 12, from_width=70),
            Column("When", 16),
        )
        self.wicket.open(PickDialog(f"Revisions of {agent}", columns, rows, hint="esc goes back"))


def _told(revision: Revision, before: Revision | None) -> tuple[str, str, str, str]:
    """Why, which policies are other than in the revision before, by whom and when."""
    now, old = _manifest(revision), _manifest(before) if before else {}
    changed = [f"{key}@{version}" for key, version in now.items() if old.get(key) != version]
    changed += [f"{key} gone" for key in old if key not in now]
    return revision.cause, " ".join(changed), revision.actor, revision.at[:16].replace("T", " ")


def _manifest(revision: Revision) -> dict[str, int]:
    return {one.policy: one.version for one in revision.manifest}


def _flips(version: PolicyVersion) -> str:
    watched = version.watched
    if watched is None:
        return ""
    return f"  would deny {watched.allow_deny} and allow {watched.deny_allow} calls so far"


def _saved(version: PolicyVersion) -> Text:
    return plain(f"{version.version} by {version.created_by}, {version.cause}, ")
