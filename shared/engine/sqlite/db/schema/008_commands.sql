-- What triggers asked of the platform. body: the command as JSON.
CREATE TABLE IF NOT EXISTS commands (
	tenant TEXT NOT NULL, id TEXT NOT NULL, place TEXT NOT NULL, trigger_id TEXT NOT NULL, acknowledged INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_place ON commands (tenant, place);
CREATE INDEX IF NOT EXISTS commands_old ON commands (place);

-- When dead letters were sent again, Unix nanoseconds; seq is theirs.
CREATE TABLE IF NOT EXISTS dead_letters_resent (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL);
