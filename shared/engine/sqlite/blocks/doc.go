// Package blocks keeps deliveries that need no row of their own: those that were never held and went well, or have not
// been tried yet. A block is up to 64 deliveries that one fan-out made for one integration, in one row. What came of
// them is written as one row for each block and settlement. A delivery that fails, or is sent again, gets a row of its
// own in the tables of package deliveries; its block says only that it moved, for good.
//
// The ids of a block are greater than those of every earlier block of its integration, so that an id can be in one
// block only, which is found by the key, and lists are read block by block. What comes with a lesser id (it shares its
// millisecond with the end of the last block, or the clock went back) gets a row of its own. So does what comes alone:
// three small rows for one delivery cost more than one that is moved.
//
// Which deliveries of a block wait stands in open_blocks, a number with a bit for each: a settlement changes 40 bytes
// and not the block, a lease reads no outcomes, and a start reads nothing at all. Blocks are found and searched in the
// same transaction as the tables of deliveries: a delivery moves from the one to the other.
package blocks
