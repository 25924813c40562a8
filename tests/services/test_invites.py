"""Inviting as an admin: what is made, what a link is worth, how it ends."""

import asyncio

import pytest

from tests.support.entering import ANN, BROWSER, IP, URL, House, house_of, token_of
from tests.support.state import ADMIN, State
from wicketd.domain.accounts import InviteState
from wicketd.domain.errors import (
    ClockBackwards,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    SecondFactorNeeded,
)
from wicketd.domain.ids import AgentId
from wicketd.domain.members import Member, MemberState, Role
from wicketd.domain.ports import Statement


@pytest.fixture
async def house(state: State) -> House:
    await state.agent()
    return house_of(state)


async def accept(house: House, token: str) -> Member:
    return await house.enter.joining.accept((await house.by_code()).visitor, token)


async def test_an_invitation_makes_account_member_and_link_in_one_transaction(
    house: House,
) -> None:
    before = await house.state.recorded()
    made = await house.enter.invites.create(
        ADMIN, "demo", email=" Ann@Example.ORG", role=Role.OWNER, groups=["ops"], tags=["eu"]
    )
    assert made.url.reveal().decode().startswith(f"{URL}/join/")
    assert made.invite.email == ANN
    assert made.invite.expires_at == house.state.clock.now_ms() + 7 * 24 * 3_600_000
    member = await house.state.members.get("demo", ANN)
    assert (member.state, member.role, member.groups, member.tags) == (
        MemberState.INVITED,
        Role.OWNER,
        ("ops",),
        ("eu",),
    )
    view = await house.enter.accounts.show(ANN)
    assert view.account.verified_at is None
    assert [one.id for one in view.members] == [member.id]
    assert await house.kinds(before) == ["invite.created"]


async def test_the_whole_way_from_link_to_pending(house: House) -> None:
    token = await house.invited()
    shown = await house.enter.joining.show(token)
    assert (shown.agent_name, shown.email) == ("Demo", ANN)
    before = await house.state.recorded()
    member = await accept(house, token)
    assert (member.state, member.state_by) == (
        MemberState.PENDING,
        f"account:{member.account_id}",
    )
    assert await house.kinds(before) == ["account.signed_in", "invite.accepted", "member.pending"]
    for again in (house.enter.joining.show(token), accept(house, token)):
        with pytest.raises(Gone):
            await again
    (invite,) = await house.enter.invites.list("demo")
    assert invite.state(house.state.clock.now_ms()) is InviteState.ACCEPTED


@pytest.mark.parametrize("count", [8])
async def test_of_many_that_accept_at_once_one_does(house: House, count: int) -> None:
    token = await house.invited()
    visitor = (await house.by_code()).visitor
    tries = (house.enter.joining.accept(visitor, token) for _ in range(count))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Member) for one in outcomes) == 1
    assert (await house.kinds()).count("member.pending") == 1


async def test_another_address_is_refused_and_recorded_and_nothing_changes(house: House) -> None:
    token = await house.invited()
    await house.invited("bob@example.org")
    bob = await house.by_code("bob@example.org")
    with pytest.raises(Forbidden, match="another address"):
        await house.enter.joining.accept(bob.visitor, token)
    row = (await house.state.rows())[-1]
    assert row.kind == "invite.mismatch"
    assert bob.visitor.account.id in row.body
    assert (await house.state.members.get("demo", ANN)).state is MemberState.INVITED
    assert (await accept(house, token)).state is MemberState.PENDING


async def test_looking_as_another_address_is_recorded_once_a_session(house: House) -> None:
    token = await house.invited()
    await house.invited("bob@example.org")
    ann, bob = await house.by_code(), await house.by_code("bob@example.org")
    before = await house.state.recorded()
    for _ in range(3):
        await house.enter.joining.note_other(bob.visitor, token)
        await house.enter.joining.note_other(ann.visitor, token)
    assert await house.kinds(before) == ["invite.mismatch"]
    with pytest.raises(NotFound):
        await house.enter.joining.note_other(bob.visitor, token[:-1])


@pytest.mark.parametrize(("late_ms", "works"), [(-1, True), (0, False), (1000, False)])
async def test_an_invitation_lives_a_week(house: House, late_ms: int, works: bool) -> None:
    token = await house.invited()
    house.state.clock.ms += 7 * 24 * 3_600_000 + late_ms
    if works:
        assert (await accept(house, token)).state is MemberState.PENDING
        return
    for late in (house.enter.joining.show(token), accept(house, token)):
        with pytest.raises(Gone):
            await late


