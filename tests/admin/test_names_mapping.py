"""The tree of names on the wire."""

from tests.support.policies import github, ops, two_services
from wicketd.admin import names_mapping
from wicketd.policy.names import tree
from wicketd.services.policy_names import Nameable


def test_the_wire_has_every_name_with_its_type() -> None:
    schema = two_services()
    found = Nameable(schema, tree(schema, [github(), ops()]), ("a@b.c",), ("g",), ("t",))
    wire = names_mapping.tree(found)
    assert [(one.key, one.namespace) for one in wire.services] == [
        ("github", "GitHubMCP"),
        ("ops", "OpsMCP"),
    ]
    run = next(one for one in wire.tools if one.name == "deploy.run")
    assert [(one.name, one.type) for one in run.input][:2] == [
        ("budget", "decimal"),
        ("env", "String"),
    ]
    assert [one.name for one in run.input[3].attributes] == ["dry_run", "if"]
    assert (wire.members, wire.groups, wire.tags) == (("a@b.c",), ("g",), ("t",))
    assert [one.name for one in wire.context] == ["unmodelled", "time", "session", "network"]
