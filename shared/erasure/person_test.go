package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPersonIsNamedByTheWholeAddress(t *testing.T) {
	name := texts{"ada@example.com"}
	for text, want := range map[string]bool{
		"ada@example.com": true, "Ada <ADA@example.com>": true, "to ada@example.com.": true,
		`{"email":"ada@example.com"}`: true, "dada@example.com, ada@example.com": true, "mailto:ada@example.com?x": true,
		"42 ada@example.com": true, "dada@example.com": false, "ada@example.com.au": false,
		"ada@example.community": false,
		"grace.ada@example.com": false, "ada@example": false, "": false, "ada+x@example.com": false,
	} {
		require.Equal(t, want, name.in(text), text)
		require.Equal(t, want, name.in(map[string]any{"a": []any{1.0, map[string]any{text: true}}}), text)
	}
	require.Nil(t, Person(nil).Of(nil), "nobody in particular: all rows")
}
