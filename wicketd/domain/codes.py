"""Codes that people type: drawn evenly, read forgivingly. Pure.

Crockford base32: no I, L, O, U; case, dashes and blanks do not count, O is 0, I and L are 1.
"""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS: Final = 5
_READ_AS: Final = str.maketrans("OIL", "011", "- \t\u2010\u2011\u2012\u2013")


def draw(entropy: bytes, length: int) -> str:
    """A code of `length` characters, 5 bits each; `entropy` holds at least as many bits."""
    bits = int.from_bytes(entropy, "big")
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(0, length * BITS, BITS))


def entropy_bytes(length: int) -> int:
    """How many random bytes `draw` needs."""
    return (length * BITS + 7) // 8


def fold(typed: str, length: int) -> str | None:
    """The code that was meant, or None if it cannot be one of `length` characters."""
    if len(typed) > 4 * length:
        return None
    code = typed.strip().upper().translate(_READ_AS)
    return code if len(code) == length and all(char in ALPHABET for char in code) else None


def grouped(code: str) -> str:
    """The code as it is shown: two halves with a dash between."""
    half = len(code) // 2
    return f"{code[:half]}-{code[half:]}"
