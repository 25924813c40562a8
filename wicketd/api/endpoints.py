"""Every endpoint of the admin API, one row each.

Server, client, command line, documents and tests read this table; `policy_endpoints` holds the
rows of policies.
Source: product specification, section 9.
"""

from typing import Any, Final

from wicketd.api import policy_endpoints, simulation_endpoints
from wicketd.api.endpoint import AGENT
from wicketd.api.endpoint import Endpoint as Endpoint
from wicketd.api.types import (
    accounts,
    agents,
    audit,
    connections,
    invites,
    members,
    services,
    sessions,
    status,
)
from wicketd.api.types.listing import Empty, Nothing, Page

# One row is a few lines here; formatted, each would fill a third of a screen.
# fmt: off

_A: Final = AGENT
_M: Final = _A + "/members/{member}"
_S: Final = _A + "/services/{service}"
_E: Final = "/v1/accounts/{account}"

STATUS: Final = Endpoint(
    name="status", method="GET", path="/v1/status", request=Empty, response=status.Status,
    command="status", summary="Health, audit head and counts.")
WHOAMI: Final = Endpoint(
    name="whoami", method="GET", path="/v1/whoami", request=Empty, response=status.WhoAmI,
    command="whoami", summary="The asking peer: uid, name, permission.")
CONFIG: Final = Endpoint(
    name="config", method="GET", path="/v1/config", request=Empty, response=status.Config,
    command="config", summary="The settings in force; secrets only as set or unset.")
KEYRING: Final = Endpoint(
    name="keyring", method="GET", path="/v1/keyring", request=Empty, response=status.Keyring,
    command="keyring", summary="Rows and encryptions per key of the keyring.")
EVENTS: Final = Endpoint(
    name="events", method="GET", path="/v1/events", request=status.EventsAsk, response=Nothing,
    command="events", form="events",
    summary="What changes, as it changes. Resumes behind `Last-Event-ID`.")
STATS: Final = Endpoint(
    name="stats", method="GET", path="/v1/stats", request=status.StatsAsk, response=status.Stats,
    command="stats", summary="Totals, series, top tools and top denying policies.")
AGENT_STATS: Final = Endpoint(
    name="agent.stats", method="GET", path=_A + "/stats", request=status.AgentStatsAsk,
    response=status.Stats, command="stats", summary="The same for one agent.")

AGENT_LIST: Final = Endpoint(
    name="agent.list", method="GET", path="/v1/agents", request=agents.AgentList,
    response=Page[agents.Agent], command="agent list", summary="The agents.")
AGENT_SHOW: Final = Endpoint(
    name="agent.show", method="GET", path=_A, request=agents.AgentRef, response=agents.Agent,
    etag="rev", command="agent show", summary="One agent.")
AGENT_CREATE: Final = Endpoint(
    name="agent.create", method="POST", path="/v1/agents", request=agents.AgentCreate,
    response=agents.Agent, permission="write", etag="rev", audit=("agent.created",
    "policy.created"), command="agent create",
    summary="Create an agent; everything is denied until a policy permits it.")
AGENT_UPDATE: Final = Endpoint(
    name="agent.update", method="PATCH", path=_A, request=agents.AgentUpdate, response=agents.Agent,
    permission="write", match="rev", etag="rev", audit=("agent.updated",), command="agent edit",
    summary="Change name, time zone, tags or session scope.")
AGENT_STATUS: Final = Endpoint(
    name="agent.status", method="PUT", path=_A + "/status", request=agents.AgentStatusSet,
    response=agents.Agent, permission="write", etag="rev", audit=("agent.disabled",
    "agent.enabled"), command="agent disable",
    summary="The kill switch: disable or enable an agent.")
AGENT_DELETE: Final = Endpoint(
    name="agent.delete", method="DELETE", path=_A, request=agents.AgentDelete, response=Nothing,
    permission="write", match="rev", command="agent delete",
    summary="Delete a disabled agent for good.", audit=("agent.deleted", "key.revoked",
    "connection.revoked", "session.ended"))
