-- tenant: whose mail it is, '' = it was kept before this column and did not say: nobody is shown it.
ALTER TABLE mails ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE mails SET tenant = coalesce(json_extract(CAST(body AS TEXT), '$.Tenant'), '') WHERE json_valid(CAST(body AS TEXT));
CREATE INDEX mails_of ON mails (tenant, seq);
