"""Letters leave after the answer, whether there is one or not, and never wait on disk."""

import pytest

from tests.support.entering import Background, Outbox
from tests.support.state import State
from wicketd.domain.ports import Mail, Statement
from wicketd.services.post import WAITING_MAX, PostOffice

LETTER = Mail("ann@example.org", "Subject", "text", "<p>html</p>")


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


async def test_a_letter_is_written_and_sent_behind_the_answer(state: State, outbox: Outbox) -> None:
    background = Background()
    post = PostOffice(state.desk, outbox, background)
    written: list[str] = []

    def write() -> Mail:
        written.append("now")
        return LETTER

    post.post(write)
    assert written == []
    await background.done()
    assert (written, outbox.letters) == (["now"], [LETTER])


async def test_nothing_to_send_looks_the_same_and_sends_nothing(
    state: State, outbox: Outbox
) -> None:
    background = Background()
    PostOffice(state.desk, outbox, background).post(lambda: None)
    await background.done()
    assert outbox.letters == []
    assert await state.recorded() == 0


async def test_a_flood_is_dropped_at_the_bound(state: State, outbox: Outbox) -> None:
    background = Background()
    post = PostOffice(state.desk, outbox, background)
    for _ in range(WAITING_MAX + 50):
        post.post(lambda: LETTER)
    await background.done()
    assert len(outbox.letters) == WAITING_MAX
    post.post(lambda: LETTER)
    await background.done()
    assert len(outbox.letters) == WAITING_MAX + 1


async def test_no_mailer_means_off(state: State) -> None:
    background = Background()
    post = PostOffice(state.desk, None, background)
    post.post(lambda: LETTER)
    await background.done()
    assert post.is_off


async def test_success_is_stored_and_failure_is_not(state: State, outbox: Outbox) -> None:
    background = Background()
    post = PostOffice(state.desk, outbox, background)

    def sent() -> Statement:
        return Statement("INSERT INTO meta (key, value) VALUES ('probe', 'sent')", ())

    outbox.broken = True
    post.post(lambda: LETTER, sent)
    await background.done()
    assert await state.kinds() == ["mail.failed"]
    outbox.broken = False
    post.post(lambda: LETTER, sent)
    await background.done()
    assert b"sent" in state.file_bytes()
