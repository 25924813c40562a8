"""Policies at random, of every form of Cedar's grammar, with comments between any two tokens."""

from random import Random
from typing import Final

from wicketd.policy import lexer

_SERVICE: Final = 'Wicket::Service::"ops"'
_ACTION: Final = 'OpsMCP::Action::"deploy.run"'
_PRINCIPALS: Final = (
    "principal",
    "principal is A::B",
    f"principal == {_SERVICE}",
    f"principal in {_SERVICE}",
    f"principal is A::B in {_SERVICE}",
)
_ACTIONS: Final = (
    "action",
    f"action == {_ACTION}",
    f"action in {_ACTION}",
    f"action in [ {_ACTION} , {_ACTION} ]",
    "action in [ ]",
)
_NOTES: Final = ('@id ( "a" )', '@deny_message ( "no // comment" )', "@note")
_STRINGS: Final = ('"b"', '"// no comment"', '"; when {"', '"\\u{1F600}\\n"', '"two\nlines"')
_ROOTS: Final = ("principal", "action", "resource", "context")
_ATOMS: Final = (
    *_ROOTS,
    *_STRINGS,
    "true",
    "false",
    "( -3 )",
    "9000000000",
    "[ ]",
    "{ }",
    'ip ( "::1" )',
    'decimal ( "1.5" )',
    _ACTION,
)
_OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "&&", "||")
_FORMS: Final = (
    "( {} {op} {} )",
    "( {} {op} {} )",
    "! ( {} )",
    "( - ( {} ) )",
    "( if {} then {} else {} )",
    "[ {} , {} ]",
    "{{ a : {} , {string} : {} }}",
    "( {root} has role )",
    '( {root} has "max-rows" )',
    "( {root} has a . b )",
    "{root} . tags . containsAll ( {} )",
    "{root} [ {string} ]",
    "( {} like {string} )",
    "( {root} is A::B )",
    "( {root} is A::B in {} )",
)
_GAPS: Final = (*[" "] * 12, "\n", "  \n\n\t", " // why; or { not\n", "\n// whole line\n")


def policies(random: Random, statements: int) -> str:
    """A text of some statements that parse."""
    plain = " ".join(_statement(random) for _ in range(statements))
    parts = [
        random.choice(_GAPS) if one.kind == "space" else one.text for one in lexer.lex(plain + "\n")
    ]
    return "".join(parts)


def _statement(random: Random) -> str:
    notes = random.sample(_NOTES, random.randrange(len(_NOTES)))
    resource = random.choice(_PRINCIPALS).replace("principal", "resource")
    scopes = " , ".join([random.choice(_PRINCIPALS), random.choice(_ACTIONS), resource])
    clauses = [
        f"{random.choice(['when', 'unless'])} {{ {expression(random, 4)} }}"
        for _ in range(random.randrange(3))
    ]
    return " ".join([*notes, f"{random.choice(['permit', 'forbid'])} ( {scopes} )", *clauses, ";"])


def expression(random: Random, depth: int) -> str:
    """An expression of any type, with a space between any two tokens."""
    if depth == 0 or random.random() < 0.2:
        return random.choice(_ATOMS)
    form = random.choice(_FORMS)
    inner = [expression(random, depth - 1) for _ in range(form.count("{}"))]
    return form.format(
        *inner,
        op=random.choice(_OPERATORS),
        root=random.choice(_ROOTS),
        string=random.choice(_STRINGS),
    )
