"""The audit log: chained rows, signed checkpoints, verification, redaction, export."""
