-- What lists find integrations by and count, beside the integrations: a page reads only those that are on it.
CREATE INDEX integrations_outlines ON integrations (
	tenant, id, json_extract(CAST(body AS TEXT), '$.System'), json_extract(CAST(body AS TEXT), '$.Name'),
	json_extract(CAST(body AS TEXT), '$.Off') IS NULL, failing IS NOT NULL
);
