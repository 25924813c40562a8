"""An end reaches what runs and what streams, of the one who ended and of nobody else."""

from tests.support.state import CountedRandom, FakeClock
from tests.support.upstreams import MemoryVerdicts, Tasks
from wicketd.domain.ids import AgentId, KeyId, MemberId
from wicketd.net.client import GuardedClient
from wicketd.proxy.client import UpstreamClient
from wicketd.proxy.live_calls import LiveCalls
from wicketd.proxy.presence import Presences
from wicketd.proxy.session_table import SessionTable


def test_ending_what_does_not_run_ends_nothing_and_fails_nowhere() -> None:
    clock = FakeClock()
    upstreams = UpstreamClient(GuardedClient(), MemoryVerdicts(), clock, Tasks())
    live = LiveCalls(Presences(), SessionTable(clock, CountedRandom()), upstreams)
    live.end_agent(AgentId("a"))
    live.end_member(MemberId("m"))
    live.end_key(KeyId("k"))
