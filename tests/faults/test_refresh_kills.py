"""F2 and F3: kill -9 behind each step of a refresh, and 64 calls on one expired token.

After any kill the row holds the old generation, the next one, or says that the member must sign in
anew; a doubt is audited; and nobody's call ever carries another member's token.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.oauth_connected import OwnProvider
from tests.support.oauth_server import Mode, serve_oauth
from tests.support.oidc_server import oidc_provider
from tests.support.signed_in import Provider, SignedIn, signed_in
from wicketd.domain.connections import ConnectionState
from wicketd.services.breaking import IN_DOUBT, REFRESH_LOST

KILLS, KILLS_FULL = 2, 50
ROUNDS, ROUNDS_FULL = 10, 200
CALLS = 64
STEPS = tuple(f"R{number}" for number in range(1, 10))
NOTHING_SENT = {"R1", "R2", "R3", "R4"}
LOST = {"R6", "R7"}
"""Redeemed at the server, and no trace of the answer on our disk."""
WRITTEN = {"R8", "R9"}


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return KILLS_FULL if request.config.getoption("--faults-full") else KILLS


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    return ROUNDS_FULL if request.config.getoption("--faults-full") else ROUNDS


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:  # short: a socket's path has 107 characters
        yield Path(place)


async def killed(scene: SignedIn, step: str) -> None:
    """A call that starts a refresh; the daemon ends behind the step."""
    scene.arm(step)
    with pytest.raises((OSError, asyncio.IncompleteReadError)):
        await scene.call()
    await scene.until_dead()
    scene.arm(None)


async def kill_once(scene: SignedIn, step: str) -> str:
    """One kill and the next keyed call; gives how it ended."""
    before, doubts = scene.row(), scene.kinds().count("connection.in_doubt")
    asked = await scene.provider.posts()
    await killed(scene, step)

    found = scene.row()
    assert found.state is ConnectionState.SEALED
    intent = scene.intent()
    is_doubtful = intent is not None and intent.phase == "sent"
    if step in WRITTEN:
        assert (found.generation, intent) == (before.generation + 1, None)
    else:
        assert found.generation == before.generation
        assert is_doubtful is (step not in NOTHING_SENT)
        assert (intent is not None and intent.phase == "started") is (step == "R4")
    sent = await scene.provider.posts() - asked
    assert sent == (step not in NOTHING_SENT | {"R5"})

    await scene.daemon.start()
    told = scene.kinds().count("connection.in_doubt") - doubts
    assert told == is_doubtful, "a doubt that the log does not tell of"
    assert (scene.row().error == IN_DOUBT) is is_doubtful

    answer, eves = await asyncio.gather(scene.call(), scene.call("eve"))
    assert eves.result["content"][0]["text"] == "1"
    after = scene.row()
    assert scene.intent() is None
    if step in LOST:
        assert answer.error["data"]["wicket"]["reason"] == "needs_reconnect"
        assert (after.state, after.error) == (ConnectionState.NEEDS_RECONNECT, REFRESH_LOST)
        assert after.sealed_ct is None
        return "lost"
    assert answer.result["content"][0]["text"] == "1"
    assert (after.state, after.generation) == (ConnectionState.SEALED, before.generation + 1)
    return "renewed"


@asynccontextmanager
async def own_provider() -> AsyncIterator[Provider]:
    """The in-tree server."""
    async with serve_oauth(Mode.ROTATING) as server:
        yield OwnProvider(server)


PROVIDERS = {"in-tree": own_provider, "oidc-provider": oidc_provider}
ONCE = "oidc-provider"
"""A short run kills once behind each step here; the three rounds are against the in-tree server."""


@pytest.mark.long
@pytest.mark.parametrize("maker", PROVIDERS)
async def test_a_kill_behind_any_step_leaves_one_of_three_states(
    directory: Path, kills: int, maker: str
) -> None:
    kills = 1 if maker == ONCE and kills == KILLS else kills
    async with PROVIDERS[maker]() as provider, signed_in(directory, provider) as scene:
        assert (await scene.call("eve")).result
        ended: dict[str, list[str]] = {step: [] for step in STEPS}
        for _ in range(kills):
            for step in STEPS:
                ended[step].append(await kill_once(scene, step))
                if ended[step][-1] == "lost":
                    await asyncio.to_thread(scene.daemon.kill)
                    await scene.deposit()
                    await scene.daemon.start()
                else:
                    await provider.expire()  # the next call is refused, and renews
        assert set(scene.upstream.served) == {"bob", "eve"}
        lost = await provider.lost()
        assert lost == kills * len(LOST), "a grant was lost without a lost answer"
        print({step: (len(ends), ends.count("lost")) for step, ends in ended.items()})


@pytest.mark.long
async def test_a_kill_while_the_answer_is_on_its_way_is_a_lost_refresh(
    directory: Path, kills: int
) -> None:
    async with (
        serve_oauth(Mode.ROTATING) as server,
        signed_in(directory, OwnProvider(server)) as scene,
    ):
        for _ in range(kills):
            server.after_redeeming.clear()
            call = asyncio.create_task(scene.call())
            await asyncio.wait_for(server.at_token.acquire(), 20)
            await asyncio.to_thread(scene.daemon.kill)
            server.after_redeeming.set()
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await call
            await scene.daemon.start()
            answer = await scene.call()
            assert answer.error["data"]["wicket"]["reason"] == "needs_reconnect"
            assert scene.row().error == REFRESH_LOST
            await asyncio.to_thread(scene.daemon.kill)
            await scene.deposit()
            await scene.daemon.start()
            while not server.at_token.locked():
                await server.at_token.acquire()
        assert scene.kinds().count("connection.in_doubt") == kills


async def test_a_stop_lets_a_refresh_under_way_end(directory: Path) -> None:
    async with (
        serve_oauth(Mode.ROTATING) as server,
        signed_in(directory, OwnProvider(server)) as scene,
    ):
        before = scene.row().generation
        server.after_redeeming.clear()
        call = asyncio.create_task(scene.call())
        await asyncio.wait_for(server.at_token.acquire(), 20)
        stopping = asyncio.create_task(asyncio.to_thread(scene.daemon.stop))
        await asyncio.sleep(0.2)  # the stop is on its way; ports stay open while it drains
        server.after_redeeming.set()
        assert await stopping == 0
        await asyncio.gather(call, return_exceptions=True)
        assert scene.row().generation == before + 1
        assert scene.intent() is None


@pytest.mark.long
@pytest.mark.parametrize("maker", PROVIDERS)
async def test_sixty_four_calls_on_an_expired_token_ask_once(
    directory: Path, rounds: int, maker: str
) -> None:
    async with PROVIDERS[maker]() as provider, signed_in(directory, provider) as scene:
        clients = [scene.client() for _ in range(CALLS)]
        for number in range(rounds):
            asked = await provider.posts()
            answers = await asyncio.gather(
                *(client.call("mail__take", {"number": number}) for client in clients)
            )
            texts = {answer.result["content"][0]["text"] for answer in answers}
            assert texts == {str(number)}
            assert await provider.posts() - asked == 1, f"round {number}"
            assert await provider.lost() == 0
            await provider.expire()
        assert scene.row().generation == rounds + 1
