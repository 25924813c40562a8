"""A proof is false in each way alone: every row here truly stands under the signed root.

Removals tried, each seen red here or in `test_reveals`: every check of rows, arguments, set, tools,
agent, resource, decision and statements; version and size; faults that nobody can repeat.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.services.test_reveals import (
    KEY,
    PUBLICS,
    WHY,
    paid,
    reveals_over,
    verified,
    with_arguments,
    with_basis,
    with_body,
)
from tests.support.calling import CAP, open_calling
from tests.support.policies import REPOSITORY
from tests.support.state import ADMIN, INSTALL_ID
from wicketd.audit import checkpoint
from wicketd.audit.chain import GENESIS
from wicketd.audit.inclusion import Paths
from wicketd.audit.proof import ProvenRow
from wicketd.domain.catalogue import Tier
from wicketd.domain.ids import AgentId
from wicketd.domain.json import Json
from wicketd.domain.policies import Mode
from wicketd.policy.revisions import set_sha256
from wicketd.policy.schema import render
from wicketd.policy.setups import RecordFacts, ServiceFacts
from wicketd.services import proofs
from wicketd.services.proofs import Basis, Proof


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    """Of one call of `pay` that was allowed."""

    async def made() -> Proof:
        async with open_calling(tmp_path_factory.mktemp("log")) as calling:
            await calling.policy("Cap", CAP)
            return await reveals_over(calling).prove(ADMIN, await paid(calling), None, WHY)

    return asyncio.run(made())


def logged(proof: Proof, *others: str, shift: int = 0) -> Proof:
    """Its first row and other bodies as a log that is really signed.

    `shift`: how far the first row's own number is off.
    """
    first = msgspec.json.decode(proof.rows[0].body) | {"seq": 1 + shift}
    bodies = (msgspec.json.encode(first, order="deterministic").decode(), *others)
    tree, prev, rows = Paths(range(len(bodies))), GENESIS, list[ProvenRow]()
    for seq, body in enumerate(bodies, 1):
        rows.append(ProvenRow(seq=seq, prev=prev.hex(), body=body, path=()))
        prev = rows[-1].leaf
        tree.append(prev)
    root, paths = tree.finish()
    return msgspec.structs.replace(
        proof,
        checkpoint=checkpoint.sign(KEY, INSTALL_ID, 1, len(rows), root),
        rows=tuple(
            msgspec.structs.replace(row, path=tuple(node.hex() for node in paths[row.seq - 1]))
            for row in rows
        ),
    )


def basis_of(proof: Proof) -> Basis:
    """What its decision was made with."""
    assert proof.basis is not None
    return proof.basis


def with_tools(proof: Proof, change: Callable[[ServiceFacts], ServiceFacts]) -> Proof:
    """The proof with another service `open`, and the schema text that it gives."""
    wicket, service = basis_of(proof).services
    services = (wicket, change(service))
    schema = render([one.view() for one in services])
    return with_basis(proof, services=services, schema=schema.text)


def safer(service: ServiceFacts) -> ServiceFacts:
    """As if `wipe` only read."""
    (wipe,) = [one for one in service.tools if one.name == "wipe"]
    others = tuple(one for one in service.tools if one is not wipe)
    return msgspec.structs.replace(
        service, tools=(*others, msgspec.structs.replace(wipe, tier=Tier.READ))
    )


def elsewhere(proof: Proof) -> Proof:
    """Its row names another account than its arguments do by a rule that its schema holds."""
    rule = replace(
        REPOSITORY, entity="Account", tools=("pay",), id="{amount}", attrs={}, parents=()
    )
    mapped = with_tools(proof, lambda one: msgspec.structs.replace(one, targets=(rule,)))
    schema = render([one.view() for one in basis_of(mapped).services])
    resource = 'OpenMCP::Account::"7"'
    return logged(with_body(mapped, schemaSha256=schema.sha256.hex(), resource=resource))


def with_records(proof: Proof, *more: RecordFacts) -> Proof:
    """The proof of a decision that was made with more records."""
    basis = basis_of(proof)
    policies = (*basis.policies, *more)
    digest = set_sha256([one.version_of(basis.agent) for one in policies]).hex()
    return logged(with_body(with_basis(proof, policies=policies), policySetSha256=digest))


def named(proof: Proof, **changes: Json) -> Proof:
    """Its row names another statement than the one that permits."""
    (one,) = msgspec.json.decode(proof.rows[0].body)["determining"]
    return logged(with_body(proof, determining=[one | changes]))


def with_other_signature(proof: Proof) -> Proof:
    """Signed by the right key, but not this."""
    lines = logged(proof, "{}").checkpoint.splitlines(keepends=True)
    kept = proof.checkpoint.splitlines(keepends=True)[:-1]
    return msgspec.structs.replace(proof, checkpoint="".join((*kept, lines[-1])))


NEVER = RecordFacts(
    "id", "never", 1, "forbid (principal, action, resource);", True, Mode.SHADOW, None
)
OUTCOME = '{"kind":"call.outcome","callId":"another"}'
FAULTS: dict[str, tuple[Callable[[Proof], Proof], int, str]] = {
    "signature": (with_other_signature, 1, "bad signature"),
    "number": (lambda proof: logged(proof, shift=1), 1, "is not in the log"),
    "another call": (lambda proof: logged(proof, OUTCOME), 1, "another call"),
    "no commitment": (
        lambda proof: logged(with_body(proof, argsCommit=None)),
        1,
        "not those that the row commits to",
    ),
    "tools": (lambda proof: with_tools(proof, safer), 1, "The tools are not those"),
    "agent": (lambda proof: logged(with_body(proof, agentId="x")), 1, "another agent's"),
    "resource": (elsewhere, 1, "another resource"),
    "statement": (lambda proof: named(proof, statement=2), 1, "the row says otherwise"),
    "decision": (lambda proof: logged(with_body(proof, decision="DENY")), 1, "otherwise"),
    "late": (
        lambda proof: logged(with_body(proof, reasonCode="engine_late", determining=[])),
        2,
        "no one can repeat",
    ),
    "version": (lambda proof: msgspec.structs.replace(proof, version=2), 2, "newer one"),
    "broken row": (lambda proof: logged(proof, "{"), 2, "no proof"),
    "broken statement": (lambda proof: named(proof, key=7), 2, "no proof"),
    "broken context": (
        lambda proof: logged(with_body(proof, context={"session": {}})),
        1,
        "cannot be decided again",
    ),
    "context of another form": (
        lambda proof: logged(with_body(proof, context={"session": []})),
        1,
        "cannot be decided again",
    ),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_proof_of_a_true_row_is_false_where_the_rest_does_not_follow(
    proof: Proof, tmp_path: Path, name: str
) -> None:
    assert verified(tmp_path, logged(proof)).exit_code == 0
    change, exit_code, said = FAULTS[name]
    report = verified(tmp_path, change(proof))
    assert report.exit_code == exit_code, report.lines
    assert said in " ".join(report.lines)


def test_records_that_are_only_watched_or_off_decide_nothing(proof: Proof, tmp_path: Path) -> None:
    off = msgspec.structs.replace(NEVER, key="off", enabled=False, mode=Mode.ENFORCE)
    assert verified(tmp_path, with_records(proof, NEVER, off)).exit_code == 0
    on = msgspec.structs.replace(off, enabled=True)
    assert verified(tmp_path, with_records(proof, on)).exit_code == 1


def test_a_file_that_is_no_proof_by_its_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    with file.open("wb") as large:
        large.truncate(proofs.MAX_BYTES + 1)
    report = proofs.of_file(file, PUBLICS)
    assert report.exit_code == 2
    assert "larger than" in report.lines[-1]


@pytest.mark.parametrize("digits", [62, 66])
def test_a_hash_of_another_length_is_none(proof: Proof, digits: int) -> None:
    row = msgspec.structs.replace(proof.rows[0], prev="0" * digits)
    with pytest.raises(ValueError, match="32 bytes"):
        row.leaf  # noqa: B018  # the property computes


def test_a_salt_is_strict_base64(proof: Proof, tmp_path: Path) -> None:
    assert proof.arguments is not None
    spaced = with_arguments(proof, salt=f"{proof.arguments.salt[:8]} {proof.arguments.salt[8:]}")
    assert verified(tmp_path, spaced).exit_code == 1


def test_an_agent_of_another_id_is_another_agent(proof: Proof, tmp_path: Path) -> None:
    other = replace(basis_of(proof).agent, id=AgentId("x"))
    report = verified(tmp_path, with_basis(proof, agent=other))
    assert report.exit_code == 1
