package destinationtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
	"tocsin/shared/notification"
	"tocsin/shared/wording"
)

// kindsOfDigest are those of the golden files: a kind that is new changes none of them.
var kindsOfDigest = []event.Kind{event.NewHits, event.Vuln, event.SecurityIssue, event.CreateUser, event.UpdateUser,
	event.DeleteUser, event.NewScopeIPs, event.NewScopeDomains, event.NewScopeServices, event.CreateApplication,
	event.UpdateApplication, event.IntegrationBroken, event.IntegrationFailing, event.RuleCreate, event.TriggerCreate}

// digested are events of several kinds, applications, sources and times, as one of the days of a busy tenant has them.
func digested(l wording.Language) []notification.Notification {
	var out []notification.Notification
	for n := range 12 {
		for _, e := range Events() {
			often := e.Kind == event.NewHits || e.Kind == event.Vuln || n%4 == 0
			if !slices.Contains(kindsOfDigest, e.Kind) || !often {
				continue
			}
			e.ID = fmt.Sprintf("%s-%d", e.ID, n)
			e.Time = Now.Add(time.Duration(n-11) * 7 * time.Minute)
			out = append(out, notification.Notification{Event: e, Platform: Platform, Language: l,
				Zone: time.UTC})
		}
	}
	return out
}

// digest compares the one message of many events with a file, in each language, and sees that it keeps to the limits
// whatever the events hold. Machines are sent no digest.
func digest(t *testing.T, c Case) {
	const path = "/integrations/01GTD8R4000000000000000001/deliveries/01GTD8R400000000000000TEST"
	var all bytes.Buffer
	for _, l := range wording.Languages() {
		for _, reason := range []string{"quiet", "mute", "group", "storm", "fallback"} {
			n := notification.Together(reason, "01GTD8R400000000000000TEST", path, digested(l))
			rs := Encode(t, c, n)
			require.NotEmpty(t, rs)
			require.Equal(t, rs, Encode(t, c, notification.Together(reason, "01GTD8R400000000000000TEST", path,
				digested(l))), "the same events give the same message")
			for _, r := range rs {
				require.LessOrEqual(t, r.Holds, 1, "it is one notification")
				c.check(t, r)
			}
			if reason == "quiet" {
				fmt.Fprintf(&all, "== %s ==\n%s\n", l, dump(rs))
			}
		}
	}
	Golden(t, filepath.Join("testdata", "digest.golden"), all.Bytes())
	for _, s := range Hostile() {
		for _, r := range Encode(t, c, notification.Together("storm", "d", path, HostileNotifications(s))) {
			c.check(t, r)
		}
	}
	long := `{"object_id":1,"vuln":{"title":"` + string(bytes.Repeat([]byte("長"), 1000)) + `","threat":"High"}}`
	var many []notification.Notification
	for n := range 1000 {
		many = append(many, notification.Notification{Platform: Platform, Event: event.Event{ID: fmt.Sprint(n),
			Tenant: "42", ClientName: "Acme", Kind: event.Vuln, Time: Now, Data: json.RawMessage(long)}})
	}
	for _, r := range Encode(t, c, notification.Together("storm", "d", path, many)) {
		c.check(t, r)
	}
}
