//go:build awslocal

package awslocal_test

import (
	"strings"
	"testing"

	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// TestASecondRegionTakesOverAsThePageSays moves a stack's tables into another stack, with a delivery that was open.
func TestASecondRegionTakesOverAsThePageSays(t *testing.T) {
	to := receive(t, always(200))
	first := deploy(t, []*receiver{to}, nil)
	id := first.webhook(to, 1)
	events := first.publish(2)
	first.eventually("all arrive", func() bool { return len(first.deliveries(id, "delivered")) == 2 })
	open := first.deliveries(id, "delivered")[0].ID
	first.idle()
	first.set("DeliveriesTable", "42 "+id, open, "SET #state = :pending REMOVE attempts",
		map[string]dynamotypes.AttributeValue{":pending": textValue("pending")})

	standby := deploy(t, []*receiver{to}, func(o *awslocal.Options) {
		o.KMS, o.Parameters = first.KMS.URL, map[string]string{"Paused": "yes"}
	})
	write := standby.line("restore.md", "tablecopy", "-write")
	for table, r := range first.Template.Resources {
		if r.Type != "AWS::DynamoDB::Table" {
			continue
		}
		standby.shell(strings.NewReplacer("$STACK-restored-IntegrationsTable", first.Prefix+table,
			"IntegrationsTable", table).Replace(write))
	}
	standby.publishAgain(first, events)
	require.Len(t, to.requests(), 2, "a stack that is paused sends nothing")
	n, err := standby.Depth(t.Context(), "EventsQueue")
	require.NoError(t, err)
	require.NotZero(t, n, "what is published to it waits")

	require.NoError(t, standby.Resume(t.Context()))
	standby.shell(standby.line("second-region.md", "stuck", "-repair") + " -older 0s")
	standby.eventually("what was open is sent, under its id", func() bool { return len(to.requests()) == 3 })
	require.Equal(t, open, to.requests()[2].id)
	standby.idle()
	require.Len(t, to.requests(), 3, "events that the copy knows count once")
	standby.publish(1)
	standby.eventually("a new event arrives, with the secrets of the copy", func() bool {
		return len(to.requests()) == 4
	})
}

// publishAgain publishes the same events as another stack did: ids count from one in each.
func (r *rig) publishAgain(other *rig, events []string) {
	r.t.Helper()
	require.Equal(r.t, events, r.publish(len(events)))
	require.Equal(r.t, other.n, r.n)
}
