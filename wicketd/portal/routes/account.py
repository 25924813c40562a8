"""The account: its address, second factor and web sessions; signing out."""

from typing import Final

from wicketd.portal.pages import Answer, Ask, Page, Redirect
from wicketd.portal.usecases import UseCases

DONE: Final = {
    "ended": "That browser is signed out.",
    "others": "Every other browser is signed out.",
}


async def show(uses: UseCases, ask: Ask) -> Answer:
    """Address, second factor, signed-in browsers."""
    visitor = ask.who()
    values = {
        "sessions": await uses.sessions.list(visitor),
        "done": DONE.get(ask.query.get("done", "")),
        "here": "account",
    }
    return Page("account.html", values)


async def end_sessions(uses: UseCases, ask: Ask) -> Answer:
    """Signs out one browser, or all but this one."""
    visitor, session_id = ask.who(), ask.field("session")
    if session_id == visitor.session.id:
        await uses.sessions.end(visitor)
        return Redirect("/signin", ends=True)
    if session_id:
        await uses.sessions.end_one(visitor, session_id)
        return Redirect("/account?done=ended")
    await uses.sessions.end_others(visitor)
    return Redirect("/account?done=others")


async def ask_sign_out(_uses: UseCases, _ask: Ask) -> Answer:
    """For whoever opens the address: signing out takes a form."""
    return Page("sign_out.html", {"here": None})


async def sign_out(uses: UseCases, ask: Ask) -> Answer:
    """Ends this session."""
    await uses.sessions.end(ask.who())
    return Redirect("/signin", ends=True)
