"""What a member pastes into an MCP client. Never holds a key: clients read it from WICKET_KEY.

Source: protocol specification, section 9.
"""

from collections.abc import Mapping
from typing import Final

KEY_VARIABLE: Final = "WICKET_KEY"
CLIENTS: Final = (
    "claude-code",
    "claude-code-json",
    "vscode",
    "cursor",
    "claude-desktop",
    "codex",
    "codex-toml",
)


def snippets(url: str) -> Mapping[str, str]:
    """The set-up of each client for `url`, the full address of `/mcp`."""
    plain_http = '"--allow-http",' if url.startswith("http://") else ""
    return {
        "claude-code": (
            f"claude mcp add --transport http wicket {url} "
            f'--header "Authorization: Bearer ${KEY_VARIABLE}"'
        ),
        "claude-code-json": (
            f'{{"mcpServers":{{"wicket":{{"type":"http","url":"{url}",'
            f'"headers":{{"Authorization":"Bearer ${{{KEY_VARIABLE}}}"}}}}}}}}'
        ),
        "vscode": (
            f'{{"servers":{{"wicket":{{"type":"http","url":"{url}",'
            '"headers":{"Authorization":"Bearer ${input:wicket-key}"}}},'
            '"inputs":[{"type":"promptString","id":"wicket-key","description":"key",'
            '"password":true}]}'
        ),
        "cursor": (
            f'{{"mcpServers":{{"wicket":{{"url":"{url}",'
            f'"headers":{{"Authorization":"Bearer ${{env:{KEY_VARIABLE}}}"}}}}}}}}'
        ),
        "claude-desktop": (
            '{"mcpServers":{"wicket":{"command":"npx","args":["-y","mcp-remote@0.15.1",'
            f'"{url}",{plain_http}"--header","Authorization:${{AUTH}}"],'
            '"env":{"AUTH":"Bearer YOUR_MEMBER_KEY"}}}}'
        ),
        "codex": f"codex mcp add wicket --url {url} --bearer-token-env-var {KEY_VARIABLE}",
        "codex-toml": (
            f'[mcp_servers.wicket]\nurl = "{url}"\nbearer_token_env_var = "{KEY_VARIABLE}"'
        ),
    }


PLACES: Final[Mapping[str, str]] = {
    "claude-code": "Claude Code, once in a shell",
    "claude-code-json": "Claude Code, .mcp.json",
    "vscode": "VS Code, .vscode/mcp.json",
    "cursor": "Cursor, ~/.cursor/mcp.json",
    "claude-desktop": "Claude Desktop, claude_desktop_config.json",
    "codex": "Codex, once in a shell",
    "codex-toml": "Codex, ~/.codex/config.toml",
}
"""Where each snippet goes."""
