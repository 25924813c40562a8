"""Requests and answers of the admin API, one module a resource."""
