"""Random policies over the world of `support.policies`, of all that statements can look at."""

import random
from typing import Final

PERMIT = "permit (principal, action, resource);"
SCOPES: Final = (
    "principal, action, resource",
    'principal == Wicket::Member::"m1", action, resource',
    'principal in Wicket::Group::"ops", action, resource',
    'principal, action == OpsMCP::Action::"db-query", resource',
    'principal, action, resource in GitHubMCP::Owner::"acme"',
    'principal, action, resource in Wicket::Service::"ops"',
    "principal, action, resource is GitHubMCP::Repository",
)
LEAVES: Final = (
    'principal.role == "owner"',
    'principal.tags.contains("blue")',
    'principal has email && principal.email like "*@example.com"',
    'principal in [Wicket::Group::"ops", Wicket::Member::"m2"]',
    '[principal].contains(Wicket::Member::"m3")',
    '(if context.time.hour > 11 then principal else resource) == Wicket::Member::"m1"',
    '(if context.time.hour > 11 then principal else principal).role == "owner"',
    '[principal, resource].contains(GitHubMCP::Repository::"acme/api")',
    'resource is GitHubMCP::Repository && resource.name == "api"',
    'resource is Wicket::Tool && resource.tier == "read"',
    'resource is GitHubMCP::Repository in GitHubMCP::Owner::"b"',
    'action in Wicket::Action::"destructive"',
    'resource == Wicket::Tool::"ops__status"',
    'resource in Wicket::Service::"ops"',
    "context.time.hour > 11",
    '{"a": context.session}.a.calls > 1',
    '{"==": principal}["=="].role == "owner"',
    "context.session == context.session && context.session.denials == 0",
    'context.network.ip.isInRange(ip("10.0.0.0/8"))',
    'context.unmodelled.contains("/note")',
    'context["input"] has sql',
    'context.input has sql && context.input.sql like "*drop*"',
    'context.input has "max-rows" && context.input["max-rows"] * 4611686018427387904 > 0',
    "context.input has options.dry_run && context.input.options.dry_run",
    'context.input has hosts && context.input.hosts.containsAny(["a", "b"])',
    'context.input has budget && context.input.budget.greaterThan(decimal("10.0"))',
)


def policies(chance: random.Random) -> list[str]:
    """A handful of statements, each with up to three conditions joined at random."""
    texts = [PERMIT] if chance.random() < 0.8 else []
    for _ in range(chance.randrange(1, 4)):
        joined = chance.choice(LEAVES)
        for _ in range(chance.randrange(3)):
            joined = f"({joined}) {chance.choice(['&&', '||'])} ({chance.choice(LEAVES)})"
        effect, clause = chance.choice(["permit", "forbid"]), chance.choice(["when", "unless"])
        texts.append(f"{effect} ({chance.choice(SCOPES)}) {clause} {{ {joined} }};")
    return texts
