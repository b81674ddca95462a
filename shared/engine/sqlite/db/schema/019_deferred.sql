-- Events that do not stand in the line of the table events yet, because their tenant has many there. See
-- eventbus/turns.go.
CREATE TABLE deferred (
	n INTEGER PRIMARY KEY, tenant TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, detail BLOB NOT NULL, trace TEXT
);
CREATE INDEX deferred_tenant ON deferred (tenant, n);
