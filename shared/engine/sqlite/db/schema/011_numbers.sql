-- Numbers by which clients of the platform's own API know integrations and triggers. last: the newest of its kind. One
-- that has none yet (an older release made it, or it is a trigger of a new account) gets its own when it is asked for.
CREATE TABLE numbers (kind TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE integrations ADD COLUMN number INTEGER;
CREATE UNIQUE INDEX integrations_number ON integrations (number) WHERE number IS NOT NULL;
ALTER TABLE triggers ADD COLUMN number INTEGER;
CREATE UNIQUE INDEX triggers_number ON triggers (number) WHERE number IS NOT NULL;
