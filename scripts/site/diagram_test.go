package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestADiagramIsToldInWords(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   []string
	}{
		"arrows, labels and several nodes at once": {`flowchart LR
    P[Security platform] -->|PutEvents| B[Bus]
    B --> F & G[Counting, once]
    F -. link .-> B --> G
    F -- by choice --> H`, []string{"Security platform → Bus: PutEvents", "Bus → F", "Bus → Counting, once",
			"F → Bus: link", "Bus → Counting, once", "F → H: by choice"}},
		"frames": {`flowchart TD
    subgraph roots [functions: programs]
        local[local: one machine] ~~~ lambdas
    end
    roots --> other`, []string{"functions: programs. In it: local: one machine; lambdas", "functions: programs → other"}},
		"states": {`stateDiagram-v2
    [*] --> pending: an intake is committed
    More? --> [*]`, []string{"begin → pending: an intake is committed", "More? → end"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tell(c.source)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, source := range []string{"pie\n\"a\": 1", "flowchart LR\n  a ==> b", "stateDiagram-v2\n  a : b"} {
		_, err := tell(source)
		require.ErrorContains(t, err, "teach scripts/site/diagram.go", source)
	}
}

func TestADocumentShowsNoSourceOfADiagram(t *testing.T) {
	p, err := (&site{}).render("a.md", "a.html", []byte("# A\n\n- in a list\n\n  ```mermaid\n  flowchart LR\n    a[A <b>] --> c\n  ```\n"))
	require.NoError(t, err)
	require.Contains(t, string(p.Body), "<li>A &lt;b&gt; → c</li>")
	require.NotContains(t, string(p.Body), "flowchart")
	require.True(t, strings.Contains(p.Entries[0].Text, "→ c"), "the search finds it")
}
