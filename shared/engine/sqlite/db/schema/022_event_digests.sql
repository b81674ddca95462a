-- Which events count: a digest of tenant and id for each. part: seq >> 14; see package eventids. event_ids keeps the ids
-- that an earlier release wrote until their events are removed.
CREATE TABLE event_digests (
	part INTEGER NOT NULL, digest INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (part, digest, seq)
) WITHOUT ROWID;

-- The filter of a generation (seq >> 20) to which nothing more will be added.
CREATE TABLE event_filters (generation INTEGER PRIMARY KEY, bits BLOB NOT NULL);
