-- The people of the embedded mode. address: how people are told apart; body: the person as JSON.
CREATE TABLE IF NOT EXISTS accounts (
	tenant TEXT NOT NULL, address TEXT NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
	PRIMARY KEY (tenant, address)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accounts_address ON accounts (address);

-- Sign-in links. digest: SHA-256 of the code; expires, used: Unix nanoseconds, used 0 = not used.
CREATE TABLE IF NOT EXISTS sign_in_links (
	digest BLOB NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, address TEXT NOT NULL, expires INTEGER NOT NULL,
	used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sign_in_links_person ON sign_in_links (tenant, address);
CREATE INDEX IF NOT EXISTS sign_in_links_old ON sign_in_links (expires);
