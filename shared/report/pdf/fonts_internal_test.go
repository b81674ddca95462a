package pdf

import (
	"encoding/binary"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The checksums are those that the font's makers wrote (OpenType 1.9, "Calculating checksums").
func TestTheFontsTablesAreAsTheirMakersWroteThem(t *testing.T) {
	entries, err := files.ReadDir("fonts")
	require.NoError(t, err)
	require.Len(t, entries, len(cuts)+boldCuts)
	for _, e := range entries {
		name := strings.TrimSuffix(path.Base(e.Name()), ".ttf.zst")
		raw, err := unpacked(name)
		require.NoError(t, err, name)
		n := int(binary.BigEndian.Uint16(raw[4:]))
		require.Greater(t, n, 9, name)
		for i := range n {
			entry := raw[12+16*i:]
			tag, sum := string(entry[:4]), binary.BigEndian.Uint32(entry[4:])
			begins, size := binary.BigEndian.Uint32(entry[8:]), binary.BigEndian.Uint32(entry[12:])
			var found uint32
			for at := begins; at < begins+size; at += 4 {
				if tag != "head" || at != begins+8 { // the sum of the whole, which counts as nothing
					found += binary.BigEndian.Uint32(raw[at:]) // tables are filled with zeros to four bytes
				}
			}
			require.Equal(t, sum, found, "%s: table %s", name, tag)
		}
	}
}
