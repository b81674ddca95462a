-- The tenants that chose how long what comes for them is kept: a prune reads those alone. A program that does not know
-- the choice would keep all for longer, and drop it with the next change of the settings: it refuses the file.
CREATE INDEX report_settings_retention ON report_settings (tenant)
	WHERE json_extract(CAST(body AS TEXT), '$.retention') IS NOT NULL;
