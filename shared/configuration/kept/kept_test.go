package kept_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration/kept"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
)

func saving() destination.Saving {
	return destination.Saving{Now: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC),
		Random: bytes.NewReader(make([]byte, 1<<10))}
}

// odds are values that most parameters refuse, as JSON.
var odds = []string{`null`, `""`, `"x"`, `"https://other.example.com/in"`, `"-----BEGIN"`, `"C0123456789"`,
	`"` + strings.Repeat("y", 5000) + `"`, `-5`, `100000`, `true`, `["a"]`, `{"A b":"c"}`, `"token"`, `"generate"`}

// more are parameters of systems that have several ways.
var more = map[string][]string{
	"slack": {`{"authorization":"token","channel":"C0123456789","token":"xoxb-17653672481-t0k3n4711"}`},
	"s3":    {`{"authorization":"key","access_key_id":"AK","secret_access_key":"t0k3n"}`},
	"web_hooks": {`{"url":"https://w.example.com/","headers":{"Authorization":"Bearer t0k3n","X-A":"b"}}`,
		`{"url":"https://w.example.com/","token_url":"https://t.example.com/","client_id":"c","client_secret":"t0k3n"}`,
		`{"url":"https://w.example.com/","signing_secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}`},
}

// judge is what an installation says of a change: it has the secrets.
func judge(p destination.Parameters, present, change json.RawMessage) (out destination.InvalidParameters) {
	merged, err := p.Merge(present, change)
	if err != nil {
		errors.As(err, &out)
		return out
	}
	made, err := p.Prepare(present, merged, saving())
	errors.As(err, &out)
	var more destination.InvalidParameters
	_, err = p.Complete(made)
	errors.As(err, &more)
	return append(append(out, more...), p.Misdirected(present, change, merged)...)
}

// TestWhatIsSaidOfAChangeIsWhatTheInstallationSays changes each parameter of each system to each of the odd values:
// what is said without the secrets is said with them, and nothing is left unsaid but what is about a secret that stays.
func TestWhatIsSaidOfAChangeIsWhatTheInstallationSays(t *testing.T) {
	said := 0
	for _, e := range catalogue.Default().All() {
		p := e.System.Parameters
		if !e.Available || e.System.Personal {
			continue
		}
		for _, given := range append([]string{`{}`}, more[e.System.Name]...) {
			opened, _, err := p.Example(json.RawMessage(given))
			require.NoError(t, err)
			full, err := json.Marshal(opened)
			require.NoError(t, err)
			var there map[string]any
			require.NoError(t, json.Unmarshal(full, &there))
			for name, v := range there {
				if v == nil || v == "" {
					delete(there, name)
				}
			}
			full, err = json.Marshal(there)
			require.NoError(t, err)
			shown, secret, err := p.Split(full)
			require.NoError(t, err)
			masked, err := p.Masked(shown, secret)
			require.NoError(t, err)
			for _, f := range p.Fields() {
				for _, odd := range odds {
					if f.ReadOnly {
						continue
					}
					change := json.RawMessage(`{"` + f.Name + `":` + odd + `}`)
					want := judge(p, full, change)
					got := kept.Problems(p, masked, change, false, saving)
					require.Subset(t, want, got, "%s %s: %.100s", e.System.Name, given, change)
					for _, w := range want {
						if name, _, _ := strings.Cut(strings.TrimPrefix(w.Field, "parameters."), "."); name == f.Name {
							require.Contains(t, got, w, "%s %s: %.100s", e.System.Name, given, change)
							said++
						}
					}
				}
			}
		}
	}
	require.Greater(t, said, 300)
}