PANIC: Final = Endpoint(
    name="panic", method="POST", path="/v1/panic", request=agents.Panic, response=agents.PanicDone,
    permission="write", audit=("agent.disabled",), command="panic",
    summary="Disable one agent, or every agent.")

CATALOGUE_LIST: Final = Endpoint(
    name="catalogue.list", method="GET", path="/v1/catalogue", request=services.CatalogueList,
    response=Page[services.Connector], command="catalogue list",
    summary="The connectors this daemon knows.")
CATALOGUE_SHOW: Final = Endpoint(
    name="catalogue.show", method="GET", path="/v1/catalogue/{key}", request=services.CatalogueRef,
    response=services.Connector, command="catalogue show", summary="One connector.")
CATALOGUE_RELOAD: Final = Endpoint(
    name="catalogue.reload", method="POST", path="/v1/catalogue/reload", request=Empty,
    response=services.CatalogueReloaded, permission="write", command="catalogue reload",
    audit=("catalogue.reloaded", "connection.broken", "connection.restored"),
    summary="Read the connector files again; after an error the old set stays.")

SERVICE_LIST: Final = Endpoint(
    name="service.list", method="GET", path=_A + "/services", request=services.ServiceList,
    response=Page[services.Service], command="service list", summary="The services of an agent.")
SERVICE_SHOW: Final = Endpoint(
    name="service.show", method="GET", path=_S, request=services.ServiceRef,
    response=services.Service, etag="rev", command="service show", summary="One service.")
SERVICE_TOOLS: Final = Endpoint(
    name="service.tools", method="GET", path=_S + "/tools", request=services.ToolList,
    response=Page[services.Tool], command="service tools",
    summary="Tools with tier, its source, hash and definition.")
SERVICE_DRIFT: Final = Endpoint(
    name="service.drift", method="GET", path=_S + "/drift", request=services.ServiceRef,
    response=services.Drift, command="service drift",
    summary="Tool changes that wait for a review, and what they mean for policies and lists.")
SERVICE_PUT: Final = Endpoint(
    name="service.put", method="PUT", path=_S, request=services.ServicePut,
    response=services.EnableReport, permission="write", audit=("service.enabled",
    "service.disabled", "service.discovered", "policy.created", "tool.added", "tool.changed",
    "tool.removed"), command="service enable",
    summary="Turn a service on or off, or report what turning it on would do.")
SERVICE_REMOVE: Final = Endpoint(
    name="service.remove", method="DELETE", path=_S, request=services.ServiceRemove,
    response=Nothing, permission="write", audit=("service.disabled", "service.removed",
    "connection.revoked"), command="service remove",
    summary="Disable a service, or remove a disabled one for good.")
SERVICE_DISCOVER: Final = Endpoint(
    name="service.discover", method="POST", path=_S + "/discover", request=services.Discover,
    response=services.Discovered, permission="write", command="service discover",
    audit=("service.discovered", "tool.added", "tool.changed", "tool.removed"),
    summary="List the server's tools now, with a one-off token if it wants one.")
SERVICE_CREDENTIALS: Final = Endpoint(
    name="service.credentials", method="PUT", path=_S + "/credentials",
    request=services.CredentialsPut, response=services.CredentialsKept, permission="write",
    match="rev", audit=("service.credentials_set",), command="service credentials",
    summary="Store the OAuth app of a service, sealed; nothing ever returns it.")
SERVICE_CREDENTIALS_CLEAR: Final = Endpoint(
    name="service.credentials_clear", method="DELETE", path=_S + "/credentials",
    request=services.ServiceRef, response=Nothing, permission="write",
    audit=("service.credentials_cleared",), command="service credentials-clear",
    summary="Destroy the OAuth app of a service.")
TOOL_TIER: Final = Endpoint(
    name="service.tier", method="PUT", path=_S + "/tools/{tool}/tier", request=services.TierSet,
    response=services.Tool, permission="write", match="rev", audit=("tool.tier_set",),
    command="service tier", summary="Override a tool's tier, or take the override back.")
