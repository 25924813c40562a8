"""What Wicket writes to people: sign-in codes and invitations, as text and as HTML. Pure.

No remote image, no tracking, no foreign text but the agent's name, which is escaped.
"""

from html import escape
from typing import Final

from wicketd.domain import codes
from wicketd.domain.ports import Mail

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    '<body style="font:16px/1.5 sans-serif;max-width:36em;margin:2em auto;padding:0 1em">'
    "{body}</body></html>"
)
_CODE: Final = (
    '<p style="font:24px/1.2 monospace;letter-spacing:.1em;padding:.5em 1em;'
    'border:1px solid;display:inline-block">{code}</p>'
)


def sign_in_code(email: str, code: str, portal: str) -> Mail:
    """The letter with a sign-in code. `portal`: the URL of the portal."""
    shown = codes.grouped(code)
    text = (
        f"Your sign-in code for Wicket at {portal} is\n\n    {shown}\n\n"
        "Enter it in the browser in which you asked for it. It works once, for 10 minutes.\n"
        "If you did not ask for it, ignore this mail: without the code nobody signs in.\n"
    )
    body = (
        f"<p>Your sign-in code for Wicket at {escape(portal)} is</p>"
        f"{_CODE.format(code=shown)}"
        "<p>Enter it in the browser in which you asked for it. It works once, for 10 minutes.</p>"
        "<p>If you did not ask for it, ignore this mail: without the code nobody signs in.</p>"
    )
    title = "Your sign-in code for Wicket"  # mail servers log subjects: the code is not in it
    return Mail(email, title, text, _PAGE.format(title=escape(title), body=body))


def invitation(email: str, agent: str, url: str, portal: str) -> Mail:
    """The letter with an invitation. `agent`: its display name; `url`: where it is accepted."""
    text = (
        f"You are invited to use the agent {agent} through Wicket at {portal}.\n\n"
        f"Open this link within 7 days, sign in as {email} and accept:\n\n    {url}\n\n"
        "If you do not know what this is about, ignore this mail.\n"
    )
    body = (
        f"<p>You are invited to use the agent <strong>{escape(agent)}</strong> through Wicket at "
        f"{escape(portal)}.</p>"
        f"<p>Open this link within 7 days, sign in as {escape(email)} and accept:</p>"
        f'<p><a href="{escape(url)}">{escape(url)}</a></p>'
        "<p>If you do not know what this is about, ignore this mail.</p>"
    )
    title = f"Invitation to {agent}"
    return Mail(email, title, text, _PAGE.format(title=escape(title), body=body))
