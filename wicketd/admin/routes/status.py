"""The daemon about itself: health, the asking peer, settings, keyring."""

from typing import Final

from wicketd import __version__
from wicketd.admin import audit_mapping, mapping
from wicketd.admin.usecases import Ask, Handlers, UseCases
from wicketd.api.types import status as wire
from wicketd.api.types.listing import Empty
from wicketd.domain.health import Health, KeyUse
from wicketd.services.keyring import progress


async def status(uses: UseCases, _ask: Ask[Empty]) -> wire.Status:
    """Health, audit head and counts."""
    return _status(await uses.status.health())


async def whoami(_uses: UseCases, ask: Ask[Empty]) -> wire.WhoAmI:
    """The asking peer."""
    actor = ask.actor
    permission = actor.permission.value
    return wire.WhoAmI(uid=actor.uid, name=actor.name, pid=actor.pid, permission=permission)


async def config(uses: UseCases, _ask: Ask[Empty]) -> wire.Config:
    """The settings in force, without secrets."""
    found = uses.status.settings()
    items = (wire.ConfigKey(key=s.key, value=s.value, source=s.source) for s in found.items)
    return wire.Config(file=found.file, mcp_url=found.mcp_url, settings=tuple(items))


async def keyring(uses: UseCases, _ask: Ask[Empty]) -> wire.Keyring:
    """The keyring without its keys."""
    kept = await uses.status.keyring()
    active = next((use.kid for use in kept if use.is_active), "")
    done, left = progress(kept)
    return wire.Keyring(
        active=active, keys=tuple(map(_key_use, kept)), rewrapped=done, to_rewrap=left
    )


def _key_use(found: KeyUse) -> wire.KeyUse:
    return wire.KeyUse(
        kid=found.kid,
        state="active" if found.is_active else "old",
        rows=dict(found.rows),
        encryptions=dict(found.encryptions),
        to_rewrap=found.to_rewrap,
        verifiers=found.verifiers,
    )


def _status(found: Health) -> wire.Status:
    signed = found.checkpoint
    return wire.Status(
        state="degraded" if found.reasons else "ok",
        reasons=found.reasons,
        version=__version__,
        started_at=mapping.iso_or_none(found.started_at),
        audit_seq=found.audit_seq,
        audit_hash=None if found.audit_hash is None else found.audit_hash.hex(),
        audit_epoch=found.audit_epoch,
        checkpoint=None if signed is None else audit_mapping.checkpoint(signed),
        counts=dict(found.counts),
        details=dict(found.details),
    )


HANDLERS: Final[Handlers] = {
    "status": status,
    "whoami": whoami,
    "config": config,
    "keyring": keyring,
}
