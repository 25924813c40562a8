"""The connector catalogue, and services: list, enable, discover, tiers, drift, remove."""

from typing import Final

from wicketd.admin import catalogue_mapping as mapping
from wicketd.admin import mapping as facts
from wicketd.admin.paging import page
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import services as wire
from wicketd.api.types.listing import Empty, Nothing, Page
from wicketd.domain.catalogue import Tier
from wicketd.domain.errors import NotFound
from wicketd.services.baselines import Allow
from wicketd.vault.secret import Secret


async def catalogue(uses: UseCases, ask: Ask[wire.CatalogueList]) -> Page[wire.Connector]:
    """The connectors in force."""
    found = uses.services.catalogue()
    return page(found, ask.request, key=lambda one: one.key, view=mapping.connector)


async def connector(uses: UseCases, ask: Ask[wire.CatalogueRef]) -> wire.Connector:
    """One connector."""
    for found in uses.services.catalogue():
        if found.key == ask.request.key:
            return mapping.connector(found)
    message = f"There is no connector {ask.request.key[:80]!r}. List them to see their keys."
    raise NotFound(message, hint="wicket catalogue list")


async def reload(uses: UseCases, ask: Ask[Empty]) -> wire.CatalogueReloaded:
    """The files are read anew."""
    return mapping.reloaded(await uses.services.reload(ask.actor))


async def list_(uses: UseCases, ask: Ask[wire.ServiceList]) -> Page[wire.Service]:
    """The agent's services."""
    found = await uses.services.list(ask.request.agent)
    return page(found, ask.request, key=lambda one: one.service.id, view=mapping.service)


async def show(uses: UseCases, ask: Ask[wire.ServiceRef]) -> wire.Service:
    """One service."""
    return mapping.service(await uses.services.get(ask.request.agent, ask.request.service))


async def tools(uses: UseCases, ask: Ask[wire.ToolList]) -> Page[wire.Tool]:
    """Every stored tool of a service."""
    found = await uses.services.tools(ask.request.agent, ask.request.service)
    return page(found, ask.request, key=lambda one: one.name, view=mapping.tool)


async def drift(uses: UseCases, ask: Ask[wire.ServiceRef]) -> wire.Drift:
    """Changes that wait for a review."""
    service, changes = await uses.services.drift(ask.request.agent, ask.request.service)
    impact = await uses.services.impact(ask.request.agent, ask.request.service)
    return mapping.drift(service, changes, impact)


async def put(uses: UseCases, ask: Ask[wire.ServicePut]) -> wire.EnableReport:
    """A service is switched on, or off."""
    asked = ask.request
    if not asked.enabled:
        await uses.services.disable(ask.actor, asked.agent, asked.service)
        return mapping.switched_off(await uses.services.get(asked.agent, asked.service))
    allow = None if asked.allow is None else Allow(asked.allow)
    options = {"dry_run": asked.dry_run, "strict_names": asked.strict_names}
    report = await uses.services.enable(
        ask.actor, asked.agent, asked.service, allow=allow, **options
    )
    return mapping.enable_report(report)


async def remove(uses: UseCases, ask: Ask[wire.ServiceRemove]) -> Nothing:
    """A service is switched off, or a disabled one removed for good."""
    asked = ask.request
    await uses.services.remove(ask.actor, asked.agent, asked.service, purge=asked.purge)
    return Nothing()


async def discover(uses: UseCases, ask: Ask[wire.Discover]) -> wire.Discovered:
    """The server's tools are listed now."""
    asked = ask.request
    taken = await uses.services.discover(ask.actor, asked.agent, asked.service, asked.bearer)
    return mapping.discovered(taken)


async def tier(uses: UseCases, ask: Ask[wire.TierSet]) -> wire.Tool:
    """A tool's tier is overridden, or the override taken back."""
    asked = ask.request
    wanted = None if asked.tier is None else Tier(asked.tier)
    where = (asked.agent, asked.service, asked.tool)
    changed = await uses.services.set_tier(ask.actor, *where, wanted, expected=ask.expected)
    return mapping.tool(changed)


async def ack(uses: UseCases, ask: Ask[wire.Ack]) -> wire.Tool:
    """A changed tool is accepted as it was reviewed."""
    asked = ask.request
    where = (asked.agent, asked.service, asked.tool)
    return mapping.tool(await uses.services.ack(ask.actor, *where, asked.hash))


async def credentials(uses: UseCases, ask: Ask[wire.CredentialsPut]) -> wire.CredentialsKept:
    """A service's OAuth app is stored."""
    asked = ask.request
    kept = await uses.apps.put(
        ask.actor,
        asked.agent,
        asked.service,
        asked.client_id,
        Secret(asked.client_secret.encode()),
        expected=ask.expected,
    )
    return wire.CredentialsKept(set_at=facts.iso(kept.set_at), kid=kept.kid)


async def clear_credentials(uses: UseCases, ask: Ask[wire.ServiceRef]) -> Nothing:
    """A service's OAuth app is destroyed."""
    await uses.apps.clear(ask.actor, ask.request.agent, ask.request.service)
    return Nothing()


HANDLERS: Final[Handlers] = {
    "catalogue.list": catalogue,
    "catalogue.show": connector,
    "catalogue.reload": reload,
    "service.list": list_,
    "service.show": show,
    "service.tools": tools,
    "service.drift": drift,
    "service.put": put,
    "service.remove": remove,
    "service.discover": discover,
    "service.credentials": credentials,
    "service.credentials_clear": clear_credentials,
    "service.tier": tier,
    "service.ack": ack,
}
