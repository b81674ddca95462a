-- The activity log. place: when, and the id of the entry. person: who did it, "" for Tocsin itself. object: the type of
-- what was changed. body: the entry as JSON.
CREATE TABLE IF NOT EXISTS activity (
	tenant TEXT NOT NULL, place TEXT NOT NULL, person TEXT NOT NULL, object TEXT NOT NULL, object_id TEXT NOT NULL,
	action TEXT NOT NULL, source TEXT NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS activity_person ON activity (tenant, person, place);
CREATE INDEX IF NOT EXISTS activity_object ON activity (tenant, object_id, place);
CREATE INDEX IF NOT EXISTS activity_old ON activity (place);
