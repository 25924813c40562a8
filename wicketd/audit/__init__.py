"""The chained audit log: bodies, hashes, checkpoints, verification, redaction, export."""
