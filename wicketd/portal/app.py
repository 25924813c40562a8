"""The ASGI app of the members' pages, dispatched over one table of routes.

A request passes, in this order: Host, Origin, session, route, what it admits, method, count of
forms, origin of the form, body, form token, handler. Every answer, errors too, has the same
headers. Counterpart: `proxy.transport`, which hands over what is not the endpoint's.
Source: product spec, section 8; security spec, sections 7 and 8.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from wicketd.domain.accounts import Visitor
from wicketd.domain.errors import (
    Draining,
    Forbidden,
    NotFound,
    RateLimited,
    SecondFactorNeeded,
    Unauthenticated,
    WicketError,
)
from wicketd.domain.ports import Random
from wicketd.net.hosts import client_ip
from wicketd.portal import admission, forms
from wicketd.portal.admission import HeaderList, PortalRules, WrongAddress
from wicketd.portal.errors import INTERNAL, ErrorPage, page_of
from wicketd.portal.pages import HOME, Answer, Ask, Asset, Auth, Page, Redirect, Route
from wicketd.portal.rendering import Pages
from wicketd.portal.routes import account, agents, connect, invitations, keys, mfa, own, signin
from wicketd.portal.routing import Router
from wicketd.portal.session import (
    TOKEN_BYTES,
    Cookies,
    FormTokens,
    Holder,
    Presented,
    prelogin_token,
)
from wicketd.portal.throttle import Throttle
from wicketd.portal.usecases import UseCases
from wicketd.vault.secret import Secret

logger = logging.getLogger("wicketd.portal")

_USER_AGENT_MAX: Final = 200
_CSP: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE: Final = (b"cache-control", b"no-store")
_FOR_EVER: Final = (b"cache-control", b"public, max-age=31536000, immutable")

_ANY, _IN, _ALL = Auth.ANYBODY, Auth.SIGNED_IN, Auth.COMPLETE
_AGENT: Final = "/agents/{agent}"
_SERVICE: Final = f"{_AGENT}/services/{{service}}"

ROUTES: Final = (
    Route("/", _ANY, signin.home),
    Route("/signin", _ANY, signin.show, signin.ask_code),
    Route("/signin/link/{token}", _ANY, signin.show_link, signin.use_link),
    Route("/signin/code", _ANY, signin.show_code, signin.use_code),
    Route("/signin/mfa", _ANY, mfa.show, mfa.check),
    Route("/join/{token}", _ANY, invitations.show, invitations.accept, post_auth=_ALL),
    Route("/agents", _ALL, agents.cards, invitations.accept_listed),
    Route(_AGENT, _ALL, agents.show),
    Route(f"{_SERVICE}/connect", _ALL, connect.consent, connect.start),
    Route(f"{_SERVICE}/token", _ALL, connect.show_token, connect.save_token),
    Route(f"{_SERVICE}/disconnect", _ALL, connect.ask_disconnect, connect.disconnect),
    Route("/oauth/callback/{service}", _ANY, connect.callback, connect.decide, post_auth=_ALL),
    Route("/oauth/client.json", _ANY, connect.client_document),
    Route(f"{_AGENT}/key", _ALL, keys.show, keys.make),
    Route(f"{_AGENT}/key/revoke", _ALL, keys.ask_revoke, keys.revoke),
    Route(f"{_AGENT}/leave", _ALL, agents.ask_leave, agents.leave),
    Route(f"{_AGENT}/activity", _ALL, own.activity),
    Route(f"{_AGENT}/sessions", _ALL, own.sessions),
    Route("/account", _ALL, account.show, account.end_sessions),
    Route("/account/mfa/setup", _IN, mfa.begin, mfa.confirm),
    Route("/account/mfa/codes", _ALL, mfa.ask_codes, mfa.new_codes),
    Route("/sign-out", _IN, account.ask_sign_out, account.sign_out),
)
"""Every page. `/static` is the app's own."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the headers said: who asks, from where, with which cookies."""

    visitor: Visitor | None
    holder: Holder
    prelogin: Secret
    shown: Presented
    ip: str


