"""The second factor: asked for, set up, its backup codes."""

import io
from collections.abc import Sequence
from typing import Final

import segno
from markupsafe import Markup

from wicketd.domain.errors import Invalid, Locked, Unauthenticated
from wicketd.domain.secret import SecretBytes
from wicketd.portal.forms import own_path
from wicketd.portal.pages import HOME, Answer, Ask, Page, Redirect
from wicketd.portal.routes.signin import started
from wicketd.portal.usecases import UseCases

_EMAIL_MAX: Final = 254


async def show(uses: UseCases, ask: Ask) -> Answer:
    """Asks for a code: to complete a sign-in, to sign in without mail, or before a key."""
    onward = own_path(ask.query.get("next", ""), HOME)
    if ask.visitor is None:
        if not uses.signin.mail_off:
            return Redirect("/signin")
        return _factor_page(ask, onward, email=ask.query.get("email", "")[:_EMAIL_MAX])
    if not ask.visitor.account.has_totp:
        return Redirect("/account/mfa/setup")
    return _factor_page(ask, onward)


async def check(uses: UseCases, ask: Ask) -> Answer:
    """Checks the code; the session goes on under a new id."""
    onward, code = own_path(ask.form.get("next", ""), HOME), ask.field("code")
    email = ask.field("email")[:_EMAIL_MAX]
    try:
        if ask.visitor is not None:
            session = await uses.second_factor.check(ask.visitor, code, ask.ip, ask.user_agent)
        elif uses.signin.mail_off:
            session = await uses.signin.sign_in_with_totp(email, code, ask.ip, ask.user_agent)
        else:
            raise Unauthenticated("You are signed out. Sign in first.")
    except Invalid as error:
        return _factor_page(ask, onward, email=email, problem=error.message, status=422)
    except Locked as error:
        return _factor_page(ask, onward, email=email, locked=error, status=429)
    return started(uses, session, onward)


async def begin(uses: UseCases, ask: Ask) -> Answer:
    """Shows the secret to scan or type."""
    return await _setup(uses, ask, own_path(ask.query.get("next", ""), HOME))


async def confirm(uses: UseCases, ask: Ask) -> Answer:
    """Takes the first code and shows the backup codes, once."""
    onward = own_path(ask.form.get("next", ""), HOME)
    try:
        session, codes = await uses.second_factor.confirm(
            ask.who(), ask.field("code"), ask.ip, ask.user_agent
        )
    except Invalid as error:
        return await _setup(uses, ask, onward, problem=error.message)
    return Page("codes.html", _codes(codes, onward, is_first=True), starts=session.token)


async def ask_codes(_uses: UseCases, ask: Ask) -> Answer:
    """Asks for a code before the backup codes are replaced."""
    if not ask.who().account.has_totp:
        return Redirect("/account/mfa/setup")
    return Page("new_codes.html", {"problem": None})


async def new_codes(uses: UseCases, ask: Ask) -> Answer:
    """Replaces the backup codes and shows the new ones, once."""
    try:
        codes = await uses.second_factor.new_codes(ask.who(), ask.field("code"), ask.ip)
    except Invalid as error:
        return Page("new_codes.html", {"problem": error.message}, 422)
    return Page("codes.html", _codes(codes, "/account", is_first=False))


async def _setup(uses: UseCases, ask: Ask, onward: str, problem: str | None = None) -> Answer:
    visitor = ask.who()
    if visitor.account.has_totp:
        return Redirect("/signin/mfa" if uses.factors.must_prove(visitor) else "/account")
    enrolment = await uses.second_factor.begin(visitor)
    secret = enrolment.secret_base32.reveal().decode("ascii")
    values = {
        "qr": qr_code(enrolment.uri),
        "secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
        "onward": onward,
        "problem": problem,
        "is_forced": uses.factors.must_enrol(visitor),
        "email": visitor.account.email,
    }
    return Page("setup.html", values, 422 if problem else 200)


def qr_code(uri: SecretBytes) -> Markup:
    """The QR code as inline SVG, dark on light in every colour scheme, so that cameras read it."""
    out = io.BytesIO()
    segno.make(uri.reveal().decode("ascii"), error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, svgclass="qr", lineclass=None, omitsize=True,
        border=4, dark="#000", light="#fff", nl=False,
    )  # fmt: skip
    return Markup(out.getvalue().decode("ascii"))  # noqa: S704  # paths and numbers, no foreign text


def _codes(codes: Sequence[SecretBytes], onward: str, *, is_first: bool) -> dict[str, object]:
    texts = [code.reveal().decode("ascii") for code in codes]
    return {"codes": texts, "onward": onward, "is_first": is_first}


def _factor_page(
    ask: Ask,
    onward: str,
    *,
    email: str = "",
    problem: str | None = None,
    locked: Locked | None = None,
    status: int = 200,
) -> Page:
    values = {
        "onward": onward,
        "email": email,
        "asks_email": ask.visitor is None,
        "problem": problem if locked is None else locked.message,
        "locked_until": None if locked is None else locked.until_ms,
    }
    headers = () if locked is None else ((b"retry-after", b"60"),)
    return Page("factor.html", values, status, headers)
