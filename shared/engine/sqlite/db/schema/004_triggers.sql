-- body: the trigger as JSON.
CREATE TABLE triggers (
	tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- Tenants that got the triggers of a new account.
CREATE TABLE triggers_seeded (tenant TEXT PRIMARY KEY) WITHOUT ROWID;

-- What triggers with a threshold remember.
CREATE TABLE trigger_states (
	tenant TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
