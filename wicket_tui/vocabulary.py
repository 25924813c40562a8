"""The words of Cedar that are no names of this agent, each with one line of help.

Pure data; read by completion and hover. Source: policy specification, sections 1 and 9.5.
"""

from collections.abc import Mapping
from typing import Final

GROUPS: Final[Mapping[str, str]] = {
    "call_tool": "Every call of a tool.",
    "destructive": "Every tool of the tier destructive: it deletes, or cannot be undone.",
    "get_prompt": "Every prompt that a server offers.",
    "read": "Every tool of the tier read: it changes nothing.",
    "read_resource": "Every resource that a server offers.",
    "write": "Every tool of the tier write: it changes something, and can be undone.",
}
"""Ids of `Wicket::Action`."""
TIERS: Final = ("read", "write", "destructive")
VARIABLES: Final[Mapping[str, str]] = {
    "principal": "The member who calls.",
    "action": "The tool that is called, or one of its groups.",
    "resource": "What the tool is called on: the target of its arguments, or the tool itself.",
    "context": "Arguments, time, tool session and network of the call.",
}
WEEKDAYS: Final = (
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
)
"""`context.time.weekday` counts them from 0."""
FUNCTIONS: Final[Mapping[str, str]] = {
    "ip": 'An address or a range of them: ip("10.0.0.0/8").',
    "decimal": 'A number with at most four places: decimal("1.25").',
    "datetime": 'A moment: datetime("2026-12-01T00:00:00+0100").',
    "duration": 'A length of time: duration("1h30m").',
}
METHODS: Final[Mapping[str, Mapping[str, str]]] = {
    "Set": {
        "contains": "Whether this value is in the set.",
        "containsAll": "Whether all values of another set are in it.",
        "containsAny": "Whether one value of another set is in it.",
        "isEmpty": "Whether it holds nothing.",
    },
    "decimal": {
        "lessThan": "Whether it is below another decimal.",
        "lessThanOrEqual": "Whether it is another decimal or below.",
        "greaterThan": "Whether it is above another decimal.",
        "greaterThanOrEqual": "Whether it is another decimal or above.",
    },
    "ipaddr": {
        "isIpv4": "Whether it is an IPv4 address.",
        "isIpv6": "Whether it is an IPv6 address.",
        "isLoopback": "Whether it is this host's own address.",
        "isMulticast": "Whether it is a multicast address.",
        "isInRange": "Whether it lies in a range such as 10.0.0.0/8.",
    },
    "datetime": {
        "offset": "The moment that lies a duration later.",
        "durationSince": "The duration since another moment.",
        "toDate": "The start of its day, in UTC.",
        "toTime": "The duration since the start of its day, in UTC.",
    },
    "duration": {
        "toMilliseconds": "Its length as a whole number of milliseconds.",
        "toSeconds": "Its length as a whole number of seconds.",
        "toMinutes": "Its length as a whole number of minutes.",
        "toHours": "Its length as a whole number of hours.",
        "toDays": "Its length as a whole number of days.",
    },
}
"""By the type they are called on."""
ANNOTATIONS: Final[Mapping[str, str]] = {
    "id": "The statement's name, in audit rows and in lists.",
    "deny_message": "What the caller is told when this forbid decides.",
}
KEYWORDS: Final[Mapping[str, str]] = {
    "permit": "Allows what matches, unless a forbid matches too.",
    "forbid": "Denies what matches, whatever permits it.",
    "when": "The statement holds only where this is true.",
    "unless": "The statement holds only where this is false.",
    "if": "if A then B else C: B where A is true, else C.",
    "then": "What an `if` gives where it is true.",
    "else": "What an `if` gives where it is false.",
    "true": "Always.",
    "false": "Never.",
}
OPERATORS: Final[Mapping[str, str]] = {
    "==": "Equal, of the same type.",
    "!=": "Not equal.",
    "<": "Less, of whole numbers, moments or durations.",
    "<=": "Less or equal, of whole numbers, moments or durations.",
    ">": "Greater, of whole numbers, moments or durations.",
    ">=": "Greater or equal, of whole numbers, moments or durations.",
    "&&": "Both; the right side is not read where the left is false.",
    "||": "One of both; the right side is not read where the left is true.",
    "!": "Not.",
    "in": "Is it, or belongs to it: a member of a group, a tool of a tier.",
    "is": "Is of this type; its attributes can be read to the right of it.",
    "has": "Whether the attribute is there; it can be read to the right of it.",
    "like": "Whether a text has this form; * stands for anything.",
    "+": "The sum of whole numbers.",
    "-": "The difference of whole numbers.",
    "*": "The product of whole numbers.",
}
