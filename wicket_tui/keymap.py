"""The registry of actions: one row for each thing a person can do in the app. Pure data.

Bindings, footer, palette, help, the clash check and the text that `y` copies are read from here;
nothing else knows keys. A new screen adds its rows to `SCREENS`.
Source: product specification, section 10.
"""

from collections.abc import Mapping
from typing import Final

from wicket_tui.actions import Action, both, chosen, holds
from wicket_tui.panelmap import PANELS

# One row is a few lines here; formatted, each would fill half a screen.
# fmt: off

_AN_AGENT: Final = chosen("agent", "No agent yet: press 2, then n to create one.")
_A_MEMBER: Final = both(_AN_AGENT, chosen("member", "Choose a member first: j and k move."))
_A_SERVICE: Final = both(_AN_AGENT, chosen("service", "Choose a service first: j and k move."))
_A_POLICY: Final = both(_AN_AGENT, chosen("policy", "Choose a policy first: j and k move."))
_A_SESSION: Final = both(_AN_AGENT, chosen("session", "Choose a session first: j and k move."))
_AN_ENTRY: Final = chosen("ref", "Choose an entry first: j and k move.")
_AN_ACCOUNT: Final = both(
    _A_MEMBER, chosen("account", "A local member has no account: its key is made by wicket key.")
)


def _go(number: int, name: str, what: str) -> Action:
    return Action(
        id=f"go.{name}",
        keys=(str(number),),
        label=name.capitalize(),
        help=f"Show {what}.",
        footer=False,
    )


