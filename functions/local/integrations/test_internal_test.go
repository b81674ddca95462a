package integrations

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/client"
	"tocsin/shared/step"
)

// A test said "failed: connected" of a host that it had not connected to.
func TestAStepThatFailedIsSaidInWordsOfItsOwn(t *testing.T) {
	failed := true
	for _, kind := range []step.Kind{step.Name, step.Address, step.Connected, step.Certificate, step.TLS, step.Reused,
		step.Sent, step.Answered, step.Credential} {
		words, known := stepWords[client.TestStepViewKind(kind)]
		require.True(t, known, kind)
		for n, s := range []client.TestStepView{{Kind: client.TestStepViewKind(kind)},
			{Kind: client.TestStepViewKind(kind), Failed: &failed}} {
			var out strings.Builder
			tell(&out, s)
			require.Equal(t, "  after 0 ms: "+words[n]+"\n", out.String())
		}
		require.Regexp(t, `\b(not|no)\b`, words[1])
		require.NotRegexp(t, `\b(not|no)\b`, words[0])
	}
	var out strings.Builder
	tell(&out, client.TestStepView{Kind: "teleported", Failed: &failed})
	require.Equal(t, "  after 0 ms: failed: teleported\n", out.String())
}

// An integration that drops all that comes was listed as ok and no more.
func TestAListSaysWhatIsMuted(t *testing.T) {
	i, drop := client.IntegrationView{State: client.IntegrationViewStateOk}, client.MuteViewThenDrop
	require.Equal(t, "ok", condition(i))
	i.Muted = &client.MuteView{Until: time.Date(2026, 3, 1, 15, 0, 0, 0, time.Local)}
	require.Equal(t, "ok, muted until 2026-03-01 15:00:00", condition(i))
	i.Muted.Then = &drop
	require.Equal(t, "ok, muted until 2026-03-01 15:00:00, what comes is dropped", condition(i))
}
