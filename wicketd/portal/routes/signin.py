"""Signing in: the address, the mailed code, the administrator's link."""

from typing import Final
from urllib.parse import urlencode

from wicketd.domain.errors import Gone, Invalid
from wicketd.portal.forms import own_path
from wicketd.portal.pages import HOME, Answer, Ask, Page, Redirect
from wicketd.portal.usecases import UseCases
from wicketd.services.web_sessions import NewSession

_EMAIL_MAX: Final = 254


async def home(uses: UseCases, _ask: Ask) -> Answer:
    """`/` leads to the agents, or first to the sign-in."""
    del uses
    return Redirect(HOME)


async def show(uses: UseCases, ask: Ask) -> Answer:
    """Asks for the address."""
    onward = own_path(ask.query.get("next", ""), HOME)
    if ask.visitor is not None and not uses.factors.must_prove(ask.visitor):
        return Redirect(onward)
    return page(uses, onward, email=ask.query.get("email", "")[:_EMAIL_MAX])


async def ask_code(uses: UseCases, ask: Ask) -> Answer:
    """Sends a code off the request's path; the answer is the same for every address."""
    onward, email = own_path(ask.form.get("next", ""), HOME), ask.field("email")
    try:
        if not uses.signin.mail_off:
            await uses.signin.request_code(email, ask.prelogin, ask.ip)
    except Invalid as error:
        return page(uses, onward, email=email, problem=error.message, status=422)
    if uses.signin.mail_off and not _is_address(email):
        problem = "Write an address such as ann@example.org."
        return page(uses, onward, email=email, problem=problem, status=422)
    after = "/signin/mfa" if uses.signin.mail_off else "/signin/code"
    return Redirect(f"{after}?{urlencode({'email': email, 'next': onward})}")


async def show_code(_uses: UseCases, ask: Ask) -> Answer:
    """Asks for the mailed code."""
    email = ask.query.get("email", "")[:_EMAIL_MAX]
    if not email:
        return Redirect("/signin")
    return _code_page(email, own_path(ask.query.get("next", ""), HOME))


async def use_code(uses: UseCases, ask: Ask) -> Answer:
    """Signs in with the mailed code."""
    onward, email = own_path(ask.form.get("next", ""), HOME), ask.field("email")[:_EMAIL_MAX]
    try:
        session = await uses.signin.redeem_code(
            email, ask.field("code"), ask.prelogin, ask.ip, ask.user_agent
        )
    except (Invalid, Gone) as error:
        return _code_page(email, onward, problem=error.message, is_over=isinstance(error, Gone))
    return started(uses, session, onward)


async def show_link(uses: UseCases, ask: Ask) -> Answer:
    """Shows whose link it is; only the form signs in, because previews of chats fetch pages."""
    email = await uses.signin.show_link(ask.params["token"])
    return Page("link.html", {"email": email, "form": ask.path})


async def use_link(uses: UseCases, ask: Ask) -> Answer:
    """Signs in with the link, once; setting up the second factor follows."""
    session = await uses.signin.redeem_link(ask.params["token"], ask.ip, ask.user_agent)
    return started(uses, session, HOME)


def page(
    uses: UseCases, onward: str, *, email: str = "", problem: str | None = None, status: int = 200
) -> Page:
    """The sign-in form; 401 where it stands in for a page that needs a session."""
    values = {
        "mail_off": uses.signin.mail_off,
        "onward": onward,
        "email": email,
        "problem": problem,
        "is_needed": status == 401,
    }
    return Page("signin.html", values, status)


def started(uses: UseCases, session: NewSession, onward: str) -> Redirect:
    """Goes on with a session that has just begun: to its second factor, or to `onward`."""
    visitor, after = session.visitor, onward
    query = urlencode({"next": onward})
    if uses.factors.must_prove(visitor):
        after = f"/signin/mfa?{query}"
    elif uses.factors.must_enrol(visitor):
        after = f"/account/mfa/setup?{query}"
    return Redirect(after, starts=session.token)


def _code_page(
    email: str, onward: str, *, problem: str | None = None, is_over: bool = False
) -> Page:
    values = {"email": email, "onward": onward, "problem": problem, "is_over": is_over}
    return Page("code.html", values, 422 if problem else 200)


def _is_address(text: str) -> bool:
    name, mark, host = text.rpartition("@")
    return bool(name and mark and host) and len(text) <= _EMAIL_MAX and " " not in text
