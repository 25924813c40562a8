"""The rows of the registry about the panels of policies: what opens them, what they do. Pure data.

Part of `keymap`, which holds the whole. A panel is opened beside the list of policies, or beside
the editor on its draft.
"""

from typing import Final

from wicket_tui.actions import Action, both, chosen

# One row is a few lines here; formatted, each would fill half a screen.
# fmt: off

_AN_AGENT: Final = chosen("agent", "No agent yet: press 2, then n to create one.")
_A_POLICY: Final = both(_AN_AGENT, chosen("policy", "Choose a policy first: j and k move."))
_CORRECT: Final = chosen("correct", "The draft has errors: F8 goes to them.")
_A_VERSION: Final = both(_AN_AGENT, chosen("version", "Choose a version first: j and k move."))

PANELS: Final[tuple[Action, ...]] = (
    Action(id="policy.versions", keys=("v",), label="Versions",
        help="Its versions: cause, author and note, what two of them differ in, the way back.",
        where=("policies",), permission="read", endpoint="policy.versions",
        twin="policy versions {agent} {policy}", needs=_A_POLICY),
    Action(id="policy.simulate", keys=("s",), label="Simulate",
        help="Decide a call that nobody makes, and see why.",
        where=("policies",), permission="read", endpoint="policy.simulate",
        twin="policy simulate {agent} --member MEMBER --tool TOOL --args JSON", needs=_AN_AGENT),
    Action(id="policy.replay", keys=("r",), label="Replay",
        help="Decide recorded calls once more, with the policy enforced.",
        where=("policies",), permission="read", endpoint="replay.create",
        twin="policy replay {agent} --since 7d --policy {policy}", needs=_A_POLICY),
    Action(id="policy.coverage", keys=("C",), label="Coverage",
        help="Tools that nothing permits, policies that do nothing.",
        where=("policies",), permission="read", endpoint="policy.coverage",
        twin="policy coverage {agent}", needs=_AN_AGENT),
    Action(id="policy.flips", keys=("f",), label="Flips",
        help="The calls that a watched policy would have decided otherwise.",
        where=("policies",), permission="read", endpoint="audit.list",
        twin="audit list --agent {agent} --policy {policy}", needs=_A_POLICY),

    Action(id="policy.outline", keys=("ctrl+g",), label="Outline",
        help="The statements of the draft, with the live tools each can matter for; enter goes "
            "there.",
        where=("policy_editor",), footer=False),
    Action(id="draft.simulate", keys=("f5",), label="Simulate",
        help="Decide a call that nobody makes, without and with the draft.",
        where=("policy_editor",), permission="read", endpoint="policy.simulate",
        twin="policy simulate {agent} --member MEMBER --tool TOOL --args JSON --draft -",
        needs=_CORRECT),
    Action(id="draft.replay", keys=("f6",), label="Replay",
        help="Decide recorded calls once more, with the draft.",
        where=("policy_editor",), permission="read", endpoint="replay.create",
        twin="policy replay {agent} --since 7d --draft -", needs=_CORRECT),
    Action(id="draft.versions", keys=("f7",), label="Versions",
        help="The saved versions: what two of them differ in, the way back.",
        where=("policy_editor",), permission="read", endpoint="policy.versions",
        twin="policy versions {agent} {policy}", footer=False,
        needs=both(_AN_AGENT, chosen("policy", "It has no version yet: ctrl+s saves one."))),

    Action(id="version.mark", keys=("space",), label="Compare with",
        help="Compare the others with this version; again: each with the one before it.",
        where=("versions",), permission="read", endpoint="policy.diff",
        twin="policy diff {agent} {policy} {base} {version}",
        needs=_A_VERSION),
    Action(id="policy.rollback", keys=("b",), label="Roll back", danger=1,
        help="Save this old text again, as a new version.",
        where=("versions",), permission="write", endpoint="policy.rollback",
        twin="policy rollback {agent} {policy} {version}", wants_reason=True,
        needs=both(_A_VERSION, chosen("old", "This version is the newest: choose an older one.")),
        asks="Save version {version} of {policy} again, as a new version. The next call is "
            "decided by it."),

    Action(id="replay.start", keys=("f6",), label="Begin",
        help="Decide the window once more; nothing is changed by it.",
        where=("replay",), permission="read", endpoint="replay.create",
        twin="policy replay {agent} --since {since} --policy {policy}"),
    Action(id="replay.next", keys=("u",), label="Other rows",
        help="The changed rows, those that differ today already, those not decided again.",
        where=("replay",), permission="read", endpoint="replay.rows",
        twin="policy replay {agent} --since {since} --policy {policy}",
        needs=chosen("begun", "No replay was begun yet: enter in a field begins one.")),
    Action(id="replay.entry", keys=("o",), label="Open entry",
        help="The audit entry of the row.",
        where=("replay",), permission="read", endpoint="audit.show", twin="audit show {ref}",
        needs=chosen("ref", "Choose a row first: j and k move.")),
    Action(id="replay.cancel", keys=("x",), label="Cancel",
        help="End the replay; nothing was changed by it.",
        where=("replay",), permission="read", endpoint="replay.cancel",
        twin="policy replay {agent} --since {since} --policy {policy}",
        needs=chosen("running", "No replay runs.")),

    Action(id="simulate.run", keys=("f5",), label="Decide",
        help="Decide the call that the form describes; nobody makes it.",
        where=("simulate",), permission="read", endpoint="policy.simulate",
        twin="policy simulate {agent} --member {member} --tool {tool} --args {args}"),
    Action(id="simulate.member", keys=("f2",), label="Members",
        help="Choose who would call.", where=("simulate",)),
    Action(id="simulate.tool", keys=("f3",), label="Tools",
        help="Choose the tool; its arguments are laid out.", where=("simulate",)),

    Action(id="coverage.all", keys=("u",), label="All",
        help="Every tool and policy, or only those that want a look.", where=("coverage",)),
)
# fmt: on
