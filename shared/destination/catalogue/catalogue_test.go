package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
)

func TestEverySystemOfTheReleaseCanBeSetUp(t *testing.T) {
	c := catalogue.Default()
	for _, e := range c.All() {
		require.True(t, e.Available, e.System.Name)
		_, ok := c.Destination(e.System.Name)
		require.True(t, ok, e.System.Name)
	}
}

func TestAConfiguredSystemStandsInForTheOneOfItsName(t *testing.T) {
	configured := telegram.New(telegram.Bot{Token: "123:ABC"})
	c := catalogue.Default(configured)
	require.Len(t, c.All(), len(catalogue.Default().All()))
	d, ok := c.Destination("telegram")
	require.True(t, ok)
	require.Equal(t, []string{"123:ABC"}, d.(destination.SecretHolder).Secrets())
	require.Panics(t, func() { catalogue.Default(listed{}) }, "a system that the release does not have")
}

// The form's hints outlive another title and another default of a field.
func TestTheHintsOfTheFormAreThoseOfTheTags(t *testing.T) {
	for name, hints := range map[string][]string{
		"web_hooks": {`"x-advanced":true`}, "fluentd": {`"x-advanced":true`}, "logstash": {`"x-advanced":true`},
		"jira": {`"x-advanced":true`}, "sumo_logic": {`"x-advanced":true`},
		"s3": {`"x-when":{"field":"authorization","value":"role"}`, `"x-when":{"field":"authorization","value":"key"}`},
	} {
		s, _, ok := catalogue.Default().Lookup(name)
		require.True(t, ok)
		for _, hint := range hints {
			require.Contains(t, string(s.Parameters.Schema()), hint, name)
		}
	}
}

func TestASystemWithoutParametersIsListedOnly(t *testing.T) {
	c := catalogue.New(listed{})
	s, available, ok := c.Lookup("fax")
	require.Equal(t, "Fax", s.Title)
	require.False(t, available)
	require.True(t, ok)
	_, ok = c.Destination("fax")
	require.False(t, ok)
}

type listed struct{ destination.Destination }

func (listed) System() destination.System { return destination.System{Name: "fax", Title: "Fax"} }
