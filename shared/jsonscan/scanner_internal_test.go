package jsonscan

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Eight characters at a time are the same as one after the other: each character at each place, beside each other.
func TestVerbatimCharactersAreCountedAsOneByOne(t *testing.T) {
	oneByOne := func(text string) int {
		for n := range len(text) {
			if !verbatim[text[n]] {
				return n
			}
		}
		return len(text)
	}
	for c := range 256 {
		for at := range 20 {
			for _, beside := range []byte{' ', '!', '#', '[', ']', 0x7f, byte(c)} {
				text := make([]byte, 20)
				for n := range text {
					text[n] = beside
				}
				text[at] = byte(c)
				require.Equal(t, oneByOne(string(text)), verbatimPrefix(string(text)), "%q", text)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		text := make([]byte, r.IntN(40))
		for n := range text {
			if text[n] = byte(' ' + r.IntN(96)); r.IntN(12) == 0 {
				text[n] = byte(r.IntN(256))
			}
		}
		require.Equal(t, oneByOne(string(text)), verbatimPrefix(string(text)), "%q", text)
	}
}
