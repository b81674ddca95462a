//go:build awslocal

package aws_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/delivery"
)

// as is the same engine in a function of the template: its calls are made by that name.
func as(d *stores, function string) *stores {
	who := credentials.NewStaticCredentialsProvider(function, "local", "")
	mine := *d
	mine.DB = dynamodb.New(d.DB.Options(), func(o *dynamodb.Options) { o.Credentials = who })
	mine.SQS = sqs.New(d.SQS.Options(), func(o *sqs.Options) { o.Credentials = who })
	return &mine
}

// Files take minutes, and what is left behind is rare: the stack's own test of the roles sees neither.
func TestRolesAllowFilesAndWhatIsLeftBehind(t *testing.T) {
	template, err := awslocal.ReadTemplate("../../../template.yaml")
	require.NoError(t, err)
	for _, system := range []string{"web_hooks", "minio"} {
		w := open(t)
		all, clock := w.clocked()
		accepting, sending, sweeping := as(all, "Fanout"), as(all, "Deliver"), as(all, "Retry")
		f := fanoutTo(w, accepting, system)
		f.Recorder = nil // its settings are in another table
		process := func(ids ...string) {
			t.Helper()
			var entries []delivery.Entry
			for _, id := range ids {
				entries = append(entries, hitEntry(id, "m", now()))
			}
			_, _ = f.Process(t.Context(), append(entries, delivery.Entry{Receipt: "odd", Detail: []byte("no JSON")}))
		}
		process("a", "b")
		process("b", "c")
		for _, call := range []string{"PutItem", "UpdateItem"} { // a commit and a tombstone; a finished intake
			w.gate.Faults(func(name string) *awslocal.Fault {
				if name == call {
					return &awslocal.Fault{Status: 400, Type: "AccessDeniedException"}
				}
				return nil
			})
			process("d", call)
			w.gate.Faults(nil)
		}
		*clock = clock.Add(2 * time.Minute)
		process("d", "e") // takes the claims over
		for range 3 {
			*clock = clock.Add(11 * time.Minute)
			later(t, clock, sweeping)
		}
		once(t, w.sent(t, sending), "UpdateItem", "a", "b", "c", "d", "e")
		for range 3 {
			*clock = clock.Add(time.Hour)
			later(t, clock, sweeping)
		}
		callers := map[string]bool{}
		for _, u := range slices.Concat(w.gate.Uses(), w.sends.Uses()) {
			if u.Caller != "local" { // the test itself
				callers[u.Caller] = true
				require.True(t, template.Allows(u, w.prefix), "%s: the role of %s does not allow %s on %s", system,
					u.Caller,
					u.Action, strings.TrimPrefix(u.Resource, w.prefix))
			}
		}
		require.Len(t, callers, 3)
	}
}
