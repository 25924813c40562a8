"""Cedar's published grammar as a recogniser: the second opinion on where a statement breaks.

Recursive descent with one token of look-ahead, so the token it stops at is the first that no text
continues. It knows nothing of the engine. Source: docs.cedarpolicy.com, "Grammar specification".
"""

from typing_extensions import override

from wicketd.policy import lexer

_RELATIONS = {"<", "<=", ">=", ">", "!=", "=="}
_VARIABLES = {"principal", "action", "resource", "context"}


class Stop(Exception):
    """The parser cannot go on at `at`, a place in the list of tokens."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class Recogniser:
    """Reads one statement."""

    def __init__(self, text: str) -> None:
        self.tokens = lexer.significant(text)
        self.at = 0

    def first_error(self) -> int | None:
        """The place of the first token that cannot follow; their number: the text ends too soon."""
        try:
            self.policy()
        except Stop as stop:
            return stop.at
        return None if self.at == len(self.tokens) else self.at

    @property
    def text(self) -> str:
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    @property
    def kind(self) -> str:
        return self.tokens[self.at].kind if self.at < len(self.tokens) else ""

    def take(self, *texts: str) -> str:
        if self.text not in texts:
            raise Stop(self.at)
        self.at += 1
        return self.tokens[self.at - 1].text

    def take_kind(self, kind: str) -> None:
        if self.kind != kind:
            raise Stop(self.at)
        self.at += 1

    def policy(self) -> None:
        while self.text == "@":
            self.take("@")
            self.take_kind("ident")
            if self.text == "(":
                self.take("(")
                self.take_kind("string")
                self.take(")")
        self.take("permit", "forbid")
        self.take("(")
        self.scope("principal")
        self.take(",")
        self.scope("action")
        self.take(",")
        self.scope("resource")
        if self.text == ",":
            self.take(",")
        self.take(")")
        while self.text in {"when", "unless"}:
            self.take("when", "unless")
            self.take("{")
            self.expression()
            self.take("}")
        self.take(";")

    def scope(self, variable: str) -> None:
        self.take(variable)
        if self.text == "==":
            self.take("==")
            self.path(is_entity=True)
        elif self.text == "in":
            self.take("in")
            if self.text == "[" and variable == "action":
                self.take("[")
                self.path(is_entity=True)
                while self.text == ",":
                    self.take(",")
                    if self.text == "]":
                        break
                    self.path(is_entity=True)
                self.take("]")
            else:
                self.path(is_entity=True)
        elif self.text == "is" and variable != "action":
            self.take("is")
            self.path(is_entity=False)
            if self.text == "in":
                self.take("in")
                self.path(is_entity=True)

    def path(self, *, is_entity: bool) -> None:
        self.take_kind("ident")
        while self.text == "::":
            self.take("::")
            if is_entity and self.kind == "string":
                self.take_kind("string")
                return
            self.take_kind("ident")
        if is_entity:
            raise Stop(self.at)

    def expression(self) -> None:
        if self.text == "if":
            self.take("if")
            self.expression()
            self.take("then")
            self.expression()
            self.take("else")
            self.expression()
            return
        self.chain("||", lambda: self.chain("&&", self.relation))

    def chain(self, operator: str, operand: object) -> None:
        assert callable(operand)
        operand()
        while self.text == operator and self.kind == "op":
            self.take(operator)
            operand()

    def relation(self) -> None:
        self.sum()
        if self.kind == "op" and self.text in _RELATIONS:
            self.take(*_RELATIONS)
            self.sum()
        elif self.kind == "ident" and self.text == "in":
            self.take("in")
            self.sum()
        elif self.kind == "ident" and self.text == "has":
            self.take("has")
            if self.kind == "string":
                self.take_kind("string")
            else:
                self.take_kind("ident")
                while self.text == ".":
                    self.take(".")
                    self.take_kind("ident")
        elif self.kind == "ident" and self.text == "like":
            self.take("like")
            self.take_kind("string")
        elif self.kind == "ident" and self.text == "is":
            self.take("is")
            self.path(is_entity=False)
            if self.text == "in":
                self.take("in")
                self.sum()

    def sum(self) -> None:
        self.unary()
        while self.kind == "op" and self.text in {"+", "-", "*"}:
            self.take("+", "-", "*")
            self.unary()

    def unary(self) -> None:
        while self.kind == "op" and self.text in {"!", "-"}:
            self.take("!", "-")
        self.primary()
        while self.kind == "op" and self.text in {".", "["}:
            if self.take(".", "[") == "[":
                self.take_kind("string")
                self.take("]")
                continue
            self.take_kind("ident")
            if self.text == "(":
                self.arguments("(", ")")

    def arguments(self, opening: str, closing: str) -> None:
        self.take(opening)
        while self.text != closing:
            self.expression()
            if self.text != ",":
                break
            self.take(",")
        self.take(closing)

    def primary(self) -> None:
        if self.kind in {"string", "number"}:
            self.at += 1
        elif self.text == "(":
            self.take("(")
            self.expression()
            self.take(")")
        elif self.text == "[":
            self.arguments("[", "]")
        elif self.text == "{":
            self.record()
        elif self.kind == "ident":
            self.name()
        else:
            raise Stop(self.at)

    def record(self) -> None:
        self.take("{")
        while self.text != "}":
            if self.kind not in {"ident", "string"}:
                raise Stop(self.at)
            self.at += 1
            self.take(":")
            self.expression()
            if self.text != ",":
                break
            self.take(",")
        self.take("}")

    def name(self) -> None:
        word = self.text
        if word in {"then", "else", "in", "has", "like", "is", "if"}:
            raise Stop(self.at)
        self.at += 1
        if word in _VARIABLES or word in {"true", "false"}:
            if self.text in {"::", "("} and word in {"true", "false"}:
                raise Stop(self.at)
            if self.text != "::":
                return
        while self.text == "::":
            self.take("::")
            if self.kind == "string":
                self.take_kind("string")
                return
            self.take_kind("ident")
        self.arguments("(", ")")


class Concrete(Recogniser):
    """The engine's own first pass, which reads more: any word as effect, variable or clause.

    Source: cedar-policy/cedar, `cedar-policy-core/src/parser/grammar.lalrpop`.
    """

    @override
    def policy(self) -> None:
        while self.text == "@":
            self.take("@")
            self.take_kind("ident")
            if self.text == "(":
                self.take("(")
                self.take_kind("string")
                self.take(")")
        self.take_kind("ident")
        self.take("(")
        while self.text != ")":
            self.variable()
            if self.text != ",":
                break
            self.take(",")
        self.take(")")
        while self.kind == "ident":
            self.take_kind("ident")
            self.take("{")
            if self.text != "}":
                self.expression()
            self.take("}")
        self.take(";")

    def variable(self) -> None:
        self.take_kind("ident")
        if self.text == ":":
            self.take(":")
            self.path(is_entity=False)
        if self.text == "is":
            self.take("is")
            self.sum()
        if self.text in _RELATIONS | {"in", "="} and self.kind in {"op", "ident"}:
            self.at += 1
            self.expression()

    @override
    def relation(self) -> None:
        self.sum()
        while self.kind in {"op", "ident"} and self.text in _RELATIONS | {"in", "="}:
            self.at += 1
            self.sum()
        if self.kind == "ident" and self.text in {"has", "like"}:
            self.at += 1
            self.sum()
        elif self.kind == "ident" and self.text == "is":
            self.take("is")
            self.sum()
            if self.text == "in":
                self.take("in")
                self.sum()

    @override
    def sum(self) -> None:
        self.unary()
        while self.kind == "op" and self.text in {"+", "-", "*", "/", "%"}:
            self.at += 1
            self.unary()

    @override
    def unary(self) -> None:
        while self.kind == "op" and self.text in {"!", "-"}:
            self.at += 1
        self.primary()
        while self.kind == "op" and self.text in {".", "[", "("}:
            if self.text == "(":
                self.arguments("(", ")")
            elif self.take(".", "[") == "[":
                self.expression()
                self.take("]")
            else:
                self.take_kind("ident")

    @override
    def record(self) -> None:
        self.take("{")
        while self.text != "}":
            self.expression()
            self.take(":")
            self.expression()
            if self.text != ",":
                break
            self.take(",")
        self.take("}")

    @override
    def name(self) -> None:
        if self.text == "if":
            raise Stop(self.at)
        is_plain = self.text in {"true", "false"}
        self.at += 1
        while self.text == "::" and not is_plain:
            self.take("::")
            if self.kind == "string":
                self.take_kind("string")
                return
            if self.text == "{":
                raise Stop(self.at)
            self.take_kind("ident")