TOOL_ACK: Final = Endpoint(
    name="service.ack", method="POST", path=_S + "/tools/{tool}/ack", request=services.Ack,
    response=services.Tool, permission="write", audit=("tool.acked", "policy.saved"),
    command="service ack", summary="Accept a changed tool as it is now.")

MEMBER_LIST: Final = Endpoint(
    name="member.list", method="GET", path=_A + "/members", request=members.MemberList,
    response=Page[members.Member], command="member list", summary="The members of an agent.")
MEMBER_SHOW: Final = Endpoint(
    name="member.show", method="GET", path=_M, request=members.MemberRef, response=members.Member,
    etag="rev", command="member show", summary="One member, with key and connections.")
MEMBER_ADD: Final = Endpoint(
    name="member.add", method="POST", path=_A + "/members", request=members.MemberAdd,
    response=members.Member, permission="write", etag="rev", audit=("member.added",),
    command="member add", summary="Add a local member: a name without a mailbox.")
MEMBER_UPDATE: Final = Endpoint(
    name="member.update", method="PATCH", path=_M, request=members.MemberUpdate,
    response=members.Member, permission="write", match="rev", etag="rev", audit=("member.updated",),
    command="member edit", summary="Change role, groups or tags.")
MEMBER_APPROVE: Final = Endpoint(
    name="member.approve", method="POST", path=_M + "/approve", request=members.MemberApprove,
    response=members.Member, permission="write", etag="rev", audit=("member.approved",
    "policy.created"), command="member approve", summary="Admit a pending member.")
MEMBER_REJECT: Final = Endpoint(
    name="member.reject", method="POST", path=_M + "/reject", request=members.MemberReject,
    response=members.Member, permission="write", etag="rev", audit=("member.rejected",
    "connection.revoked"), command="member reject", summary="Refuse a pending member for good.")
MEMBER_REMOVE: Final = Endpoint(
    name="member.remove", method="DELETE", path=_M, request=members.MemberRef, response=Nothing,
    permission="write", command="member remove", summary="Remove a member; its key ends at once.",
    audit=("member.removed", "invite.revoked", "invite.expired", "key.revoked",
    "connection.revoked", "session.ended", "policy.disabled"))

INVITE_LIST: Final = Endpoint(
    name="invite.list", method="GET", path=_A + "/invites", request=invites.InviteList,
    response=Page[invites.Invite], command="invite list", summary="The invitations to an agent.")
INVITE_CREATE: Final = Endpoint(
    name="invite.create", method="POST", path=_A + "/invites", request=invites.InviteCreate,
    response=invites.InviteCreated, permission="write", audit=("invite.created",
    "account.link_created", "account.link_voided"), command="invite create",
    summary="Invite an address. This answer is the only one that shows the link.")
INVITE_RESEND: Final = Endpoint(
    name="invite.resend", method="POST", path=_A + "/invites/{invite}/resend",
    request=invites.InviteResend, response=invites.InviteCreated, permission="write",
    audit=("invite.revoked", "invite.expired", "invite.created", "account.link_created",
    "account.link_voided"), command="invite resend",
    summary="Make a new link for who is still invited; the old one is dead.")
INVITE_REVOKE: Final = Endpoint(
    name="invite.revoke", method="DELETE", path=_A + "/invites/{invite}",
    request=invites.InviteRef, response=Nothing, permission="write", audit=("invite.revoked",
    "account.link_voided", "member.removed"), command="invite revoke",
    summary="Take an open invitation back.")

KEY_LIST: Final = Endpoint(
    name="key.list", method="GET", path=_A + "/keys", request=members.KeyList,
    response=Page[members.MemberKey], command="key list",
    summary="Key ids of an agent, ended ones too.")
KEY_ISSUE: Final = Endpoint(
    name="key.issue", method="POST", path=_M + "/key", request=members.MemberRef,
    response=members.KeyIssued, permission="write", audit=("key.issued", "connection.sealed"),
    command="key issue",
    summary="Make a local member's key. This answer is the only one that shows it.")
