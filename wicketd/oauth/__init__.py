"""Wicket as an OAuth client: pure builders and checkers, and the one module that runs them."""
