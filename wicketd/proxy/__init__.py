"""MCP: the front towards clients, the call path and the client towards upstreams."""
