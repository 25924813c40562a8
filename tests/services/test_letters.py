"""Letters say what to do, in text and HTML, and carry nothing from elsewhere."""

import pytest

from wicketd.domain.ports import Mail
from wicketd.services import letters

URL = "https://wicket.example.org"
LINK = f"{URL}/join/abc_-"


@pytest.fixture(params=["code", "invitation"])
def letter(request: pytest.FixtureRequest) -> Mail:
    if request.param == "code":
        return letters.sign_in_code("ann@example.org", "4D2PF2DB", URL)
    return letters.invitation("ann@example.org", '<img src="x">Ops & Co', LINK, URL)


def test_a_letter_loads_and_runs_nothing(letter: Mail) -> None:
    for forbidden in ("<img", "<script", "<link", "src=", "url(", "@import", "<form"):
        assert forbidden not in letter.html.replace("&lt;img src=", "")
    assert letter.to == "ann@example.org"


def test_both_forms_say_the_same_secret_and_the_same_next_step(letter: Mail) -> None:
    secret = "4D2P-F2DB" if "code" in letter.subject else LINK
    for form in (letter.text, letter.html):
        assert secret in form
        assert "ignore this mail" in form
        assert URL in form
    assert secret not in repr(letter)


def test_an_agents_name_is_text_whatever_it_holds() -> None:
    made = letters.invitation("ann@example.org", '<img src="x">Ops & Co', LINK, URL)
    assert "&lt;img src=&quot;x&quot;&gt;Ops &amp; Co" in made.html
    assert '<img src="x">Ops & Co' in made.text
