"""The members' web pages: server-rendered HTML without scripts, beside `/mcp` on its listener."""
