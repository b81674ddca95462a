-- failing: integration.Failing as JSON; NULL while the integration works.
ALTER TABLE integrations ADD COLUMN failing BLOB;

-- When the attempts of a counter ended, in milliseconds, 0 = none; and the answer to the last failure.
ALTER TABLE counters ADD COLUMN first_failure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN last_failure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN last_success INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN status INTEGER NOT NULL DEFAULT 0;
ALTER TABLE counters ADD COLUMN words TEXT NOT NULL DEFAULT '';
