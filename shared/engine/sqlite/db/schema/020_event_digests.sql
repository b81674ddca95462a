-- Which events count: a digest of tenant and id for each, in the order of the events; see package eventids. first: the
-- number of the first event in the row. event_ids keeps the ids that an earlier release wrote until their events are
-- removed.
CREATE TABLE event_digests (first INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- The filters of a generation (first >> 20) to which nothing more will be added.
CREATE TABLE event_filters (generation INTEGER PRIMARY KEY, seen BLOB NOT NULL, parts BLOB NOT NULL);