@pytest.mark.parametrize("column", ["agent_id", "email", "expires_at", "id"])
async def test_an_edited_row_ends_its_link(house: House, column: str) -> None:
    token = await house.invited()
    await house.state.agent("other")
    other = await house.state.agents.get("other")
    value: dict[str, str | int] = {
        "agent_id": other.id,
        "email": "eve@example.org",
        "expires_at": house.state.clock.now_ms() + 10**12,
        "id": "018f0000-0000-7000-8000-0000000000ff",
    }
    edit = Statement(f"UPDATE invites SET {column} = ?", (value[column],))  # noqa: S608
    await house.state.db.write(lambda tx: tx.run(edit))
    with pytest.raises(NotFound):
        await house.enter.joining.show(token)


async def test_what_is_no_token_is_not_found(house: House) -> None:
    token = await house.invited()
    other = token_of((await house.enter.invites.create(ADMIN, "demo", email="b@example.org")).url)
    mixed = token[:21] + other[21:]
    for wrong in ("", "x", token[:-1], token + "A", "A" * 64, "\u00e9" * 64, mixed, token.upper()):
        with pytest.raises(NotFound):
            await house.enter.joining.show(wrong)


async def test_a_revoked_invitation_is_dead_and_its_member_removed(house: House) -> None:
    token = await house.invited()
    (invite,) = await house.enter.invites.list("demo")
    before = await house.state.recorded()
    await house.enter.invites.revoke(ADMIN, "demo", invite.id)
    assert await house.kinds(before) == ["invite.revoked", "member.removed"]
    with pytest.raises(Gone):
        await house.enter.joining.show(token)
    assert (await house.state.members.get("demo", invite.member_id)).state is MemberState.REMOVED
    again = await house.enter.invites.create(ADMIN, "demo", email=ANN)
    assert again.invite.member_id != invite.member_id


async def test_removing_an_invited_member_ends_its_invitation(house: House) -> None:
    token = await house.invited()
    before = await house.state.recorded()
    await house.state.members.remove(ADMIN, "demo", ANN)
    assert await house.kinds(before) == ["member.removed", "invite.revoked"]
    with pytest.raises(Gone):
        await house.enter.joining.show(token)


async def test_resending_makes_a_new_link_and_kills_the_old(house: House) -> None:
    first = await house.invited()
    (invite,) = await house.enter.invites.list("demo")
    made = await house.enter.invites.resend(ADMIN, "demo", invite.id)
    assert made.invite.member_id == invite.member_id
    with pytest.raises(Gone):
        await house.enter.joining.show(first)
    assert (await accept(house, token_of(made.url))).state is MemberState.PENDING
    with pytest.raises(Conflict, match="pending"):
        await house.enter.invites.resend(ADMIN, "demo", made.invite.id)


async def test_the_sweep_closes_what_is_over_once_and_resending_still_works(house: House) -> None:
    await house.invited()
    assert await house.enter.invites.sweep() == 0
    house.state.clock.pass_s(7 * 24 * 3600)
    assert await house.enter.invites.sweep() == 1
    assert await house.enter.invites.sweep() == 0
    assert (await house.kinds())[-1] == "invite.expired"
    (invite,) = await house.enter.invites.list("demo")
    assert invite.state(house.state.clock.now_ms()) is InviteState.EXPIRED
    with pytest.raises(Conflict, match="expired"):
        await house.enter.invites.revoke(ADMIN, "demo", invite.id)
    assert (await house.state.members.get("demo", ANN)).state is MemberState.INVITED
    made = await house.enter.invites.resend(ADMIN, "demo", invite.id)
    assert (await accept(house, token_of(made.url))).state is MemberState.PENDING


async def test_an_address_is_invited_to_an_agent_once(house: House) -> None:
    await house.invited()
    with pytest.raises(Conflict, match="already"):
        await house.enter.invites.create(ADMIN, "demo", email="ANN@example.org")
    await house.state.agent("other")
    second = await house.enter.invites.create(ADMIN, "other", email=ANN)
    assert second.invite.email == ANN
    assert len(await house.enter.accounts.list()) == 1


