"""Checks of policy texts between the domain and the contract. Counterpart: `mapping`."""

from collections.abc import Sequence

from wicketd.admin import mapping
from wicketd.api.types import policies as wire
from wicketd.domain.policies import Problem
from wicketd.policy import lexer
from wicketd.policy.touches import Touch
from wicketd.services.policy_touches import Touched, TouchedTool


def checked(text: str, problems: Sequence[Problem], touched: Touched) -> wire.PolicyChecked:
    """The findings on a text, with what its statements touch."""
    tools = touched.tools
    return wire.PolicyChecked(
        problems=tuple(map(mapping.problem, problems)),
        statements=tuple(_statement(text, one) for one in touched.statements),
        touched=None if tools is None else tuple(map(_tool, tools)),
    )


def _statement(text: str, one: Touch) -> wire.CheckedStatement:
    line, _ = lexer.line_col(text, one.start)
    effect = one.effect.value
    return wire.CheckedStatement(number=one.number, effect=effect, id=one.label, line=line)


def _tool(one: TouchedTool) -> wire.TouchedTool:
    return wire.TouchedTool(
        service=one.service, tool=one.tool, tier=one.tier.value, statements=one.statements
    )
