-- The span whose child the first one of an event is (trace.Parent); NULL where nobody decided, or nobody asked.
ALTER TABLE events ADD COLUMN trace TEXT;
