-- What became of commands: 0 pending, 1 acknowledged, 2 failed, 3 lifted; overdue: it was found that nobody took it in time.
ALTER TABLE commands RENAME COLUMN acknowledged TO state;
ALTER TABLE commands ADD COLUMN overdue INTEGER NOT NULL DEFAULT 0;
CREATE INDEX commands_waiting ON commands (place) WHERE state = 0 AND overdue = 0;

-- The kinds of commands that nobody takes and that the tenant was told of, until a time in Unix nanoseconds. body: the first such command.
CREATE TABLE commands_untaken (
	tenant TEXT NOT NULL, kind TEXT NOT NULL, until INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, kind)
) WITHOUT ROWID;
