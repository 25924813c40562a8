"""What Wicket does not protect, as data: `wicketd doctor --limits` prints it, the docs repeat it.

Source: product spec, section 1 (L1 to L14); security spec, section 16 (the numbered ones).
"""

from dataclasses import dataclass
from textwrap import fill
from typing import Final


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that is not promised, in one or two sentences."""

    id: str
    text: str


NOT_PROTECTED: Final = (
    Limit(
        "L1",
        "Prompt injection inside results: the call is checked, the content that comes back is "
        "passed on unread.",
    ),
    Limit(
        "L2",
        "A malicious or compromised administrator: may permit anything, approve anybody, read the "
        "audit, reveal recorded arguments, use a sign-in link it made.",
    ),
    Limit(
        "L3",
        "A dishonest upstream server: definition changes are flagged, answers are not verified.",
    ),
    Limit("L4", "A compromised client machine: it holds the member key."),
    Limit(
        "L5",
        "A network endpoint impersonating a provider with a certificate the host trusts.",
    ),
    Limit(
        "L6",
        "Takeover of the mailbox of a member who has not enrolled TOTP: the attacker reaches the "
        'portal and may enrol first; with `portal.require_mfa = "off"` the mailbox alone makes a '
        "key.",
    ),
    Limit(
        "L7",
        "root on the host sees keys and tokens in memory during calls; Python cannot wipe memory.",
    ),
    Limit(
        "L8",
        "The pending window, only while a member has no key (at most 24 h from callback to first "
        "key): the keyring alone opens those tokens, also in backups taken then.",
    ),
    Limit(
        "L9",
        "A refresh answer lost between provider and our fsync: the member reconnects.",
    ),
    Limit(
        "L10",
        "The audit tail since the last exported checkpoint; root with the audit key can rewrite "
        "what was never exported.",
    ),
    Limit(
        "L11",
        "Flooding by an authenticated member within its limits, or by the network.",
    ),
    Limit(
        "L12",
        "A client that invents a new conversation id starts a new tool session; use session scope "
        "`key`.",
    ),
    Limit("L13", "Recorded arguments can be read by administrators (audited reveal)."),
    Limit("L14", "Whoever issues a local member's key sees it."),
)

RESIDUAL: Final = (
    Limit(
        "1",
        "Root, or code with the daemon's uid, sees keys and tokens at call time; tokens and member "
        "keys are in RAM during a call; Python cannot wipe them.",
    ),
    Limit(
        "2",
        "Pending window: while a member has no key (at most 24 h from callback to first key) the "
        "keyring alone can decrypt; copies of that time hold usable tokens until these expire or "
        'rotate. "Nobody can read them" holds only at rest, once sealed.',
    ),
    Limit(
        "3",
        "A refresh answer lost between provider and our disk forces a reconnect; idle refresh "
        "tokens may lapse. Losing keyring or member key loses the tokens, and what we cannot "
        "decrypt we cannot revoke.",
    ),
    Limit(
        "4",
        "Root can cut the audit tail after the last exported checkpoint, and with the audit key "
        "rewrite what never left the box. A restored backup shows only against an off-box "
        "checkpoint.",
    ),
    Limit(
        "5",
        "Tool results are not inspected: prompt injection passes. Upstream servers are trusted as "
        "configured; provider tokens keep their power outside Wicket.",
    ),
    Limit(
        "6",
        "Admins can allow anything: the audit shows it, nothing prevents it. A mailbox without "
        'TOTP opens the portal, not calls (`require_mfa = "off"`: also a key); a sign-in link is '
        "its holder's. A stolen member key works until ended, within one agent's policies.",
    ),
    Limit(
        "7",
        "A VM snapshot resumed twice may repeat random numbers on old kernels, hence GCM nonces: "
        "restart the daemon after a resume.",
    ),
    Limit(
        "8",
        "Denial of service by volume is bounded per member and IP, not prevented; call times and "
        "sizes are visible to upstream and network.",
    ),
)


def text(width: int = 100) -> str:
    """Both lists as `wicketd doctor --limits` prints them."""
    head = "Wicket does not protect against:"
    tail = "What stays, even when everything works:"
    return "\n".join([head, *_lines(NOT_PROTECTED, width), "", tail, *_lines(RESIDUAL, width)])


def _lines(limits: tuple[Limit, ...], width: int) -> list[str]:
    return [
        fill(
            one.text,
            width,
            initial_indent=f"  {one.id:<4}",
            subsequent_indent=" " * 6,
            break_on_hyphens=False,
        )
        for one in limits
    ]
