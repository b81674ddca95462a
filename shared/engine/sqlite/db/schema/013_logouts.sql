-- What the identity provider names when it ends sessions: session.Session.Logouts. digest: of the session's cookie.
CREATE TABLE session_logouts (
	logout TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (logout, digest)
) WITHOUT ROWID;
CREATE INDEX session_logouts_digest ON session_logouts (digest);
CREATE TRIGGER sessions_ended AFTER DELETE ON sessions BEGIN
	DELETE FROM session_logouts WHERE digest = OLD.digest;
END;
