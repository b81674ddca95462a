-- Deliveries that need no row of their own: see package blocks. body: of up to 64 deliveries of one fan-out to one
-- integration, with ids from first to last; no two blocks of an integration overlap.
CREATE TABLE blocks (
	ref INTEGER NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (ref, first)
) WITHOUT ROWID;
-- Blocks with deliveries that wait: n of them, each a bit of open by its place in the block.
CREATE TABLE open_blocks (
	ref INTEGER NOT NULL, first TEXT NOT NULL, n INTEGER NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (ref, first)
) WITHOUT ROWID;
-- What came of deliveries of a block in one settlement, after which still_open of it waited on. delivered: how many of
-- them were; the others have rows of their own, or had.
CREATE TABLE outcomes (
	ref INTEGER NOT NULL, first TEXT NOT NULL, still_open INTEGER NOT NULL, delivered INTEGER NOT NULL,
	body BLOB NOT NULL, PRIMARY KEY (ref, first, still_open)
) WITHOUT ROWID;
