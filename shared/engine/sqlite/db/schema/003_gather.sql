-- Pending deliveries whose batch window closes at due; size: bytes of their events. body: see deliveries/rows.go.
CREATE TABLE gathering (
	ref INTEGER NOT NULL, id TEXT NOT NULL, due INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, id)
) WITHOUT ROWID;
CREATE INDEX gathering_due ON gathering (ref, due);
