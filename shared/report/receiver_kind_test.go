package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheKindOfAReceiverIsReadOffItsStoredID(t *testing.T) {
	require.Equal(t, PersonReceiver, KindOf("person.0a1b"))
	require.Equal(t, OrderReceiver, KindOf("report.01GTD8R4000000000000000001"))
	for _, id := range []string{"01GTD8R4000000000000000001", "", "a person.", "reporter"} {
		require.Equal(t, IntegrationReceiver, KindOf(id), id)
	}
}
