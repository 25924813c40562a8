"""The handlers of all resources by endpoint name; `admin.app` compares them with the table."""

from typing import Final

from wicketd.admin.routes import (
    accounts,
    agents,
    audit,
    connections,
    events,
    invites,
    keys,
    members,
    policies,
    policy_craft,
    replays,
    services,
    sessions,
    simulations,
    status,
)
from wicketd.admin.usecases import Handlers

HANDLERS: Final[Handlers] = {
    **status.HANDLERS,
    **events.HANDLERS,
    **agents.HANDLERS,
    **services.HANDLERS,
    **members.HANDLERS,
    **invites.HANDLERS,
    **accounts.HANDLERS,
    **keys.HANDLERS,
    **connections.HANDLERS,
    **policies.HANDLERS,
    **simulations.HANDLERS,
    **policy_craft.HANDLERS,
    **replays.HANDLERS,
    **sessions.HANDLERS,
    **audit.HANDLERS,
}
