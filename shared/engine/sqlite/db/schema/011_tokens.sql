-- API tokens. digest: of the secret. expires: Unix nanoseconds, 0 = never. quiet: 1 = revoked, or its people were told
-- that it expires. used: when it was last used, Unix nanoseconds, 0 = never. forget: when the row may go, 0 = never.
-- body: the token as JSON, but for its last use.
CREATE TABLE tokens (
	digest BLOB PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
	expires INTEGER NOT NULL, quiet INTEGER NOT NULL, used INTEGER NOT NULL, forget INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX tokens_id ON tokens (tenant, id);
CREATE INDEX tokens_expires ON tokens (expires) WHERE expires > 0 AND quiet = 0;
CREATE INDEX tokens_forget ON tokens (forget) WHERE forget > 0;

-- Which tenants are linked to a technical tenant. body: the link as JSON.
CREATE TABLE tenant_links (
	technical TEXT NOT NULL, tenant TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (technical, tenant)
) WITHOUT ROWID;
