"""The rows of the admin API's table that are about policies; `endpoints` holds the whole table.

Source: product specification, section 9.
"""

from typing import Any, Final

from wicketd.api.endpoint import AGENT, Endpoint
from wicketd.api.types import agents, coverage, policies, policy_sets, recipes
from wicketd.api.types.listing import Page

# One row is a few lines here; formatted, each would fill a third of a screen.
# fmt: off

_A: Final = AGENT
_P: Final = _A + "/policies/{policy}"

SCHEMA: Final = Endpoint(
    name="policy.schema", method="GET", path=_A + "/schema", request=agents.AgentRef,
    response=policies.Schema, command="policy schema", summary="The agent's Cedar schema.")
POLICY_LIST: Final = Endpoint(
    name="policy.list", method="GET", path=_A + "/policies", request=policies.PolicyList,
    response=Page[policies.PolicyVersion], command="policy list",
    summary="The live policies at their current version.")
POLICY_SHOW: Final = Endpoint(
    name="policy.show", method="GET", path=_P, request=policies.PolicyRef, response=policies.Policy,
    etag="policy_revision", command="policy show", summary="One policy at its current version.")
POLICY_VERSIONS: Final = Endpoint(
    name="policy.versions", method="GET", path=_P + "/versions", request=policies.VersionList,
    response=Page[policies.PolicyVersion], command="policy versions",
    summary="The versions of a policy, newest first.")
POLICY_VERSION: Final = Endpoint(
    name="policy.version", method="GET", path=_P + "/versions/{version}",
    request=policies.VersionRef, response=policies.PolicyVersion, command="policy show",
    summary="One version of a policy.")
POLICY_CREATE: Final = Endpoint(
    name="policy.create", method="POST", path=_A + "/policies", request=policies.PolicyCreate,
    response=policies.PolicySaved, permission="write", etag="policy_revision",
    audit=("policy.created",), command="policy create",
    summary="Create a policy; refused while its text has errors.")
POLICY_SAVE: Final = Endpoint(
    name="policy.save", method="PUT", path=_P, request=policies.PolicySave,
    response=policies.PolicySaved, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.saved",), command="policy save",
    summary="Save a new version of a policy.")
POLICY_DELETE: Final = Endpoint(
    name="policy.delete", method="DELETE", path=_P, request=policies.PolicyRef,
    response=policies.PolicyDeleted, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.deleted",), command="policy delete",
    summary="Take a policy out of the set; its versions stay readable.")
POLICY_ENABLED: Final = Endpoint(
    name="policy.enabled", method="PUT", path=_P + "/enabled", request=policies.PolicyEnabled,
    response=policies.PolicySaved, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.enabled", "policy.disabled"), command="policy enable",
    summary="Turn a policy on or off.")
POLICY_MODE: Final = Endpoint(
    name="policy.mode", method="PUT", path=_P + "/mode", request=policies.PolicyMode,
    response=policies.PolicySaved, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.mode",), command="policy mode",
    summary="Enforce a policy, or only watch it.")
POLICY_ROLLBACK: Final = Endpoint(
    name="policy.rollback", method="POST", path=_P + "/rollback", request=policies.PolicyRollback,
    response=policies.PolicySaved, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.rolled_back",), command="policy rollback",
    summary="Save an old text as a new version, checked against today's schema.")
POLICY_CHECK: Final = Endpoint(
    name="policy.check", method="POST", path=_A + "/policies/check", request=policies.PolicyCheck,
    response=policies.PolicyChecked, command="policy check",
    summary="The problems of a text and the tools that its statements touch, nothing saved.")
POLICY_FORMAT: Final = Endpoint(
    name="policy.format", method="POST", path=_A + "/policies/format",
    request=policies.PolicyFormat, response=policies.PolicyFormatted, command="policy format",
    summary="A text in the usual form.")
REVISION_LIST: Final = Endpoint(
    name="policy.revisions", method="GET", path=_A + "/revisions", request=policies.RevisionList,
    response=Page[policies.Revision], command="policy revisions",
    summary="The history of the set, newest first.")
REVISION_SHOW: Final = Endpoint(
    name="policy.revision", method="GET", path=_A + "/revisions/{revision}",
    request=policies.RevisionRef, response=policies.Revision, command="policy revisions",
    summary="The set in force at one revision.")
RECIPE_WRITE: Final = Endpoint(
    name="policy.recipe", method="POST", path=_A + "/recipes", request=recipes.RecipeWrite,
    response=recipes.RecipeText, command="policy recipe",
    summary="The Cedar text of a form, formatted and checked, nothing saved.")
POLICY_DIFF: Final = Endpoint(
    name="policy.diff", method="GET", path=_P + "/diff", request=policy_sets.DiffAsk,
    response=policy_sets.PolicyDiff, command="policy diff",
    summary="What two versions of a policy differ in.")
POLICY_EXPORT: Final = Endpoint(
    name="policy.export", method="GET", path=_A + "/policies/export", request=agents.AgentRef,
    response=policy_sets.PolicyExport, etag="policy_revision", command="policy export",
    summary="The live policies as a whole set.")
POLICY_IMPORT: Final = Endpoint(
    name="policy.import", method="PUT", path=_A + "/policies", request=policy_sets.PolicyImport,
    response=policy_sets.PolicyImported, permission="write", match="policy_revision",
    etag="policy_revision", audit=("policy.imported",), command="policy import",
    summary="Make a whole set the agent's, at one revision or not at all; or only plan it.")
POLICY_COVERAGE: Final = Endpoint(
    name="policy.coverage", method="GET", path=_A + "/policies/coverage", request=agents.AgentRef,
    response=coverage.Coverage, command="policy coverage",
    summary="Tools that no policy permits, and policies that do nothing.")

# fmt: on

ROWS: Final[tuple[Endpoint[Any, Any], ...]] = tuple(
    row for row in tuple(globals().values()) if isinstance(row, Endpoint)
)
"""Every row above, in the order of the file."""
