-- The record for reports: see package report. day is of the tenant's zone, as 2006-01-02.
CREATE TABLE report_counts (
	tenant TEXT NOT NULL, day TEXT NOT NULL, dimension TEXT NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL,
	PRIMARY KEY (tenant, day, dimension, value)
) WITHOUT ROWID;
-- how many rows a bounded part of a day has: a dimension, or a table
CREATE TABLE report_sizes (tenant TEXT NOT NULL, day TEXT NOT NULL, part TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (tenant, day, part)) WITHOUT ROWID;
-- body: JSON
CREATE TABLE report_attacks (
	tenant TEXT NOT NULL, day TEXT NOT NULL, key BLOB NOT NULL, hits INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, day, key)
) WITHOUT ROWID;
CREATE TABLE report_incidents (tenant TEXT NOT NULL, day TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, day, id)) WITHOUT ROWID;
CREATE TABLE report_vulnerabilities (tenant TEXT NOT NULL, day TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, day, id)) WITHOUT ROWID;

CREATE TABLE report_settings (tenant TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE reports (
	tenant TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX reports_at ON reports (tenant, at);
CREATE INDEX reports_waiting ON reports (at) WHERE state = 'waiting';
CREATE TABLE report_files (seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, report TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX report_files_name ON report_files (tenant, report, name);

-- due: Unix nanoseconds, 0 = never scheduled. Rows follow integrations and people.
CREATE TABLE report_due (tenant TEXT NOT NULL, receiver TEXT NOT NULL, frequency TEXT NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (tenant, receiver, frequency)) WITHOUT ROWID;
CREATE INDEX report_due_due ON report_due (due);
INSERT INTO report_due
	SELECT i.tenant, i.id, substr(json_extract(s.value, '$.event'), 8), 0
	FROM integrations i, json_each(CAST(i.body AS TEXT), '$.Subscriptions') s
	WHERE json_extract(CAST(i.body AS TEXT), '$.Off') IS NULL AND json_extract(s.value, '$.event') IN ('report_daily', 'report_weekly', 'report_monthly');

-- body: JSON, see package profile
CREATE TABLE people (tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, id)) WITHOUT ROWID;
-- body: JSON, see package mail
CREATE TABLE mail_blocks (tenant TEXT NOT NULL, address TEXT NOT NULL, integration TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (tenant, address, integration)) WITHOUT ROWID;
