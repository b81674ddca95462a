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
	require.Equal(t, []string{"123:ABC"}, d.(destination.Keeper).Secrets())
	require.Panics(t, func() { catalogue.Default(listed{}) }, "a system that the release does not have")
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
