"""A service whose tools drift under a policy about one of their arguments."""

from tests.support.listed import enabled
from tests.support.state import ADMIN, State
from wicketd.domain.json import JsonObject

ON_TEXT = (
    'forbid (principal, action == OpenMCP::Action::"look", resource) '
    'when { context.input has text && context.input.text == "secret" };'
)


def definition(
    name: str, annotations: JsonObject | None = None, required: tuple[str, ...] = (), **types: str
) -> JsonObject:
    """A tool with these arguments, by JSON type."""
    schema: JsonObject = {
        "type": "object",
        "properties": {argument: {"type": kind} for argument, kind in types.items()},
    }
    if required:
        schema["required"] = [*required]
    made: JsonObject = {"name": name, "inputSchema": schema}
    return made if annotations is None else {**made, "annotations": annotations}


async def forbidding(state: State, text: str) -> None:
    """`demo` with the tools `look` and `other`, everything permitted but for the policy's text."""
    await enabled(state, definition("look", text="string"), definition("other", text="string"))
    allow = 'permit (principal, action, resource in Wicket::Service::"open");'
    await state.policies.create(ADMIN, "demo", name="All", text=allow)
    await state.policies.create(ADMIN, "demo", name="On text", text=text)


async def blocked(state: State) -> set[str]:
    """Names of the tools whose calls are denied whatever the policies say."""
    snapshot = state.snapshots.of((await state.agents.get("demo")).id)
    assert snapshot is not None
    return {name for _, name in snapshot.engine.blocked}


async def hash_of(state: State, name: str) -> str:
    """The hash of a tool's definition as it is stored."""
    found = {one.name: one.hash for one in await state.services.tools("demo", "open")}
    return str(found[name])