KEY_REVOKE: Final = Endpoint(
    name="key.revoke", method="POST", path=_M + "/key/revoke", request=members.KeyRevoke,
    response=members.MemberKey, permission="write", audit=("key.revoked", "connection.broken",
    "session.ended"), command="key revoke", summary="End a member's active key.")
KEY_REVOKE_BY_ID: Final = Endpoint(
    name="key.revoke_by_id", method="POST", path="/v1/keys/{key_id}/revoke",
    request=members.KeyRevokeById, response=members.MemberKey, permission="write",
    audit=("key.revoked", "connection.broken", "session.ended"), command="key revoke",
    summary="End a key of which only the id is known.")

CONNECTION_LIST: Final = Endpoint(
    name="connection.list", method="GET", path=_A + "/connections",
    request=connections.ConnectionList, response=Page[connections.Connection],
    command="connection list", summary="Connections, without credentials.")
CONNECTION_SET: Final = Endpoint(
    name="connection.set", method="PUT", path=_M + "/connections/{service}",
    request=connections.ConnectionSet, response=connections.Connection, permission="write",
    audit=("connection.pending", "connection.sealed"), command="connection set",
    summary="Store a local member's static token, sealed.")
CONNECTION_DISCARD: Final = Endpoint(
    name="connection.discard", method="DELETE", path=_M + "/connections/{service}",
    request=connections.ConnectionRef, response=Nothing, permission="write",
    audit=("connection.revoked",), command="connection discard",
    summary="Destroy a member's connection to a service.")

ACCOUNT_LIST: Final = Endpoint(
    name="account.list", method="GET", path="/v1/accounts", request=accounts.AccountList,
    response=Page[accounts.Account], command="account list",
    summary="The accounts of the portal.")
ACCOUNT_SHOW: Final = Endpoint(
    name="account.show", method="GET", path=_E, request=accounts.AccountRef,
    response=accounts.AccountDetail, command="account show",
    summary="One account, with web sessions and memberships.")
ACCOUNT_STATUS: Final = Endpoint(
    name="account.status", method="PUT", path=_E + "/status", request=accounts.AccountStatusSet,
    response=accounts.Account, permission="write", audit=("account.blocked",
    "account.unblocked", "account.link_voided"), command="account block",
    summary="Block or unblock an account; its members' keys are refused too.")
ACCOUNT_MFA_RESET: Final = Endpoint(
    name="account.mfa_reset", method="POST", path=_E + "/mfa/reset", request=accounts.AccountRef,
    response=accounts.Account, permission="write", audit=("account.mfa_reset",),
    command="account reset-mfa", summary="Forget a second factor and end every web session.")
ACCOUNT_SIGN_OUT: Final = Endpoint(
    name="account.sign_out", method="DELETE", path=_E + "/sessions", request=accounts.AccountRef,
    response=accounts.SignedOut, permission="write", audit=("account.signed_out",),
    command="account sign-out", summary="End every web session of an account.")
ACCOUNT_SIGN_OUT_ONE: Final = Endpoint(
    name="account.sign_out_one", method="DELETE", path=_E + "/sessions/{session}",
    request=accounts.SessionRef, response=accounts.SignedOut, permission="write",
    audit=("account.signed_out",), command="account sign-out",
    summary="End one web session of an account.")
ACCOUNT_LINK: Final = Endpoint(
    name="account.link", method="POST", path=_E + "/link", request=accounts.AccountRef,
    response=accounts.AccountLink, permission="write", audit=("account.link_created",
    "account.link_voided"), command="account link",
    summary="Make a single-use sign-in link, where no mail is sent.")
ACCOUNT_OFFBOARD: Final = Endpoint(
    name="account.offboard", method="POST", path=_E + "/offboard", request=accounts.Offboard,
    response=accounts.Offboarded, permission="write", audit=("account.blocked",
    "account.link_voided", "member.removed", "invite.revoked", "invite.expired", "key.revoked",
    "connection.revoked", "session.ended", "policy.disabled"), command="offboard",
    summary="Block an account and end its memberships, keys and sessions on all agents.")

