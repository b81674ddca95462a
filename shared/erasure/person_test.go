package erasure

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/erasure/pseudonym"
)

func TestAPersonIsNamedByTheWholeAddress(t *testing.T) {
	name := pseudonym.NamesOf([]string{"Ada@example.com"})
	for text, want := range map[string]bool{
		"ada@example.com": true, "Ada <ADA@example.com>": true, "to ada@example.com.": true,
		`{"email":"ada@example.com"}`: true, "dada@example.com, ada@example.com": true, "mailto:ada@example.com?x": true,
		"42 ada@example.com": true, "dada@example.com": false, "ada@example.com.au": false,
		"ada@example.community": false,
		"grace.ada@example.com": false, "ada@example": false, "": false, "ada+x@example.com": false,
	} {
		require.Equal(t, want, name.In(text), text)
		require.Equal(t, want, name.In(map[string]any{"a": []any{1.0, map[string]any{text: true}}}), text)
	}
}

func TestWhoIsNamedByNoAddressIsNotEverybody(t *testing.T) {
	for _, given := range []string{"", " ", "a", "example.com", "@example.com", "not an address", "ada@example"} {
		source, err := Person{given}.Of(nil)
		require.ErrorIs(t, err, ErrPerson)
		require.ErrorContains(t, err, "is not an e-mail address")
		require.Nil(t, source)
	}
	_, err := Person{}.Of(nil)
	require.ErrorIs(t, err, ErrPerson)
	all, err := Person(nil).Of(nil)
	require.NoError(t, err)
	require.Nil(t, all, "nobody in particular: all rows")
}
