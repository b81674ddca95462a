package eventids

import (
	"crypto/sha256"
	"encoding/binary"
)

// digestOf is the digest of an id of a tenant. Its bits are as good as random, whatever a tenant chooses for an id.
func digestOf(tenant, id string) uint64 {
	var room [128]byte
	b := binary.AppendUvarint(room[:0], uint64(len(tenant)))
	b = append(append(b, tenant...), id...)
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:])
}

const (
	// partBits: an event's part is its number without so many bits.
	partBits = 14
	// generationBits: its generation likewise.
	generationBits = 20
	// filterBytes is the size of a generation's filter: 16 bits for each of its events.
	filterBytes = 2 << generationBits
	// blockBytes is what one digest sets bits in: a line of the processor's cache.
	blockBytes = 64
	// probes is how many bits a digest sets.
	probes = 7
)

// filter is a Bloom filter in blocks: all bits of a digest are in one.
type filter []byte

func newFilter() filter { return make(filter, filterBytes) }

// block is where the digest's bits are, and the number that gives them.
func (f filter) block(digest uint64) ([]byte, uint64) {
	const blocks = filterBytes / blockBytes // a power of two
	at := int(digest%blocks) * blockBytes
	// A bit of 512 takes 9 of the number's, and 49 are left: a multiplication makes 64 of them.
	return f[at : at+blockBytes : at+blockBytes], (digest / blocks) * 0x9E3779B97F4A7C15
}

func (f filter) add(digest uint64) {
	block, draw := f.block(digest)
	for range probes {
		block[draw%blockBytes] |= 1 << (draw / blockBytes % 8)
		draw >>= 9
	}
}

func (f filter) has(digest uint64) bool {
	block, draw := f.block(digest)
	for range probes {
		if block[draw%blockBytes]&(1<<(draw/blockBytes%8)) == 0 {
			return false
		}
		draw >>= 9
	}
	return true
}
