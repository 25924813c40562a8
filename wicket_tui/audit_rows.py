"""An audit entry as a line of the list and as the answer to "why". No widgets.

Every text of others passes `widgets.text`. Source: terminal app specification, sections 4 and 6.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.style import Style
from rich.text import Text

from wicket_tui.widgets.facts import Pair
from wicket_tui.widgets.text import fitted, padded, plain, prose, stated
from wicketd.api.text import safe_text
from wicketd.api.types.audit import AuditEntry
from wicketd.policy import lexer

Tint = Callable[[str], Style]
Texts = Mapping[tuple[str, int], str]
"""Policy texts by key and version."""

HEADS: Final = (("time", 15), ("decision", 8), ("who", 10), ("what", 0), ("ended", 9), ("ms", 5))
WIDE: Final = 96
"""From here on a line names the deciding policy too."""
_POLICY: Final = ("policy", 20)


def heads(width: int) -> str:
    """The names of the columns over lines of this width."""
    return " ".join(padded(name, size) for name, size in _columns(width))


def line(entry: AuditEntry, width: int, now: datetime, tint: Tint) -> Text:
    """The entry in one line; a long tool name is cut in its middle, the decision never."""
    cells = {
        "time": plain(_when(entry.timestamp, now), tint("muted")),
        "decision": _decision(entry, tint),
        "who": plain(who(entry)),
        "what": plain(what(entry)),
        "ended": _ended(entry, tint),
        "ms": plain("" if entry.duration_ms is None else round(entry.duration_ms), tint("muted")),
        "policy": plain(", ".join(named(one) for one in statements(entry)[:2])),
    }
    made = Text(end="", no_wrap=True)
    for number, (name, size) in enumerate(_columns(width)):
        cut = _middle if name == "what" and entry.tool else fitted
        text = cut(cells[name], size)
        made.append(" " if number else "").append_text(text)
        made.append(" " * max(0, size - text.cell_len))
    return made


def what(entry: AuditEntry) -> str:
    """What was asked for, or what happened to what."""
    if entry.tool:
        return f"{entry.service}.{entry.tool}"
    target = entry.fields.get("target")
    return f"{entry.kind} {target}" if target else entry.kind


def who(entry: AuditEntry) -> str:
    """Who did it."""
    actor = entry.fields.get("actor")
    name = actor.get("name") if isinstance(actor, dict) else None
    return str(entry.member_name or name or entry.principal or "wicketd")


def statements(entry: AuditEntry) -> list[dict[str, Any]]:
    """The statements that determined a decision."""
    found = entry.fields.get("determining")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def named(statement: Mapping[str, Any]) -> str:
    """A statement's policy at its version."""
    return f"{statement.get('key')}@{statement.get('version')}"


def is_open(entry: AuditEntry) -> bool:
    """Whether its outcome is still to come."""
    return entry.kind == "call.intent" and entry.outcome is None


def detail(entry: AuditEntry, texts: Texts, tint: Tint) -> tuple[str, Sequence[Pair]]:
    """Title and facts: who, what, why with the very texts that decided, how it ended, the chain."""
    title = f"{entry.ref or entry.seq} · {what(entry)}"
    return title, [pair for pair in _pairs(entry, texts, tint) if pair[1].plain not in {"-", ""}]


def _pairs(entry: AuditEntry, texts: Texts, tint: Tint) -> Iterator[Pair]:
    fields = entry.fields
    answer = _decision(entry, tint)
    if entry.reason_code:
        answer.append(f" {safe_text(entry.reason_code)}", tint("muted"))
    yield "decision", answer
    yield "who", plain(_principal(entry))
    yield "when", plain(entry.timestamp)
    yield "resource", plain(entry.resource)
    for one in statements(entry):
        yield "by", _statement(one, texts, tint)
    yield "seen", plain(_seen(entry, texts))
    yield "said", plain(fields.get("denyMessages"))
    yield "errors", plain(fields.get("evaluationErrors"))
    yield "shadow", _shadow(fields.get("shadow"), tint)
    yield "ended", _ended(entry, tint)
    yield "arguments", plain(_flat(entry.tool_args))
    yield (
        "from",
        plain(" · ".join(str(v) for v in (entry.caller_ip, fields.get("clientName")) if v)),
    )
    yield "key", plain(entry.member_key_id)
    yield "session", plain(entry.session_id)
    yield "before", plain(_flat(fields.get("before")))
    yield "after", plain(_flat(fields.get("after")))
    yield "row", plain(f"{entry.seq} · {entry.hash[:16]} behind {entry.prev[:16]}", tint("muted"))
    yield "id", plain(entry.id, tint("muted"))


