"""Handlers of the admin API, one module a resource: each calls one use case and maps its answer."""