async def test_a_blocked_account_and_a_deleted_agent_are_not_invited(house: House) -> None:
    token = await house.invited()
    await house.enter.accounts.block(ADMIN, ANN)
    await house.state.agent("other")
    with pytest.raises(Conflict, match="blocked"):
        await house.enter.invites.create(ADMIN, "other", email=ANN)
    gone = Statement("UPDATE agents SET status = 'deleted' WHERE key = 'demo'", ())
    await house.state.db.write(lambda tx: tx.run(gone))
    with pytest.raises(Conflict, match="deleted"):
        await house.enter.invites.create(ADMIN, "demo", email="new@example.org")
    with pytest.raises(Gone):
        await house.enter.joining.show(token)


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"email": "ann"}, "e-mail"), ({"email": ANN, "groups": ["two words"]}, "group")],
)
async def test_what_breaks_a_rule_is_refused_and_makes_nothing(
    house: House, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        await house.enter.invites.create(ADMIN, "demo", **fields)  # type: ignore[arg-type]  # wrong values
    assert await house.enter.accounts.list() == []


async def test_an_invitation_is_mailed_if_asked_for_and_its_sending_is_kept(house: House) -> None:
    made = await house.enter.invites.create(ADMIN, "demo", email=ANN, send=True)
    await house.background.done()
    (letter,) = house.outbox.letters
    assert (letter.to, letter.subject) == (ANN, "Invitation to Demo")
    link = made.url.reveal().decode()
    assert link in letter.text
    assert link in letter.html
    (invite,) = await house.enter.invites.list("demo")
    assert invite.sent_at == house.state.clock.now_ms()


async def test_an_invitation_that_is_not_delivered_stays_open_and_unsent(house: House) -> None:
    house.outbox.broken = True
    made = await house.enter.invites.create(ADMIN, "demo", email=ANN, send=True)
    await house.background.done()
    (invite,) = await house.enter.invites.list("demo")
    assert invite.sent_at is None
    assert (await house.kinds())[-1] == "mail.failed"
    assert (await house.enter.joining.show(token_of(made.url))).email == ANN


async def test_where_no_mail_is_sent_the_link_signs_in_and_open_invitations_wait(
    state: State,
) -> None:
    await state.agent()
    home = house_of(state, mail=False)
    with pytest.raises(Conflict, match="No mail"):
        await home.enter.invites.create(ADMIN, "demo", email=ANN, send=True)
    made = await home.enter.invites.create(ADMIN, "demo", email=ANN)
    assert "/signin/link/" in made.url.reveal().decode()
    assert made.url_expires_at == state.clock.now_ms() + 24 * 3_600_000
    bare = await home.enter.sign_in.redeem_link(token_of(made.url), IP, BROWSER)
    (waiting,) = await home.enter.joining.open_for(bare.visitor)
    token = waiting.token.reveal().decode()
    with pytest.raises(SecondFactorNeeded):
        await home.enter.joining.accept(bare.visitor, token)
    ann = await home.enrolled(bare.visitor)
    member = await home.enter.joining.accept(ann.new.visitor, token)
    assert (waiting.agent_name, member.state) == ("Demo", MemberState.PENDING)
    assert await home.enter.joining.open_for(ann.new.visitor) == []


async def test_revoking_ends_the_sign_in_link_of_that_invitation_alone(state: State) -> None:
    home = house_of(state, mail=False)
    token = await home.invited()
    (invite,) = await home.enter.invites.list("demo")
    await home.enter.invites.revoke(ADMIN, "demo", invite.id)
    with pytest.raises(Gone):
        await home.enter.sign_in.show_link(token)
    second = await home.invited()
    third = token_of((await home.enter.accounts.link(ADMIN, ANN))[1])
    invite = (await home.enter.invites.list("demo"))[-1]
    await home.enter.invites.revoke(ADMIN, "demo", invite.id)
    with pytest.raises(Gone):
        await home.enter.sign_in.show_link(second)
    assert await home.enter.sign_in.show_link(third) == ANN


async def test_an_unproven_session_of_an_enrolled_account_accepts_nothing(house: House) -> None:
    token = await house.invited()
    await house.enrolled((await house.by_code()).visitor)
    mailbox_only = await house.by_code()
    with pytest.raises(SecondFactorNeeded):
        await house.enter.joining.accept(mailbox_only.visitor, token)


async def test_an_old_clock_stops_invitations(house: House) -> None:
    token = await house.invited()
    visitor = (await house.by_code()).visitor
    house.state.clock.ms -= 3_600_000
    for refused in (
        house.enter.joining.show(token),
        house.enter.joining.accept(visitor, token),
        house.enter.invites.create(ADMIN, "demo", email="new@example.org"),
    ):
        with pytest.raises(ClockBackwards):
            await refused


async def test_the_invitations_of_another_agent_are_not_found(house: House) -> None:
    await house.invited()
    (invite,) = await house.enter.invites.list("demo")
    await house.state.agent("other")
    for call in (house.enter.invites.revoke, house.enter.invites.resend):
        with pytest.raises(NotFound):
            await call(ADMIN, "other", invite.id)
    with pytest.raises(NotFound):
        await house.enter.invites.list(AgentId("nobody"))


async def test_the_token_is_stored_and_recorded_nowhere(house: House) -> None:
    token = await house.invited()
    await accept(house, token)
    await house.state.desk.wal.truncate()
    assert token.encode() not in house.state.file_bytes()
    assert token[22:].encode() not in house.state.file_bytes()
