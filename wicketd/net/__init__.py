"""Everything that leaves the host goes through one guarded door."""
