-- held: 1 of a delivery that quiet hours or a mute hold until due, 0 of one that waits for its batch window.
ALTER TABLE gathering ADD COLUMN held INTEGER NOT NULL DEFAULT 0;

-- What was held and is carried by the delivery into_id since; body as it was.
CREATE TABLE merged (
	ref INTEGER NOT NULL, id TEXT NOT NULL, into_id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, id)
) WITHOUT ROWID;
