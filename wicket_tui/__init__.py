"""The terminal client of wicketd: knows nothing but the admin contract."""
