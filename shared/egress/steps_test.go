package egress_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/egress"
	"tocsin/shared/step"
)

func TestANameThatLeadsInsideIsFoundAndItsAddressIsNotAllowed(t *testing.T) {
	c := egress.New(egress.Policy{}, egress.Options{
		Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
		},
	})
	var told []step.Step
	ctx := step.With(t.Context(), func(s step.Step) { told = append(told, s) })
	_, err := c.Do(ctx, destination.Request{Method: "POST", URL: "https://inside.example.com/"})
	require.Error(t, err)
	require.Equal(t, []step.Step{{Kind: step.Name}, {Kind: step.Address, Failed: true}}, told)
}
