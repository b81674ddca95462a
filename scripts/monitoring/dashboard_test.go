//go:build monitoring

package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"tocsin/shared/metrics"
)

const folder = "../../infra/monitoring/"

// promtool runs it in the folder of the rules.
func promtool(t *testing.T, input string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "promtool", args...)
	c.Dir, c.Stdin = folder, strings.NewReader(input)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// rule is an alert of the rules' file.
type rule struct {
	Alert, Expr string
	Annotations map[string]string
	Labels      map[string]string
}

func rules(t *testing.T) (out []rule) {
	t.Helper()
	raw, err := os.ReadFile(folder + "tocsin.rules.yaml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(raw, &file))
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	require.NotEmpty(t, out)
	return out
}

func TestEachAlertFiresWhereItShouldAndHasARunbook(t *testing.T) {
	promtool(t, "", "check", "rules", "tocsin.rules.yaml")
	promtool(t, "", "test", "rules", "tocsin.rules.test.yaml")
	raw, err := os.ReadFile(folder + "tocsin.rules.test.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/alerts.md")
	require.NoError(t, err)
	for _, r := range rules(t) {
		require.Contains(t, string(raw), "alertname: "+r.Alert+"\n", "promtool tries it")
		require.Contains(t, string(page), "\n## "+r.Alert+"\n")
		require.True(t, strings.HasSuffix(r.Annotations["runbook_url"],
			"/alerts.md#"+strings.ToLower(r.Alert)), r.Alert)
		require.NotEmpty(t, r.Annotations["summary"])
		require.Contains(t, []string{"critical", "warning"}, r.Labels["severity"])
	}
	require.Equal(t, len(rules(t)), strings.Count(string(page), "\n## Tocsin"), "each section has its alert")
}

// expressions are those of the dashboard, by panel.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile(folder + "tocsin.dashboard.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(raw, &board))
	out := map[string][]string{}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			out[p.Title] = append(out[p.Title], q.Expr)
		}
	}
	require.NotEmpty(t, out)
	return out
}

// faults are what the library found; it answers a list of none as an error too.
func faults(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTheDashboardIsWhatGrafanasSchemaAllows(t *testing.T) {
	raw, err := os.ReadFile(folder + "tocsin.dashboard.json")
	require.NoError(t, err)
	plugins.RegisterDefaultPlugins() // else the queries and options of panels are anything
	var board dashboard.Dashboard    //nolint:staticcheck // of the schema that Grafana's provisioned files have
	require.Empty(t, faults(board.UnmarshalJSONStrict(raw)))
	require.Empty(t, faults(board.Validate()))
	ids := map[uint32]bool{}
	for _, p := range board.Panels {
		if p.Panel != nil && p.Panel.Id != nil {
			require.False(t, ids[*p.Panel.Id], "an id is of one panel")
			ids[*p.Panel.Id] = true
		}
	}
	spoilt := strings.Replace(string(raw), `"lineWidth": 1`, `"lineWidht": 1`, 1)
	require.NotEqual(t, string(raw), spoilt)
	board = dashboard.Dashboard{} //nolint:staticcheck // as above
	require.NotEmpty(t, faults(board.UnmarshalJSONStrict([]byte(spoilt))), "the judge judges")
}

var named = regexp.MustCompile(`\b(tocsin|process|go)_[a-z_]+`)

// families are the metrics that an expression names.
func families(expr string) (out []string) {
	for _, name := range named.FindAllString(expr, -1) {
		out = append(out, strings.TrimSuffix(name, "_bucket"))
	}
	return out
}

func TestWhatIsAskedForExists(t *testing.T) {
	known, shown := map[string]bool{}, map[string]bool{}
	for _, m := range metrics.All() {
		known[m.Name] = true
	}
	ask := func(where, expr string) {
		for _, name := range families(expr) {
			require.True(t, known[name], "%s asks for %s", where, name)
			shown[name] = true
		}
	}
	for panel, all := range expressions(t) {
		for _, expr := range all {
			ask("the panel "+panel, expr)
		}
	}
	for _, r := range rules(t) {
		ask("the alert "+r.Alert, r.Expr)
	}
	for name := range known {
		if strings.HasPrefix(name, "tocsin_") {
			require.True(t, shown[name], "nobody looks at %s", name)
		}
	}
}
