-- Recorded decisions can be made again after the tools have changed: see `schemas` in schema.sql. Rows
-- from before have no entry here and stay unverified where their schema is not today's.
CREATE TABLE schemas (
    sha256   BLOB PRIMARY KEY NOT NULL CHECK (length(sha256) = 32),
    services BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tr_schemas_update BEFORE UPDATE ON schemas
BEGIN
    SELECT RAISE(ABORT, 'schemas are immutable');
END;
