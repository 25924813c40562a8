"""One member's tool list as the front shows it, and the status tool that explains its gaps.

Counterpart of `services.listing`, which asks upstreams and policy, and of `proxy.lists`, which
merges. Source: protocol spec, 3.2 and 3.3.
"""

from collections.abc import Callable
from functools import partial

from wicketd.domain.calls import Answer, Caller
from wicketd.domain.catalogue import Connector, Listing
from wicketd.domain.connections import Credential
from wicketd.domain.json import JsonObject
from wicketd.proxy import lists
from wicketd.proxy.client import UpstreamClient
from wicketd.services.builtin import status_result
from wicketd.services.listing import Listings


class UpstreamTools:
    """Lets `services.listing` ask upstreams: implements its `ToolSource`."""

    def __init__(self, upstreams: UpstreamClient) -> None:
        self._upstreams = upstreams

    async def list_items(
        self, connector: Connector, caller: Caller, credential: Credential, listing: Listing
    ) -> list[JsonObject]:
        """The definitions as the upstream sent them.

        Raises:
            Upstream: unreachable, late, malformed, or it wants another credential.
        """
        return await self._upstreams.list_items(
            connector,
            listing=listing,
            agent_id=caller.agent.id,
            member_id=caller.member.id,
            credential=credential,
        )


class MemberLists:
    """Implements the front's `ListPort`.

    `portal`: where the caller's member connects a service, if anywhere.
    """

    def __init__(
        self, listings: Listings, portal: Callable[[Caller, str], str | None], *, name_max: int
    ) -> None:
        self._listings = listings
        self._portal = portal
        self._name_max = name_max

    async def list_tools(self, caller: Caller) -> lists.ListView:
        """The tools that the caller's member may see, under their front names, in order."""
        listed = await self._listings.of(caller, partial(self._portal, caller))
        return lists.merge(
            listed.catalogues, listed.shown, listed.unavailable, name_max=self._name_max
        )

    async def list_others(self, caller: Caller, listing: Listing) -> lists.ListView:
        """Prompts, resources or templates, likewise."""
        listed = await self._listings.of(caller, partial(self._portal, caller), listing)
        return lists.merge_others(listed.catalogues, listed.shown, listed.unavailable, listing)

    async def digest(self, caller: Caller, listing: Listing) -> str:
        """Changes exactly when the member would see another list; resources with templates."""
        if listing is Listing.TOOLS:
            return lists.digest(await self.list_tools(caller))
        seen = lists.digest(await self.list_others(caller, listing))
        if listing is Listing.RESOURCES:
            seen += lists.digest(await self.list_others(caller, Listing.TEMPLATES))
        return seen

    def is_shown(self, caller: Caller, service: str, tool: str) -> bool:
        """Whether the tool is in the member's list now."""
        return self._listings.is_shown(caller, service, tool)

    async def status(self, caller: Caller) -> Answer:
        """The result of `wicket__status`."""
        listed = await self._listings.of(caller, partial(self._portal, caller))
        missing = {str(note["service"]): note for note in listed.unavailable}
        services: list[JsonObject] = []
        for key in listed.enabled:
            note = missing.get(key)
            entry: JsonObject = {
                "key": key,
                "state": "available" if note is None else "unavailable",
            }
            if note is not None:
                entry |= {name: note[name] for name in ("reason", "url") if name in note}
            services.append(entry)
        return Answer(status_result(services), None, None, 0, 0)
