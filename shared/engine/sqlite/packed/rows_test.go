package packed

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
)

func TestARowOfAnOlderReleaseIsRead(t *testing.T) {
	at := time.Unix(1677628800, 5).UTC()
	// Layout 1, as it was written: one event, two requests that had arrived at revision 7.
	b := []byte{1}
	b = binary.AppendUvarint(b, 1)
	b = binary.AppendVarint(b, 300)
	b = binary.AppendUvarint(b, 1)
	b = appendText(b, "create_user")
	b = binary.AppendUvarint(b, 3)
	b = binary.AppendUvarint(b, 2)
	b = binary.AppendVarint(b, 7)
	b = appendText(b, "answered 503")
	b = binary.AppendUvarint(b, 1)
	b = binary.AppendVarint(b, at.UnixNano())
	b = append(b, 0, 0, 0)
	b = binary.AppendUvarint(b, 503<<1)
	b = appendText(b, "answered 503")
	b = appendText(b, "busy")

	want := delivery.Delivery{
		Count: 1, Kinds: []event.Kind{event.CreateUser}, Failures: 3, Reason: "answered 503",
		Attempts: []delivery.Attempt{{At: at, Status: 503, Reason: "answered 503", Answer: "busy"}},
	}
	var got delivery.Delivery
	seqs, err := Decode(b, &got)
	require.NoError(t, err)
	require.Equal(t, []int64{300}, seqs)
	require.Equal(t, want, got)

	var again delivery.Delivery
	_, err = Decode(Encode(got, seqs), &again)
	require.NoError(t, err)
	require.Equal(t, want, again)

	// layout 2 ended with the parts, layout 3 with the digest, layout 4 with what holds it
	for version, less := range map[byte]int{2: 3, 3: 2, 4: 1} {
		older := Encode(got, seqs)
		older = older[:len(older)-less]
		older[0] = version
		var read delivery.Delivery
		_, err = Decode(older, &read)
		require.NoError(t, err)
		require.Equal(t, want, read)
	}

	for _, bad := range [][]byte{nil, {0}, {gathersVersion + 1}, b[:len(b)-1], Encode(got, seqs)[:20]} {
		_, err := Decode(bad, &delivery.Delivery{})
		require.ErrorIs(t, err, ErrRow)
	}
}

func TestARowSaysUntilWhenWhatIsHeldGathers(t *testing.T) {
	at := time.Unix(1677628800, 5).UTC()
	plain := delivery.Delivery{Count: 1, Kinds: []event.Kind{event.CreateUser}, Digest: "group/5",
		Held: &delivery.Held{By: "quiet", Until: at.Add(time.Hour), Zone: "UTC", Merge: true, Gathers: at}}
	followed := plain
	followed.Attempts = []delivery.Attempt{{At: at, Status: 200, Followed: &delivery.Followed{Reference: "SEC-1"}}}
	for _, d := range []delivery.Delivery{plain, followed} {
		row := Encode(d, []int64{300})
		require.Equal(t, byte(gathersVersion), row[0], "an older program does not take it for another")
		var read delivery.Delivery
		_, err := Decode(row, &read)
		require.NoError(t, err)
		require.Equal(t, d, read)
		for n := range row {
			_, err := Decode(row[:n], &delivery.Delivery{})
			require.ErrorIs(t, err, ErrRow)
		}
	}
}

func TestARowOfADeliveryThatFollowedWhatWasMade(t *testing.T) {
	at := time.Unix(1677628800, 5).UTC()
	plain := delivery.Delivery{Count: 1, Kinds: []event.Kind{event.CreateUser}, Attempts: []delivery.Attempt{
		{At: at, Status: 503, Reason: "answered 503", Answer: "busy"}}}
	require.Equal(t, byte(rowVersion), Encode(plain, []int64{300})[0],
		"an older program reads the others")
	followed := plain
	followed.Attempts = append([]delivery.Attempt{{At: at, Status: 200}}, plain.Attempts...)
	followed.Attempts[0].Followed = &delivery.Followed{Reference: "SEC-1"}
	newer := Encode(followed, []int64{300})
	require.Equal(t, byte(followedVersion), newer[0])
	var read delivery.Delivery
	_, err := Decode(newer, &read)
	require.NoError(t, err)
	require.Equal(t, followed, read)
	for n := range newer {
		_, err := Decode(newer[:n], &delivery.Delivery{})
		require.ErrorIs(t, err, ErrRow, n)
	}
}
