-- When triggers went off: a row for each trigger and batch of events. body: trigger.Firings as JSON.
CREATE TABLE trigger_firings (
	tenant TEXT NOT NULL, trigger_id TEXT NOT NULL, place TEXT NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, trigger_id, place)
) WITHOUT ROWID;
