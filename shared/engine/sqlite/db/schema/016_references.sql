-- What systems call the things that were made of objects. body: sending.Reference as JSON; expires: Unix seconds.
CREATE TABLE object_references (
	tenant TEXT NOT NULL, integration TEXT NOT NULL, object TEXT NOT NULL, version INTEGER NOT NULL,
	expires INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, integration, object)
) WITHOUT ROWID;
