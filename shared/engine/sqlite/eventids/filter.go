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
	// generationParts is how many parts a generation has: as many as a word has bits.
	generationParts = 1 << (generationBits - partBits)
)

// mixed is another number of which each bit depends on the whole digest (a multiplicative hash, Knuth 6.4).
func mixed(digest uint64) uint64 {
	digest ^= digest >> 32
	return digest * 0x9E3779B97F4A7C15
}

// The first filter: a Bloom filter in blocks. All bits of a digest are in one line of the processor's cache.
const (
	seenBytes  = 10 << generationBits / 8 // 10 bits for each event
	blockBytes = 64
	seenProbes = 5
)

type seen []byte

// block is where the digest's bits are, and the number that gives them: 9 bits of it for one of 512.
func (f seen) block(digest uint64) ([]byte, uint64) {
	at := int(digest>>32*(seenBytes/blockBytes)>>32) * blockBytes
	return f[at : at+blockBytes : at+blockBytes], mixed(digest)
}

func (f seen) add(digest uint64) {
	block, draw := f.block(digest)
	for range seenProbes {
		block[draw>>55/8] |= 1 << (draw >> 55 % 8)
		draw <<= 9
	}
}

func (f seen) has(digest uint64) bool {
	block, draw := f.block(digest)
	for range seenProbes {
		if block[draw>>55/8]&(1<<(draw>>55%8)) == 0 {
			return false
		}
		draw <<= 9
	}
	return true
}

// The second filter: 64 Bloom filters, of a part each, side by side. A word has the bits of one place of all of them.
const (
	partWords  = 3 << (partBits + 2) // 12 bits for each event of a part
	partsBytes = 8 * partWords
	partProbes = 7
)

type parts []byte

func (f parts) word(draw uint32) []byte {
	at := int(uint64(draw)*partWords>>32) * 8
	return f[at : at+8 : at+8]
}

// draws calls for each place of a digest.
func draws(digest uint64, visit func(draw uint32) (on bool)) {
	a, b := uint32(mixed(digest)), uint32(mixed(^digest)>>32)|1
	for range partProbes { // double hashing (Kirsch and Mitzenmacher, 2006)
		if !visit(a) {
			return
		}
		a += b
	}
}

func (f parts) add(part int64, digest uint64) {
	draws(digest, func(draw uint32) bool {
		f.word(draw)[part/8] |= 1 << (part % 8)
		return true
	})
}

// of are the parts that may have a digest, a bit for each.
func (f parts) of(digest uint64) uint64 {
	out := ^uint64(0)
	draws(digest, func(draw uint32) bool {
		out &= binary.LittleEndian.Uint64(f.word(draw))
		return out != 0
	})
	return out
}
