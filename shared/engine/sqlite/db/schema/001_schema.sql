CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO progress VALUES ('fanout', 0);

-- body: the integration as JSON, its secrets sealed.
CREATE TABLE integrations (
	tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

-- What the bus took, in its order; written once. Fan-out has passed every seq up to progress.fanout.
CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, detail BLOB NOT NULL);
CREATE TABLE event_ids (tenant TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE TABLE dead_letters (
	seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, detail BLOB NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX dead_letters_tenant ON dead_letters (tenant, seq);

-- ref: a short number for a tenant's integration.
CREATE TABLE lanes (ref INTEGER PRIMARY KEY, tenant TEXT NOT NULL, integration TEXT NOT NULL, UNIQUE (tenant, integration));

-- body: see deliveries/rows.go. A delivery is in exactly one of the three.
CREATE TABLE pending  (ref INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, id)) WITHOUT ROWID;
CREATE TABLE retrying (ref INTEGER NOT NULL, id TEXT NOT NULL, due INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, id)) WITHOUT ROWID;
CREATE INDEX retrying_due ON retrying (ref, due);
CREATE TABLE finished (ref INTEGER NOT NULL, id TEXT NOT NULL, dead INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, id)) WITHOUT ROWID;
CREATE INDEX finished_dead ON finished (ref, id) WHERE dead = 1;

CREATE TABLE counters (
	tenant TEXT NOT NULL, integration TEXT NOT NULL, window INTEGER NOT NULL, bucket INTEGER NOT NULL,
	attempts INTEGER NOT NULL, failures INTEGER NOT NULL,
	PRIMARY KEY (tenant, integration, window, bucket)
) WITHOUT ROWID;

CREATE TABLE mails (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL);
