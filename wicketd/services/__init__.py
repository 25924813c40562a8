"""Use cases: each checks, writes and audits in one transaction, then makes the change hold."""
