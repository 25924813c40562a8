"""What the engine accepts and an author cannot have meant; codes are proven in test_checker."""

from tests.support.policies import two_services
from wicketd.policy import checks, engine
from wicketd.policy.checks import Scope
from wicketd.policy.diagnose import Place
from wicketd.policy.lexer import Span


def test_a_scope_knows_the_agents_tools_services_and_the_agent() -> None:
    scope = Scope.of("agent", two_services(), may_permit=True)
    assert scope.ids["Wicket::Agent"] == ("agent",)
    assert scope.ids["Wicket::Service"] == ("github", "ops")
    assert "github__delete_file" in scope.ids["Wicket::Tool"]


def test_a_third_use_of_an_id_is_found_too() -> None:
    text = '@id("a") forbid (principal, action, resource);' * 3
    scope = Scope.of("agent", two_services(), may_permit=True)
    read = [
        (Place(text, Span(one.start, one.end), number), one)
        for number, one in enumerate(engine.facts_of(text), 1)
    ]
    found = checks.run(text, read, scope)
    assert [one.statement for one in found] == [2, 3]
