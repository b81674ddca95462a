package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/integration"
)

func TestWhatKeepsObjectsSaysSoInItsParameters(t *testing.T) {
	all := catalogue.Default()
	keepers := 0
	for _, name := range all.Names() {
		d, ok := all.Destination(name)
		if !ok {
			continue
		}
		_, follows := d.(destination.Follower)
		_, keyed := d.(destination.Keyed)
		opened, err := d.System().Parameters.Open([]byte(`{}`))
		require.NoError(t, err, name)
		k, ok := opened.(integration.Keeper)
		require.Equal(t, follows || keyed, ok, name)
		if ok && name != "slack" { // which does with a token
			require.True(t, k.KeepsObjects(), name)
			keepers++
		}
	}
	require.Equal(t, 4, keepers)
}
