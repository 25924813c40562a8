"""Policy texts in the engine's layout, changed in nothing but layout (policy spec, 9.6).

Counterpart of `policy.engine`, whose formatter it asks; runs in the policy child. Invariant:
comments, tokens and the JSON form stay, and formatting what was formatted changes nothing; a text
for which that cannot be had comes back as it was written.
"""

from typing import Final

from wicketd.policy import engine, lexer

_ROUNDS: Final = 4
"""The engine moves some comments only in its second round; no text is known to take a third."""


def format_text(text: str) -> str:
    """The text in the engine's layout (width 80, indent 2).

    Raises:
        PolicyInvalid: guard or parser refuse the text.
    """
    before = text
    for _ in range(_ROUNDS):
        found = engine.layout(before)
        if found == before:
            return found if _is_same(found, text) else text
        if lexer.guard(found):
            break  # its indentation makes it too long
        before = found
    return text


def _is_same(formatted: str, text: str) -> bool:
    is_kept = lexer.essence(formatted) == lexer.essence(text)
    return is_kept and engine.json_form(formatted) == engine.json_form(text)