def _principal(entry: AuditEntry) -> str:
    groups = entry.fields.get("groups")
    shown = ", ".join(map(str, groups)) if isinstance(groups, list) else ""
    role = entry.fields.get("role")
    return " · ".join(part for part in (who(entry), str(role or ""), shown) if part)


def _statement(one: Mapping[str, Any], texts: Texts, tint: Tint) -> Text:
    is_permit = one.get("effect") == "permit"
    sign = "✓ permit" if is_permit else "✗ forbid"
    made = Text(sign, style=tint("allow" if is_permit else "deny"), end="")
    made.append_text(plain(f" {named(one)} #{one.get('statement')}"))
    text = statement_text(one, texts)
    if text:
        lines = "\n".join(f"  {part}" for part in text.splitlines()[:12])
        made.append("\n").append_text(prose(lines))
    return made


def statement_text(one: Mapping[str, Any], texts: Texts) -> str:
    """The statement in the text of that very version; empty while it is not known."""
    text = texts.get((str(one.get("key")), int(one.get("version") or 0)), "")
    spans, number = lexer.split(text) if text else [], int(one.get("statement") or 0)
    return text[spans[number - 1].start : spans[number - 1].end] if 0 < number <= len(spans) else ""


def _seen(entry: AuditEntry, texts: Texts) -> str:
    """The recorded facts that the statements read."""
    read = frozenset[str]().union(
        *(lexer.names(statement_text(one, texts)) for one in statements(entry))
    )
    facts = {f"context.{name}": value for name, value in _leaves(entry.fields.get("context"))}
    return ", ".join(
        f"{name} = {value}" for name, value in facts.items() if name.split(".")[-1] in read
    )


def _leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        place = f"{at}.{name}" if at else str(name)
        if isinstance(item, dict) and "__extn" in item:
            yield place, item["__extn"].get("arg")
        elif isinstance(item, dict):
            yield from _leaves(item, place)
        else:
            yield place, item


def _shadow(shadow: object, tint: Tint) -> Text:
    if not isinstance(shadow, dict):
        return Text()
    word = "allow" if shadow.get("decision") == "ALLOW" else "deny"
    would = f"~ would {word}" if shadow.get("flip") else f"~ {word} too"
    by = ", ".join(named(one) for one in shadow.get("determining") or [])
    return Text(would, style=tint("shadow"), end="").append_text(plain(f" {by}" if by else ""))


def _decision(entry: AuditEntry, tint: Tint) -> Text:
    if entry.decision is None:
        return Text("· noted", style=tint("muted"), end="")
    word = "allow" if entry.decision == "ALLOW" else "deny"
    return Text(stated(word), style=tint(word), end="")


def _ended(entry: AuditEntry, tint: Tint) -> Text:
    if entry.outcome is None:
        return Text("? open" if is_open(entry) else "", style=tint("pending"), end="")
    is_good = entry.outcome == "ok"
    return Text(
        f"{'✓' if is_good else '✗'} {safe_text(entry.outcome)}",
        style=tint("allow" if is_good else "pending"),
        end="",
    )


def _flat(value: object) -> str:
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    return ", ".join(f"{name}: {item}" for name, item in value.items())


def _when(timestamp: str, now: datetime) -> str:
    """The time in the zone of `now`; the date only where it is another day."""
    try:
        then = datetime.fromisoformat(timestamp).astimezone(now.tzinfo)
    except ValueError:
        return timestamp
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%d %b %H:%M:%S")


def _middle(shown: Text, width: int) -> Text:
    """The text in `width` cells, with `…` in its middle where something is left out."""
    if shown.cell_len <= width:
        return shown
    whole, half = shown.plain, max(1, (width - 1) // 2)
    left = fitted(Text(whole), half + 1).plain.removesuffix("…")
    right = whole[-half:]
    while Text(left + "…" + right).cell_len > width and right:
        right = right[1:]
    return Text(f"{left}…{right}", end="")


def _columns(width: int) -> list[tuple[str, int]]:
    wanted = list(HEADS)
    if width >= WIDE:
        wanted.insert(4, _POLICY)
    taken = sum(size for _, size in wanted) + len(wanted) - 1
    return [(name, size or max(width - taken, 10)) for name, size in wanted]
