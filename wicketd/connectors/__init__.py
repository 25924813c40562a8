"""Connector files: which MCP servers there are, how members sign in, which tier each tool has."""
