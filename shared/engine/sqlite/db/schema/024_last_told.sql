-- A body of object_references says which event of the object was told last, and how far several deliveries came. A
-- program that does not know it would drop that with the next event, and send an opening behind its closing: it refuses
-- the file. Nothing else changes.
SELECT 1;
