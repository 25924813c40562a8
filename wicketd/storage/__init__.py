"""SQLite and the only SQL: the database (`db`); per table group, functions that build queries."""
