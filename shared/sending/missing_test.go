package sending_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/wording"
)

func TestADeliveryWhoseEventsAreGoneIsNeverToldAsDelivered(t *testing.T) {
	ok := destination.Response{Status: 200, Body: []byte("ok")}
	for name, c := range map[string]struct {
		left, asked int
		digest, ja  string
		reason      string
	}{
		"all are": {0, 0, "", "送信できるものがありません。この配信のイベントの保管期間は終わりました",
			"nothing could be sent: the events of this delivery are kept no longer"},
		"all of a digest are": {0, 0, delivery.DigestQuiet,
			"送信できるものがありません。この配信のイベントの保管期間は終わりました",
			"nothing could be sent: the events of this delivery are kept no longer"},
		"some are": {2, 2, "", "",
			"6 of 8 events are kept no longer and were not sent; the others arrived"},
		"some of a digest are": {5, 1, delivery.DigestQuiet,
			"イベント 8 件のうち 3 件は、保管期間が終わったため送信されませんでした。残りは届きました",
			"3 of 8 events are kept no longer and were not sent; the others arrived"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMany(slackAs, ok)
			d := m.digest(8)
			d.Events, d.Digest = d.Events[:c.left], c.digest
			d = m.try(t, d)
			require.Equal(t, delivery.Dead, d.State)
			require.Contains(t, d.Reason, c.reason)
			require.Len(t, m.requests, c.asked)
			if c.ja != "" {
				require.Equal(t, c.ja, wording.In(wording.Japanese, d.Reason))
			}
			if c.left > 1 && c.digest != "" {
				require.Contains(t, string(m.requests[0].Body), "3 more, which are kept no longer")
				previews, err := m.Preview(t.Context(), m.opener, m.integration, d)
				require.NoError(t, err)
				require.Equal(t, string(m.requests[0].Body), previews[0].Body)
			}
		})
	}
}

func TestADeliveryOfWhichOnlySomeIsLeftIsTriedAgainAsAnyOther(t *testing.T) {
	m := newMany(slackAs, destination.Response{Status: 503}, destination.Response{Status: 200, Body: []byte("ok")})
	d := m.digest(8)
	d.Events = d.Events[:5]
	d = m.try(t, d)
	require.Equal(t, delivery.Retrying, d.State)
	d = m.try(t, d)
	require.Equal(t, delivery.Dead, d.State)
}