class PortalApp:
    """The pages. `routes`: the table.

    Raises:
        ValueError: the table is not sound.
    """

    def __init__(
        self,
        uses: UseCases,
        rules: PortalRules,
        tokens: FormTokens,
        random: Random,
        routes: Sequence[Route] = ROUTES,
    ) -> None:
        self._uses = uses
        self._rules = rules
        self._tokens = tokens
        self._random = random
        self._pages = Pages()
        self._router = Router((*routes, Route("/static/{tag}.css", Auth.ANYBODY, self._static)))
        self._cookies = Cookies(is_https=rules.is_https)
        self._throttle = Throttle(uses.clock)
        self._running = 0
        self._is_draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one HTTP request."""
        self._running += 1
        self._idle.clear()
        try:
            status, headers, body = await self._respond(scope, receive)
            length = (b"content-length", str(len(body)).encode())
            start = {"type": "http.response.start", "status": status}
            await send({**start, "headers": [*headers, length]})
            await send({"type": "http.response.body", "body": body})
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def drain(self) -> None:
        """Refuses what comes from now on and waits for the last answer."""
        self._is_draining = True
        await self._idle.wait()

    async def _respond(self, scope: Any, receive: Any) -> tuple[int, HeaderList, bytes]:
        known: _Known | None = None
        try:
            admission.require_ours(scope["headers"], self._rules)
            known = await self._known(scope)
            return self._rendered(await self._answer(scope, receive, known), known)
        except SecondFactorNeeded:
            return self._rendered(self._to_factor(known, scope["path"]), known)
        except Unauthenticated as error:
            if known is not None and scope["method"] == "GET":
                onward = forms.own_path(scope["path"], HOME)
                return self._rendered(signin.page(self._uses, onward, status=401), known)
            page = page_of(error)
        except WrongAddress as error:
            page = ErrorPage(421, "Wrong address", error.message)
        except WicketError as error:
            page = page_of(error)
            if page is INTERNAL:
                logger.exception("portal request failed: %s", type(error).__name__)
        except Exception:
            logger.exception("portal request failed")
            page = INTERNAL
        return self._rendered(_error(page), known)

    async def _known(self, scope: Any) -> _Known:
        headers = scope["headers"]
        shown = self._cookies.read(headers)
        visitor = None
        if shown.session is not None:
            visitor = await self._uses.sessions.find(shown.session)
        prelogin = shown.prelogin or prelogin_token(self._random.bytes(TOKEN_BYTES))
        holder = Holder("pre-login", prelogin)
        if shown.session is not None and visitor is not None:
            holder = Holder("session", shown.session)
        client = scope.get("client")
        ip = client_ip(client[0] if client else "", headers, self._rules.trusted)
        return _Known(visitor, holder, prelogin, shown, ip)

    async def _answer(self, scope: Any, receive: Any, known: _Known) -> Answer:
        if self._is_draining:
            raise Draining("The server is stopping. Try again in a minute.")
        match = self._router.find(scope["path"])
        if match is None:
            raise NotFound("no such page")
        method, headers = scope["method"], scope["headers"]
        self._admit(match.route.needs(method), known.visitor)
        handler = {"GET": match.route.get, "POST": match.route.post}.get(method)
        if handler is None:
            return _not_allowed(match.route)
        form: Mapping[str, str] = {}
        if method == "POST":
            form = await self._form(scope, receive, known)
        ask = Ask(
            visitor=known.visitor,
            path=scope["path"],
            params=match.params,
            query=forms.lenient(scope["query_string"]),
            raw_query=scope["query_string"],
            form=form,
            prelogin=known.prelogin,
            ip=known.ip,
            user_agent=(admission.header(headers, b"user-agent") or "")[:_USER_AGENT_MAX],
        )
        return await handler(self._uses, ask)

    def _admit(self, needed: Auth, visitor: Visitor | None) -> None:
        """Lets pass whom the route admits.

        Raises:
            Unauthenticated: there is no session.
            SecondFactorNeeded: its second factor is outstanding, or has to be set up first.
        """
        if needed is Auth.ANYBODY:
            return
        if visitor is None:
            raise Unauthenticated("You are signed out. Sign in, then open the page again.")
        if needed is Auth.COMPLETE:
            self._uses.factors.admit(visitor)

    async def _form(self, scope: Any, receive: Any, known: _Known) -> Mapping[str, str]:
        """The fields of a form that is ours.

        Raises:
            RateLimited: there were too many in this minute.
            Forbidden: it is another site's, or not the form of this page.
            BadRequest: it is no form.
        """
        who = known.visitor.account.id if known.visitor is not None else known.ip
        if not self._throttle.admits(who):
            raise RateLimited("That were many forms in one minute. Wait a minute, then go on.")
        admission.require_own_form(scope["headers"], self._rules)
        body = await admission.read_form(scope["headers"], receive, self._rules)
        form = forms.fields(body)
        if not self._tokens.is_right(form.get("csrf", ""), known.holder, scope["path"]):
            message = "This page was open for too long, or you signed in or out meanwhile."
            raise Forbidden(f"{message} Nothing was done. Open it again, then send the form.")
        return form

    def _to_factor(self, known: _Known | None, path: str) -> Redirect:
        visitor = known.visitor if known is not None else None
        onward = quote(forms.own_path(path, HOME), safe="")
        has_factor = visitor is None or visitor.account.has_totp
        page = "/signin/mfa" if has_factor else "/account/mfa/setup"
        return Redirect(f"{page}?next={onward}")

    def _rendered(self, answer: Answer, known: _Known | None) -> tuple[int, HeaderList, bytes]:
        headers = [*_HEADERS, *([_HSTS] if self._rules.is_https else [])]
        if isinstance(answer, Asset):
            kind = (b"content-type", answer.media_type.encode())
            keeping = _FOR_EVER if answer.is_lasting else _NO_STORE
            return 200, [*headers, kind, keeping], answer.body
        headers += [_NO_STORE, *self._cookie_headers(answer, known)]
        if isinstance(answer, Redirect):
            return 303, [*headers, (b"location", answer.to.encode("ascii"))], b""
        body = self._pages.render(answer.template, {**self._surroundings(known), **answer.values})
        kind = (b"content-type", b"text/html; charset=utf-8")
        return answer.status, [*headers, kind, *answer.headers], body

    def _surroundings(self, known: _Known | None) -> dict[str, Any]:
        """What every template may use. Without cookies read, no form has a token."""
        visitor = known.visitor if known is not None else None
        is_complete = visitor is not None and not (
            self._uses.factors.must_prove(visitor) or self._uses.factors.must_enrol(visitor)
        )

        def csrf(form: str) -> str:
            return "" if known is None else self._tokens.mint(known.holder, form)

        return {"visitor": visitor, "is_complete": is_complete, "csrf": csrf, "here": None}

    def _cookie_headers(self, answer: Page | Redirect, known: _Known | None) -> HeaderList:
        values = []
        if answer.starts is not None:
            values += [self._cookies.start(answer.starts), self._cookies.end_prelogin()]
        elif known is not None:
            if answer.ends or (known.shown.session is not None and known.visitor is None):
                values.append(self._cookies.end())
            if known.shown.prelogin is None and known.visitor is None:
                values.append(self._cookies.start_prelogin(known.prelogin))
        return [(b"set-cookie", value) for value in values]

    async def _static(self, _uses: UseCases, ask: Ask) -> Asset:
        if ask.params["tag"] != self._pages.stylesheet_tag:
            raise NotFound("no such file")
        return Asset(self._pages.stylesheet, "text/css; charset=utf-8")


def _error(page: ErrorPage) -> Page:
    wait = page.retry_after_s
    headers = ((b"retry-after", str(wait).encode()),) if wait is not None else ()
    return Page("error.html", {"title": page.title, "text": page.text}, page.status, headers)


def _not_allowed(route: Route) -> Page:
    allowed = [name for name, one in (("GET", route.get), ("POST", route.post)) if one is not None]
    text = "This address is not used in this way. Open your agents."
    values = {"title": "This is not possible here", "text": text}
    return Page("error.html", values, 405, ((b"allow", ", ".join(allowed).encode()),))
