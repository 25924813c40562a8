"""Keeps era verdicts in the service's row; implements `proxy.eras.VerdictStore`."""

from wicketd.domain.ports import Database
from wicketd.proxy.eras import ServicePlace, Verdict
from wicketd.storage import services


class StoredVerdicts:
    """A verdict counts only for the connector file it was found under."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def load(self, place: ServicePlace) -> Verdict | None:
        """The stored verdict, None if there is none for this connector file."""
        service = await self._db.one(services.by_key(place.agent_id, place.service))
        if service is None or service.era is None or service.era_at is None:
            return None
        if service.connector_sha256 != place.connector_sha256:
            return None
        return Verdict(service.era, service.era_at)

    async def store(self, place: ServicePlace, verdict: Verdict) -> None:
        """Replaces it; a service that is not stored yet has none."""
        service = await self._db.one(services.by_key(place.agent_id, place.service))
        if service is not None:
            statement = services.set_era(service.id, verdict.era, verdict.at_ms)
            await self._db.write(lambda tx: tx.run(statement))
