-- Erasures of tenants that the API was asked for. body: erasure.Job as JSON; due: Unix nanoseconds, NULL when it is over;
-- forget: Unix seconds, NULL while it is not. It is no row of the tenant's.
CREATE TABLE erasures (
	tenant TEXT PRIMARY KEY, revision INTEGER NOT NULL, due INTEGER, forget INTEGER, body BLOB NOT NULL
) WITHOUT ROWID;
