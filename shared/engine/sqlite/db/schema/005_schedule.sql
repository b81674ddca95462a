-- since: when the receiver subscribed, Unix nanoseconds, 0 = before this column was there. done: the last day of the newest
-- period that it got, '' for none. due 0 = look at it now.
ALTER TABLE report_due ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE report_due ADD COLUMN done TEXT NOT NULL DEFAULT '';
