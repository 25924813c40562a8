"""Makes HTML of templates: escaped by default, a missing value is an error, no script anywhere.

Everything foreign (names, addresses, what an upstream said) also has its control and bidi
characters made visible, so that no text can pretend to be another.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import jinja2
from markupsafe import Markup

from wicketd.api.text import safe_text

_TEXT_MAX: Final = 64 * 1024
_NAMES: Final = {"utc": "UTC", "etc/utc": "UTC"}
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_DEVICE_MAX: Final = 60


class Pages:
    """The templates of the package and its one stylesheet, read once."""

    def __init__(self) -> None:
        self.stylesheet = (resources.files(__package__) / "static" / "portal.css").read_bytes()
        self.stylesheet_tag = hashlib.sha256(self.stylesheet).hexdigest()[:16]
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("wicketd.portal"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            finalize=_plain,
        )
        self._templates.filters["when"] = when
        self._templates.filters["device"] = device
        self._templates.globals["css"] = f"/static/{self.stylesheet_tag}.css"

    def render(self, template: str, values: Mapping[str, Any]) -> bytes:
        """One page as UTF-8."""
        return self._templates.get_template(template).render(values).encode()


def when(at_ms: int, zone: str = "UTC") -> Markup:
    """A moment as people read it, with its zone, in a `time` element."""
    try:
        tz = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        tz, zone = ZoneInfo("UTC"), "UTC"
    moment = datetime.fromtimestamp(at_ms / 1000, tz)
    machine = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    shown = f"{moment.day} {moment:%b %Y, %H:%M} {_NAMES.get(zone.lower(), moment.tzname())}"
    return Markup('<time datetime="{}">{}</time>').format(machine, shown)


def device(user_agent: str) -> str:
    """What people call the browser of a User-Agent; one that is nobody's is shown as it came."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if browser is None:
        return user_agent[:_DEVICE_MAX] or "Unknown browser"
    return browser if system is None else f"{browser} on {system}"


def _plain(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return safe_text(value, limit=_TEXT_MAX, multiline=True)
