"""`wicket catalogue`: the connectors that this daemon knows."""

from typing import Annotated

import typer

from wicket_tui.headless.command import Shell, command, noun
from wicket_tui.headless.output import facts, table
from wicketd.api import endpoints
from wicketd.api.types import services
from wicketd.api.types.listing import Empty

app = noun("Connectors that agents can be given.")


@command(app, "list")
async def list_(shell: Shell) -> None:
    """The connectors."""
    items = await shell.all(endpoints.CATALOGUE_LIST, services.CatalogueList())
    rows = [(c.key, c.name, c.transport, c.credential, c.source) for c in items]
    shell.show(items, table(("connector", "name", "transport", "credential", "source"), rows))


@command(app, "show")
async def show(
    shell: Shell, key: Annotated[str, typer.Argument(metavar="K", help="The connector's key.")]
) -> None:
    """One connector."""
    found = await shell.call(endpoints.CATALOGUE_SHOW, services.CatalogueRef(key=key))
    pairs = (
        ("key", found.key),
        ("name", found.name),
        ("namespace", found.namespace),
        ("transport", found.transport),
        ("address", found.address),
        ("credential", found.credential),
        ("token page", found.hint_url),
        ("read", found.read),
        ("write", found.write),
        ("destructive", found.destructive),
        ("rest", found.rest),
        ("targets", found.targets),
        ("source", found.source),
        ("sha256", found.sha256),
    )
    shell.show(found, facts(pairs))


@command(app, "reload")
async def reload(shell: Shell) -> None:
    """Read the connector files again; after an error the old set stays."""
    done = await shell.call(endpoints.CATALOGUE_RELOAD, Empty())
    rows = [(change.key, change.change) for change in done.changes]
    shell.show(done, table(("connector", "change"), rows) if rows else "Nothing changed.")
