"""Addresses of people: one spelling each, so that an account is found however it is typed. Pure.

NFC, trimmed, lower case, the domain in its ASCII form (IDNA). The result is a Cedar entity id and
goes into mail headers: nothing that could end a header or hide in a list passes.
Source: product specification, section 4.
"""

import re
import unicodedata
from encodings import idna
from typing import Final

from wicketd.domain.errors import Invalid

MAX_BYTES: Final = 254
_MAX_LOCAL_BYTES: Final = 64
_MAX_TYPED: Final = 1_024
_ASCII_ATOM: Final = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_VISIBLE: Final = ("L", "M", "N", "P", "S")
"""Unicode categories that are seen: no controls, no spaces, no unassigned code points."""


def normalise(text: str) -> str:
    """The one spelling of an address, at most 254 bytes of UTF-8.

    Raises:
        Invalid: it is no address of the form `local@domain`.
    """
    if len(text) > _MAX_TYPED:
        raise _refused()
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).lower())
    local, at, domain = folded.rpartition("@")
    if not at or not _is_local(local):
        raise _refused()
    address = f"{local}@{_ascii_domain(domain)}"
    if len(address.encode()) > MAX_BYTES:
        raise _refused()
    return address


def _is_local(local: str) -> bool:
    """A dot-atom of RFC 5322, with the visible characters of RFC 6531; never a quoted string."""
    try:
        size = len(local.encode())
    except UnicodeEncodeError:
        return False
    atoms = local.split(".")
    return 0 < size <= _MAX_LOCAL_BYTES and all(
        atom and all(_is_atom_text(char) for char in atom) for atom in atoms
    )


def _is_atom_text(char: str) -> bool:
    if char.isascii():
        return _ASCII_ATOM.fullmatch(char) is not None
    return unicodedata.category(char)[0] in _VISIBLE


def _ascii_domain(domain: str) -> str:
    labels = [_ascii_label(label) for label in domain.split(".")]
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused()
    return ".".join(labels)


def _ascii_label(label: str) -> str:
    """A label's A-label.

    What IDNA 2003 would fold into another name (ß to ss) is refused: the mail would go astray.
    """
    if label.isascii():
        return label
    try:
        ascii_form = idna.ToASCII(label).decode("ascii")
        is_same = idna.ToUnicode(ascii_form) == label
    except UnicodeError as error:
        raise _refused() from error
    if not is_same:
        raise _refused()
    return ascii_form.lower()


def _refused() -> Invalid:
    return Invalid("This is no e-mail address. Write it like ann@example.org.")
