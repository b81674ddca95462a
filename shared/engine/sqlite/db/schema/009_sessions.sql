-- Who is signed in. digest: of the cookie's id. person: as session.PersonOf. idle_end, ends: Unix nanoseconds.
-- body: the session as JSON.
CREATE TABLE sessions (
	digest TEXT PRIMARY KEY, tenant TEXT NOT NULL, person TEXT NOT NULL, idle_end INTEGER NOT NULL,
	ends INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_person ON sessions (tenant, person);
CREATE INDEX sessions_ends ON sessions (ends);

-- What is good once and was used: digest: of it. until: when it would have ended by itself, Unix nanoseconds.
CREATE TABLE used_once (digest TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
