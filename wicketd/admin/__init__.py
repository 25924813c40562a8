"""The admin surface: one ASGI app on the Unix socket, dispatched over the contract's table."""
