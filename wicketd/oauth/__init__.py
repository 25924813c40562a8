"""The client side of OAuth: pure builders and checkers, and the guarded requests that run them."""