EVERYWHERE: Final = (
    _go(1, "dashboard", "calls, denials and what waits for you"),
    _go(2, "agents", "the agents and their kill switch"),
    _go(3, "services", "the services of the chosen agent, their tools and drift"),
    _go(4, "policies", "the policies of the chosen agent"),
    _go(5, "members", "who belongs to the chosen agent; pending ones first"),
    _go(6, "audit", "every decision that was made"),
    _go(7, "sessions", "the tool sessions of the chosen agent"),
    _go(8, "status", "the daemon, its audit head and keyring"),
    Action(id="agent.choose", keys=("A",), label="Agent",
        help="Choose the agent that the screens show.",
        permission="read", endpoint="agent.list", twin="agent list"),
    Action(id="palette.open", keys=("ctrl+p",), label="Palette",
        help="Find an action or agent by typing."),
    Action(id="help.open", keys=("question_mark", "f1"), label="Help",
        help="Every key of this screen, searchable, with the command that does the same."),
    Action(id="jump.open", keys=("ctrl+o",), label="Jump",
        help="Put a letter on each pane; press it to go there.",
        footer=False),
    Action(id="command.copy", keys=("y",), label="Copy command",
        help="Copy the wicket command that shows what you see; F1 lists those of all actions."),
    Action(id="log.open", keys=("L",), label="Log",
        help="The commands that were sent, and how they ended.",
        footer=False),
    Action(id="theme.choose", keys=("T",), label="Theme",
        help="Try the four themes; enter keeps one, esc goes back.",
        footer=False),
    Action(id="screen.reload", keys=("ctrl+r",), label="Reload",
        help="Read again what is shown, or connect at once.",
        footer=False),
    Action(id="go.back", keys=("escape",), label="Back",
        help="One step back: close, clear the filter, go home.",
        footer=False),
    Action(id="app.quit", keys=("q",), label="Quit", help="Leave the app. The daemon goes on."),
)
LISTS: Final = ("agents", "services", "policies", "members", "audit", "sessions")
SCREENS: Final[tuple[Action, ...]] = (
    Action(id="list.filter", keys=("slash",), label="Filter",
        help="Show only rows that hold these words; esc clears.",
        where=LISTS),

    Action(id="window.shorter", keys=("left_square_bracket",), label="Shorter",
        help="A shorter time window: 30 d, 7 d, 24 h, 1 h.",
        where=("dashboard",), permission="read", endpoint="agent.stats",
        twin="stats --agent {agent} --since {window}",
        needs=_AN_AGENT),
    Action(id="window.longer", keys=("right_square_bracket",), label="Longer",
        help="A longer time window: 1 h, 24 h, 7 d, 30 d.",
        where=("dashboard",), permission="read", endpoint="agent.stats",
        twin="stats --agent {agent} --since {window}",
        needs=_AN_AGENT),
    Action(id="window.denials", keys=("enter",), label="Denials",
        help="The denied calls of the window, in the audit.",
        where=("dashboard",), permission="read", endpoint="audit.list",
        twin="audit list agent:{agent} decision:deny since:{window}",
        needs=_AN_AGENT),

    Action(id="agent.show", keys=("enter",), label="Use",
        help="Make this the agent that the other screens show.",
        where=("agents",), permission="read", endpoint="agent.show", twin="agent show {agent}",
        needs=_AN_AGENT),
    Action(id="agent.create", keys=("n",), label="New",
        help="Create an agent. Everything is denied until a policy permits it.",
        where=("agents",), permission="write", endpoint="agent.create",
        twin="agent create {new_key} --name {new_name}"),
    Action(id="agent.edit", keys=("e",), label="Edit",
        help="Change name, time zone, tags or session scope.",
        where=("agents",), permission="write", endpoint="agent.update",
        twin="agent edit {agent}", needs=_AN_AGENT),
    Action(id="agent.switch", keys=("K",), label="Kill switch", danger=1,
        help="Switch the agent off at once, or on again.", where=("agents",), permission="write",
        endpoint="agent.status", twin="agent {switch} {agent}", needs=_AN_AGENT,
        wants_reason=True,
        asks="{Switch} {agent}. {switch_effect}"),
    Action(id="agent.delete", keys=("D",), label="Delete", danger=2, word="{agent}",
        help="Delete a disabled agent for good: keys end, credentials are destroyed, the "
            "audit stays.",
        where=("agents",), permission="write", endpoint="agent.delete",
        twin="agent delete {agent}",
        needs=both(_AN_AGENT, holds("state", ("disabled",),
        "Only a disabled agent can be deleted: press K first.")),
        asks="Delete {agent} for good. Its keys end, its credentials are destroyed; the "
            "audit stays."),
    Action(id="agent.panic", keys=("P",), label="Panic", danger=2, word="panic",
        help="Disable every agent at once.", where=("agents",), permission="write",
        endpoint="panic",
        twin="panic", wants_reason=True,
        asks="Disable every agent. Calls in flight end; each one is enabled again by hand."),

    Action(id="service.tools", keys=("t", "enter"), label="Tools",
        help="The tools of the service: tier, source, hash.",
        where=("services",), permission="read", endpoint="service.tools",
        twin="service tools {agent} {service}",
        needs=_A_SERVICE),
    Action(id="service.drift", keys=("v",), label="Drift",
        help="Tool changes that wait for a review, old beside new.",
        where=("services",), permission="read", endpoint="service.drift",
        twin="service drift {agent} {service}",
        needs=_A_SERVICE),
    Action(id="service.callback", keys=("u",), label="Callback",
        help="Show and copy the URL to register at the provider.",
        where=("services",), permission="read", endpoint="service.show",
        twin="service show {agent} {service}",
        needs=both(_A_SERVICE, chosen("callback", "This service needs no callback URL."))),
    Action(id="service.enable", keys=("n",), label="Enable",
        help="Enable a service from the catalogue; the report comes first.",
        where=("services",), permission="write", endpoint="service.put",
        twin="service enable {agent} {service} --dry-run", needs=_AN_AGENT),
    Action(id="service.discover", keys=("d",), label="Discover",
        help="List the server's tools now and compare.",
        where=("services",), permission="write", endpoint="service.discover",
        twin="service discover {agent} {service}", needs=_A_SERVICE),
    Action(id="service.credentials", keys=("c",), label="Credentials",
        help="Store the OAuth app of the service. It goes in and never comes out.",
        where=("services",), permission="write", endpoint="service.credentials",
        twin="service credentials {agent} {service} --client-id {client_id}", needs=_A_SERVICE),
    Action(id="service.disable", keys=("x",), label="Disable", danger=1,
        help="Refuse every further call of the service.",
        where=("services",), permission="write", endpoint="service.put",
        twin="service disable {agent} {service}",
        needs=both(_A_SERVICE, holds("state", ("enabled",),
        "It is not enabled: press n to enable it.")),
        asks="Disable {service} on {agent}. Its calls are refused; tools, tiers and "
            "connections stay."),
    Action(id="service.remove", keys=("D",), label="Remove", danger=2, word="{service}",
        help="Remove a disabled service for good: its connections are destroyed.",
        where=("services",), permission="write", endpoint="service.remove",
        twin="service remove {agent} {service}",
        needs=both(_A_SERVICE, holds("state", ("disabled",),
        "Only a disabled service can be removed: press x first.")),
        asks="Remove {service} from {agent} for good. Every member's connection to it is "
            "destroyed."),

    Action(id="tool.tier", keys=("space",), label="Tier",
        help="Next tier of the tool: read, write, destructive, then the connector's own.",
        where=("tools",), permission="write", endpoint="service.tier",
        twin="service tier {agent} {service} {tool} {next_tier}",
        danger=1, needs=chosen("tool", "Choose a tool first: j and k move."),
        asks="{tool} is destructive. {As_what}, every policy that permits that tier permits "
            "it from the next call on."),
    Action(id="tool.ack", keys=("a",), label="Accept",
        help="Accept the changed definition that you see.",
        where=("tools", "drift"), permission="write", endpoint="service.ack",
        twin="service ack {agent} {service} {tool}",
        danger=1, needs=both(chosen("tool", "Nothing waits for a review."), chosen("new_hash",
        "This tool has no open change.")),
        asks="Accept the new definition of {tool}. Calls of it are allowed by your "
            "policies again."),

    Action(id="policy.edit", keys=("enter",), label="Edit",
        help="Open the policy in the editor.",
        where=("policies",), permission="read", endpoint="policy.show",
        twin="policy show {agent} {policy}", needs=_A_POLICY),
    Action(id="policy.new", keys=("n",), label="New",
        help="Write a policy, from a recipe or from nothing.",
        where=("policies",), permission="read", endpoint="policy.schema",
        twin="policy recipe {agent}", needs=_AN_AGENT),
    Action(id="policy.revisions", keys=("h",), label="History",
        help="Every change of the agent's policies: who, when, why.",
        where=("policies",), permission="read", endpoint="policy.revisions",
        twin="policy revisions {agent}", needs=_AN_AGENT),
    Action(id="policy.enabled", keys=("space",), label="On/off", danger=1,
        help="Turn the policy off, or on again.",
        where=("policies",), permission="write", endpoint="policy.enabled",
        twin="policy {switch} {agent} {policy}", needs=_A_POLICY,
        asks="{Switch} {policy}. {switch_effect}"),
    Action(id="policy.mode", keys=("m",), label="Mode", danger=1,
        help="Enforce the policy, or only watch what it would do (shadow).",
        where=("policies",), permission="write", endpoint="policy.mode",
        twin="policy mode {agent} {policy} {mode}", needs=_A_POLICY,
        asks="{policy} goes to {mode}. {mode_effect}"),
    Action(id="policy.delete", keys=("D",), label="Delete", danger=2, word="{policy}",
        help="Take the policy out of the set; its versions stay readable.",
        where=("policies",), permission="write", endpoint="policy.delete",
        twin="policy delete {agent} {policy}", needs=_A_POLICY,
        asks="Delete {policy} from {agent}. What only it permitted is denied, what only it "
            "forbade is permitted."),

    Action(id="policy.save", keys=("ctrl+s",), label="Save",
        help="Save the draft as a new version; refused while it has errors.",
        where=("policy_editor",), permission="write", endpoint="policy.save",
        twin="policy save {agent} {policy} -",
        needs=both(chosen("changed", "Nothing is changed: what you see is saved."),
        chosen("correct", "The draft has errors: F8 goes to them, ctrl+t mends."))),
    Action(id="problem.next", keys=("f8",), label="Next problem",
        help="Go to the next problem.", where=("policy_editor",),
        needs=chosen("problem", "No problem is known.")),
    Action(id="problem.fix", keys=("ctrl+t",), label="Fix",
        help="Write what is proposed for the problem at the cursor, as one step of undo.",
        where=("policy_editor",), needs=chosen("problem", "No problem is known.")),
    Action(id="policy.complete", keys=("ctrl+space", "ctrl+at"), label="Complete",
        help="What can stand at the cursor; the grey word behind it is taken with the right arrow.",
        where=("policy_editor",)),
    Action(id="policy.explain", keys=("f3",), label="Explain",
        help="What the word under the cursor means, and its problem.",
        where=("policy_editor",)),
    Action(id="policy.touches", keys=("f2",), label="Touches",
        help="The live tools that the draft can matter for, by statement.",
        where=("policy_editor",), permission="read", endpoint="policy.check",
        twin="policy touches {agent} -"),
    Action(id="policy.format", keys=("f4",), label="Format",
        help="Bring the draft into the usual form; what it means stays.",
        where=("policy_editor",), permission="read", endpoint="policy.format",
        twin="policy format -",
        needs=chosen("correct", "The draft has errors: F8 goes to them.")),
    Action(id="policy.hand_over", keys=("ctrl+e",), label="$EDITOR",
        help="Edit the draft in $VISUAL or $EDITOR and come back.",
        where=("policy_editor",)),
    Action(id="problem.previous", keys=("shift+f8",), label="Previous problem",
        help="Go to the problem before.", where=("policy_editor",), footer=False,
        needs=chosen("problem", "No problem is known.")),
    Action(id="draft.discard", keys=("ctrl+d",), label="Discard", danger=1,
        help="Drop the draft and go back to what is saved; ctrl+z brings it back.",
        where=("policy_editor",), footer=False,
        needs=chosen("changed", "There is no draft: what you see is saved."),
        asks="Drop what is typed since the last save."),

    Action(id="member.show", keys=("enter",), label="Details",
        help="Key, connections and what this member waits for.",
        where=("members",), permission="read", endpoint="member.show",
        twin="member show {agent} {member}",
        needs=_A_MEMBER),
    Action(id="member.approve", keys=("a",), label="Approve",
        help="Admit a pending member, who may then make a key.",
        where=("members",), permission="write", endpoint="member.approve",
        twin="member approve {agent} {member}",
        needs=both(_A_MEMBER, holds("state", ("pending",),
        "Only a pending member can be approved."))),
    Action(id="invite.create", keys=("i",), label="Invite",
        help="Invite an address. The link is shown once.",
        where=("members",), permission="write", endpoint="invite.create",
        twin="invite create {agent} {email}",
        needs=_AN_AGENT),
    Action(id="invite.resend", keys=("I",), label="Resend",
        help="Make a new link for who is still invited; the old one is dead.",
        where=("members",), permission="write", endpoint="invite.resend",
        twin="invite resend {agent} {invite}",
        needs=both(_A_MEMBER, chosen("invite", "This member has no open invitation."))),
    Action(id="member.edit", keys=("e",), label="Edit", help="Change role, groups and tags.",
        where=("members",), permission="write", endpoint="member.update",
        twin="member edit {agent} {member}",
        needs=_A_MEMBER),
    Action(id="account.link", keys=("l",), label="Sign-in link",
        help="Make a single-use sign-in link, where no mail is sent.",
        where=("members",), permission="write", endpoint="account.link",
        twin="account link {account}",
        needs=_AN_ACCOUNT),
    Action(id="member.reject", keys=("r",), label="Reject", danger=1,
        help="Refuse a pending member for good.",
        where=("members",), permission="write", endpoint="member.reject",
        twin="member reject {agent} {member}",
        needs=both(_A_MEMBER, holds("state", ("pending",),
        "Only a pending member can be rejected.")),
        asks="Reject {member} for good. Only a new invitation opens the door again.",
        wants_reason=True),
    Action(id="key.revoke", keys=("K",), label="Revoke key", danger=1,
        help="End the member's key at once.",
        where=("members",), permission="write", endpoint="key.revoke",
        twin="key revoke {agent} {member} --reason REASON",
        needs=both(_A_MEMBER, chosen("key", "This member has no key.")), wants_reason=True,
        asks="End the key of {member} at once. Their tokens stay sealed until a new key is "
            "made with the old one."),
    Action(id="account.sign_out", keys=("w",), label="Sign out", danger=1,
        help="End every web session of the account.",
        where=("members",), permission="write", endpoint="account.sign_out",
        twin="account sign-out {account}",
        needs=_AN_ACCOUNT, asks="End every web session of {account}."),
    Action(id="account.mfa_reset", keys=("M",), label="Reset TOTP", danger=1,
        help="Forget the second factor and end every web session.", where=("members",),
        permission="write",
        endpoint="account.mfa_reset", twin="account reset-mfa {account}", needs=_AN_ACCOUNT,
        asks="Forget the second factor of {account} and end every web session. Make sure "
            "who asks."),
    Action(id="account.status", keys=("b",), label="Block", danger=1,
        help="Block the account, or unblock it: sign-in and keys are refused on every agent.",
        where=("members",), permission="write", endpoint="account.status",
        twin="account {block} {account}",
        needs=_AN_ACCOUNT, asks="{Block} {account}: {block_effect}"),
    Action(id="member.remove", keys=("D",), label="Remove", danger=2, word="{member}",
        help="Remove the member: the key ends at once, credentials are destroyed.",
        where=("members",), permission="write", endpoint="member.remove",
        twin="member remove {agent} {member}",
        needs=_A_MEMBER,
        asks="Remove {member} from {agent}. The key ends at once, credentials are destroyed."),

    Action(id="audit.show", keys=("enter",), label="Why",
        help="Who, what, the statements that decided in the text of their version, the outcome.",
        where=("audit",), permission="read", endpoint="audit.show", twin="audit show {ref}",
        needs=_AN_ENTRY),
    Action(id="audit.follow", keys=("f",), label="Follow",
        help="Back to the newest entry, and on with what comes.",
        where=("audit",), permission="read", endpoint="audit.list",
        twin="audit tail agent:{agent}"),
    Action(id="audit.policy", keys=("p",), label="Policy",
        help="The deciding policy in the text of that very version.",
        where=("audit",), permission="read", endpoint="policy.version",
        twin="policy show {agent} {policy} --version {version}",
        needs=both(_AN_ENTRY, chosen("policy", "No policy decided this entry."))),
    Action(id="audit.session", keys=("o",), label="Session",
        help="The tool session that the call belongs to.",
        where=("audit",), permission="read", endpoint="session.show",
        twin="session show {agent} {session}",
        needs=both(_AN_ENTRY, chosen("session", "This entry belongs to no tool session."))),
    Action(id="audit.export", keys=("e",), label="Export",
        help="Write what the filter shows to a file, as chained JSON lines or CSV.",
        where=("audit",), permission="read", endpoint="audit.export",
        twin="audit export --format jsonl agent:{agent}"),
    Action(id="audit.reveal", keys=("V",), label="Reveal", danger=1, wants_reason=True,
        help="Show the recorded arguments; the audit keeps the reason.",
        where=("audit",), permission="write", endpoint="audit.reveal",
        twin="audit reveal {ref} --reason REASON",
        needs=both(_AN_ENTRY, chosen("sealed", "The arguments of this entry are not kept.")),
        asks="Show the arguments of {ref}, {tool}, as the client sent them. The audit keeps "
            "that you read them, and why."),

    Action(id="session.show", keys=("enter",), label="Details",
        help="What the session used, and which policies decided.",
        where=("sessions",), permission="read", endpoint="session.show",
        twin="session show {agent} {session}",
        needs=_A_SESSION),
    Action(id="session.reset", keys=("R",), label="Reset", danger=1,
        help="End the session now; the client goes on from zero.",
        where=("sessions",), permission="write", endpoint="session.reset",
        twin="session reset {agent} {session}",
        needs=both(_A_SESSION, holds("state", ("active",), "This session has ended.")),
        asks="End this session of {member} now. Its counters start from zero with the next "
            "call."),

    *PANELS,

    Action(id="catalogue.reload", keys=("l",), label="Reload catalogue",
        help="Read the connector files again; after an error the old set stays.",
        where=("status",), permission="write", endpoint="catalogue.reload",
        twin="catalogue reload"),
    Action(id="audit.checkpoint", keys=("c",), label="Checkpoint",
        help="Sign the audit log as it stands now.",
        where=("status",), permission="write", endpoint="audit.checkpoint",
        twin="audit checkpoint"),
)
# fmt: on

ACTIONS: Final = (*EVERYWHERE, *SCREENS)
BY_ID: Final[Mapping[str, Action]] = {action.id: action for action in ACTIONS}
"""Every action by its id."""
FOOTER: Final = 8
"""Actions that a footer shows at most."""


def of_screen(screen: str) -> tuple[Action, ...]:
    """The actions that a screen adds to those of all screens."""
    return tuple(action for action in SCREENS if screen in action.where)


def footer_of(screen: str) -> tuple[Action, ...]:
    """What the footer shows: the screen's own, safest first, then help; at most eight."""
    own = sorted((a for a in of_screen(screen) if a.footer), key=lambda action: action.danger)
    kept = own[: FOOTER - 1]
    more = [action for action in EVERYWHERE if action.footer and action.id != "help.open"]
    kept += more[: FOOTER - 1 - len(kept)]
    return (*kept, BY_ID["help.open"])
