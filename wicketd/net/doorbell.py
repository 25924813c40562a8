"""Asks at an address whether a wicketd answers there, as a client elsewhere would.

For `wicketd doctor`: the address is the administrator's own, so no network is denied.
"""

import asyncio
from ipaddress import ip_network
from typing import Final

from wicketd.domain.errors import Upstream
from wicketd.net.client import Guard, GuardedClient

DEADLINE_S: Final = 5.0
_ANSWERS: Final = (b'{"status":"ok"}', b'{"status":"degraded"}')
_CAP_BYTES: Final = 1024
_OPEN: Final = Guard((ip_network("0.0.0.0/0"), ip_network("::/0")), insecure_http=True)


async def ring(url: str) -> str | None:
    """What is wrong with the answer at `url`, the daemon's public one; None: a wicketd answers."""
    client = GuardedClient()
    try:
        async with asyncio.timeout(DEADLINE_S):
            answer = await client.endpoint(f"{url}/api/status", _OPEN).request("GET", {})
            if await answer.read(_CAP_BYTES, "status") in _ANSWERS:
                return None
            return f"another program answers there ({answer.status})."
    except TimeoutError:
        return f"no answer within {DEADLINE_S:.0f} s."
    except Upstream as error:
        return error.message
    finally:
        await client.close()
