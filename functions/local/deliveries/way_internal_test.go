package deliveries

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/client"
)

// A delivery that was held was shown as pending with a time, and without what held it.
func TestWhatHoldsADeliveryAndWhereItComesFromIsShown(t *testing.T) {
	at := time.Date(2026, 3, 1, 15, 0, 0, 0, time.Local)
	yes, other := true, "01GTD8R4000000000000000003"
	for _, by := range []struct {
		by    client.HeldViewBy
		words string
	}{{client.HeldViewByQuiet, "by quiet hours"}, {client.HeldViewByMute, "by a mute"},
		{client.HeldViewByFallback, "for what else falls back within the minute"}} {
		d := client.DeliveryDetail{State: client.DeliveryDetailStatePending,
			Held: &client.HeldView{By: by.by, Until: at}}
		require.Contains(t, said(d), "\nheld         "+by.words+" until 2026-03-01 15:00:00\n")
		d.State, d.Held.Account = client.DeliveryDetailStateDelivered, &yes
		require.Contains(t, said(d),
			"\nheld         "+by.words+" of the account, at the latest until 2026-03-01 15:00:00\n")
		row := client.LogView{State: client.LogViewStatePending, Held: &client.HeldView{By: by.by, Until: at}}
		require.True(t, strings.HasSuffix(Row(row), "\theld "+by.words+" until 2026-03-01 15:00:00"), Row(row))
	}
	digests := map[string]bool{}
	for _, digest := range []client.DeliveryDetailDigest{client.DeliveryDetailDigestFallback,
		client.DeliveryDetailDigestGroup, client.DeliveryDetailDigestMute, client.DeliveryDetailDigestQuiet,
		client.DeliveryDetailDigestStorm} {
		text := said(client.DeliveryDetail{Count: 7, Digest: &digest})
		require.Regexp(t, `\none message  of 7 events: \w+`, text)
		digests[text] = true
	}
	require.Len(t, digests, 5)
	require.Contains(t, said(client.DeliveryDetail{From: &client.FromView{Name: "On call", IntegrationId: "I",
		DeliveryId: &other, Reason: "answered 400"}}), "\nfrom         On call (I), delivery "+other+": answered 400\n")
	require.Contains(t, said(client.DeliveryDetail{Fallback: &client.FallbackView{IntegrationId: "I",
		DeliveryId: &other}}), "\nfallback     I, delivery "+other+"\n")
	for _, why := range []client.FallbackViewWhy{client.FallbackViewWhyDeleted, client.FallbackViewWhyDirect,
		client.FallbackViewWhyDisabled, client.FallbackViewWhyOnce} {
		require.Regexp(t, `\nfallback     I: its events went nowhere else, because \w+`,
			said(client.DeliveryDetail{Fallback: &client.FallbackView{IntegrationId: "I", Why: &why}}))
	}
}

func said(d client.DeliveryDetail) string {
	var out strings.Builder
	tell(&out, client.LogTarget{Id: "I", Name: "Ops"}, d)
	return out.String()
}