CONNECTION_OAUTH: Final = Endpoint(
    name="connection.oauth", method="POST", path=_M + "/connections/{service}/oauth",
    request=connections.ConnectionSignIn, response=connections.SignIn, permission="write",
    audit=("service.credentials_set", "connection.pending", "connection.sealed"),
    command="connection connect",
    summary="Begin a local member's sign-in, then finish it with the pasted redirect.")

SESSION_LIST: Final = Endpoint(
    name="session.list", method="GET", path=_A + "/sessions", request=sessions.SessionList,
    response=Page[sessions.Session], command="session list",
    summary="Tool sessions, newest activity first.")
SESSION_SHOW: Final = Endpoint(
    name="session.show", method="GET", path=_A + "/sessions/{session}", request=sessions.SessionRef,
    response=sessions.Session, command="session show",
    summary="One tool session with its counters.")
SESSION_RESET: Final = Endpoint(
    name="session.reset", method="POST", path=_A + "/sessions/{session}/reset",
    request=sessions.SessionRef, response=sessions.Session, permission="write",
    audit=("session.ended",), command="session reset",
    summary="End a tool session now; the client goes on from zero.")

AUDIT_LIST: Final = Endpoint(
    name="audit.list", method="GET", path="/v1/audit", request=audit.AuditList,
    response=audit.AuditPage, command="audit list", summary="Entries by filter, newest first.")
AUDIT_SHOW: Final = Endpoint(
    name="audit.show", method="GET", path="/v1/audit/{ref}", request=audit.AuditRef,
    response=audit.AuditDetail, command="audit show",
    summary="One entry by id or call reference, with its raw rows.")
AUDIT_FACETS: Final = Endpoint(
    name="audit.facets", method="GET", path="/v1/audit/facets", request=audit.FacetsAsk,
    response=audit.Facets, command="audit facets", summary="Values that occur, for completion.")
AUDIT_PAGES: Final = Endpoint(
    name="audit.pages", method="GET", path="/v1/audit/pages", request=audit.AuditPages,
    response=audit.PageIndex, command="audit list",
    summary="Where the pages of a filtered log begin, for random access.")
AUDIT_REVEAL: Final = Endpoint(
    name="audit.reveal", method="POST", path="/v1/audit/{ref}/reveal", request=audit.AuditReveal,
    response=audit.Revealed, permission="write", audit=("audit.revealed",), command="audit reveal",
    summary="The recorded arguments of one call; the reason is on record first.")
AUDIT_PROVE: Final = Endpoint(
    name="audit.prove", method="POST", path="/v1/audit/{ref}/proof", request=audit.AuditReveal,
    response=audit.AuditProof, permission="write", audit=("audit.revealed",), command="audit prove",
    summary="The proof of one decision, arguments disclosed: verified offline by anybody.")
AUDIT_EXPORT: Final = Endpoint(
    name="audit.export", method="GET", path="/v1/audit/export", request=audit.AuditExport,
    response=Nothing, audit=("audit.exported",), command="audit export", form="lines",
    summary="Entries as JSON lines or CSV.")
CHECKPOINT_LIST: Final = Endpoint(
    name="audit.checkpoints", method="GET", path="/v1/audit/checkpoints", request=Empty,
    response=audit.Checkpoints, command="audit checkpoint",
    summary="The signed checkpoints, newest first.")
CHECKPOINT_MAKE: Final = Endpoint(
    name="audit.checkpoint", method="POST", path="/v1/audit/checkpoints", request=Empty,
    response=audit.Checkpoint, permission="write", audit=("audit.checkpointed",),
    command="audit checkpoint", summary="Sign the log as it stands now.")

# fmt: on

ENDPOINTS: Final[tuple[Endpoint[Any, Any], ...]] = (
    *(row for row in tuple(globals().values()) if isinstance(row, Endpoint)),
    *policy_endpoints.ROWS,
    *simulation_endpoints.ROWS,
)
"""Every row above, in the order of the file, then those of policies and of calls in thought."""
