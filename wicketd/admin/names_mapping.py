"""The tree of names between the policy layer and the wire."""

from wicketd.api.types import names as wire
from wicketd.policy import names
from wicketd.services.policy_names import Nameable


def tree(found: Nameable) -> wire.Names:
    """What policies of an agent can name."""
    known = found.names
    return wire.Names(
        services=tuple(wire.ServiceName(key=key, namespace=at) for key, at in known.services),
        types=tuple(
            wire.EntityType(name=one.name, attributes=_attributes(one.attributes))
            for one in known.types
        ),
        context=_attributes(known.context),
        tools=tuple(map(_tool, known.tools)),
        members=found.members,
        groups=found.groups,
        tags=found.tags,
        targets=tuple(wire.TargetName(type=kind, id=name) for kind, name in found.targets),
    )


def _tool(one: names.ToolName) -> wire.ToolName:
    return wire.ToolName(
        service=one.service,
        namespace=one.namespace,
        name=one.name,
        tier=one.tier,
        types=one.types,
        needs_target=one.needs_target,
        input=_attributes(one.input),
        title=one.title,
        description=one.description,
        is_gone=one.is_gone,
    )


def _attributes(found: tuple[names.Attribute, ...]) -> tuple[wire.Attribute, ...]:
    return tuple(
        wire.Attribute(
            name=one.name,
            type=one.type,
            is_optional=one.is_optional,
            description=one.description,
            values=one.values,
            attributes=_attributes(one.attributes),
        )
        for one in found
    )
