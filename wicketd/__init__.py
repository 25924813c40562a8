"""Wicket's headless daemon: an authorization proxy between MCP clients and MCP servers."""

__version__ = "0.1.0"
