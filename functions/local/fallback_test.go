package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// fallbackKills is how often the program is killed while deliveries die and fall back.
const fallbackKills = 8

func TestKillsWhileDeliveriesDieMakeEachFallbackOnce(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	got := &seen{deliveries: map[string]map[string]bool{}}
	host := twoReceivers(t, got)
	state := t.TempDir()
	start := func() *embedded.Process {
		p, err := embedded.Start(binary, state, "-allow", host, "-faster", "2000", "-log-level", "error")
		require.NoError(t, err)
		return p
	}
	p := start()
	add := func(path, fallback string, events []map[string]any) (id string) {
		var made struct{ ID string }
		require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{
			"system": "web_hooks", "name": path, "events": events, "fallback": fallback,
			"parameters": map[string]any{"url": "http://" + host + "/" + path, "max_events": 7},
		}, &made))
		return made.ID
	}
	down := add("down", add("up", "", nil), []map[string]any{{"event": "siem"}})
	var acknowledged []string
	for round := range fallbackKills {
		acknowledged = append(acknowledged, load(p, round, 0, time.Duration(20+rand.IntN(40))*time.Millisecond)...)
		p = start()
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // deliveries die
		p.Kill()
		p = start()
	}
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	require.NotEmpty(t, acknowledged)
	var rest struct{ Items []struct{ ID string } }
	require.Eventually(t, func() bool {
		for _, s := range []string{"pending", "retrying"} {
			if p.Call(http.MethodGet, "/v1/integrations/"+down+"/deliveries?state="+s, nil, &rest) != nil ||
				len(rest.Items) > 0 {
				return false
			}
		}
		return len(got.missing(acknowledged)) == 0
	}, 3*time.Minute, 200*time.Millisecond, "what died never arrived at the fallback")

	got.mu.Lock()
	defer got.mu.Unlock()
	for id, by := range got.deliveries {
		require.Len(t, by, 1, "event %s came to the fallback under several ids", id)
	}
	eachNamesAnother(t, p, down)
	t.Log(fmt.Sprint(len(acknowledged)), "events acknowledged over", 2*fallbackKills, "kills")
}

// twoReceivers are one that is always down and one that takes what it gets.
func twoReceivers(t *testing.T, up http.Handler) (host string) {
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	mux.Handle("/up", up)
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return host
}

// eachNamesAnother looks at the dead deliveries of an integration.
func eachNamesAnother(t *testing.T, p *embedded.Process, integration string) {
	var dead struct {
		Items []struct {
			ID       string
			Fallback struct {
				Delivery string `json:"delivery_id"`
			}
		}
	}
	require.NoError(t, p.Call(http.MethodGet, "/v1/integrations/"+integration+"/deliveries?state=dead&limit=1000", nil,
		&dead))
	require.NotEmpty(t, dead.Items)
	for _, d := range dead.Items {
		require.NotEmpty(t, d.Fallback.Delivery, "%s died and names no other", d.ID)
	}
}
