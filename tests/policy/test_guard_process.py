"""The guard's caps keep the process alive, and are still needed (policy spec, P-GUARD).

Each case runs in a process of its own, since what it tries to prevent is a death by SIGSEGV.
"""

import subprocess
import sys
from bisect import bisect
from pathlib import Path

import pytest

from wicketd.policy import lexer

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys, threading
from wicketd.policy import engine, formatting, lexer
import cedarpy

SCHEMA = cedarpy.Schema.from_str(
    "entity U; action a appliesTo { principal: U, resource: U, context: { n: Long } };"
)

def use(text):
    policies = cedarpy.PolicySet.from_str(text)
    cedarpy.validate_policies(text, SCHEMA)
    cedarpy.format_policies(text)
    cedarpy.policies_to_json_str(text)
    if not lexer.guard(text):
        engine.facts_of(text)
        formatting.format_text(text)
    uid = {"type": "U", "id": "u"}
    request = {"principal": uid, "action": {"type": "Action", "id": "a"}, "resource": uid}
    request["context"] = '{"n": 1}'
    result = cedarpy.is_authorized(request, policies, "[]", SCHEMA)
    assert not any("recursion" in error for error in result.diagnostics.errors)

def main():
    for text in sys.stdin.read().split("\\x00"):
        use(text)
    print("survived")

threading.stack_size(int(sys.argv[1]) * 1024 * 1024)
thread = threading.Thread(target=main)
thread.start()
thread.join()
"""
HEAD = "permit (principal, action, resource) when { "
MEMBERS = {".x": ".x", "call": ".isEmpty()", "index": '["x"]'}
OPERANDS = {"||": "true", "&&": "true", "+": "1", "-": "1", "*": "1"}


def nested(opener: str, inner: str, closer: str, depth: int) -> str:
    return f"{HEAD}{opener * depth}{inner}{closer * depth} == 1 }};"


def chain(link: str, count: int) -> str:
    """A flat chain of one kind of link."""
    if link == "when":
        return HEAD + "true }" + " when { true }" * count + ";"
    if link in MEMBERS:
        return f"{HEAD}context{MEMBERS[link] * count} == 1 }};"
    operand = OPERANDS[link]
    tail = "" if operand == "true" else " == 1"
    return f"{HEAD}{f' {link} '.join([operand] * (count + 1))}{tail} }};"


def run(texts: list[str], stack_mib: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(stack_mib)],
        input="\x00".join(texts),
        text=True,
        capture_output=True,
        cwd=ROOT,
        check=False,
    )


NESTED = [("(", "1", ")"), ("[", "1", "]"), ("{a: ", "1", "}"), ("if true then 1 else ", "1", "")]
LINKS = [*OPERANDS, *MEMBERS, "when"]


@pytest.mark.requirement("G2", "G3")
@pytest.mark.parametrize("stack_mib", [8, 16])
def test_everything_that_the_guard_passes_is_survived(stack_mib: int) -> None:
    texts = [
        nested(*form, depth)
        for form in NESTED
        for depth in (lexer.MAX_NESTING - 2, lexer.MAX_NESTING - 1, lexer.MAX_NESTING)
    ]
    for link in LINKS:
        texts += [chain(link, count) for count in _around_the_cap(link)]
    mixed = (
        f"{HEAD}(context{'.x' * 100}{' + 1' * 100} == 1){' && true' * 100}{' || true' * 100} }};"
    )
    assert lexer.measure(mixed).path <= lexer.MAX_PATH
    result = run([*texts, mixed], stack_mib)
    assert (result.stdout, result.returncode) == ("survived\n", 0), result.stderr


def _around_the_cap(link: str) -> tuple[int, int, int]:
    """Counts at the cap, one less, and one more, which the guard no longer passes."""
    past = bisect(range(lexer.MAX_PATH), lexer.MAX_PATH, key=lambda n: depth_of(link, n))
    return past - 2, past - 1, past


def depth_of(link: str, count: int) -> int:
    return lexer.measure(chain(link, count)).path


@pytest.mark.parametrize("text", [nested("(", "1", ")", 20_000), chain("+", 15_000)])
def test_far_past_the_caps_an_unguarded_call_still_fails(text: str) -> None:
    """When this fails, the engine has become safer and the caps are reviewed."""
    assert lexer.guard(text)
    assert run([text], 8).stdout == ""


def test_a_deep_text_still_kills_an_unguarded_process() -> None:
    """What no exception handler catches."""
    assert run([nested("(", "1", ")", 20_000)], 8).returncode < 0
