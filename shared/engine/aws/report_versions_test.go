//go:build awslocal

package aws_test

import (
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"tocsin/shared/engine/aws/reports"
	"tocsin/shared/engine/aws/table"
	"tocsin/shared/filter"
	"tocsin/shared/report"
	"tocsin/shared/token"
)

// filterless is the row of a report as a release reads it that knows no filters.
type filterless struct {
	table.First
	Body []byte `dynamodbav:"body"`
}

// TestAReleaseThatKnowsNoFiltersMakesNoReportByFilters: while two releases run side by side, the older one would drop
// the filters of an order and report on all events.
func TestAReleaseThatKnowsNoFiltersMakesNoReportByFilters(t *testing.T) {
	w := open(t)
	r := w.reports()
	older := func() error {
		t.Helper()
		_, err := table.Unmarshal[filterless](w.scan(t, "ReportsTable")[0])
		return err
	}
	taken := func() int { // by its schedule
		t.Helper()
		out, err := w.db.Query(t.Context(), &dynamodb.QueryInput{TableName: awssdk.String(w.prefix + "ReportsTable"),
			IndexName: awssdk.String("due"), KeyConditionExpression: awssdk.String("#b = :b"),
			ExpressionAttributeNames:  map[string]string{"#b": "bucket"},
			ExpressionAttributeValues: table.Item{":b": table.Text("waiting")}})
		require.NoError(t, err)
		return len(out.Items)
	}
	order := report.Report{ID: "r", Tenant: "42", State: report.Waiting, Format: report.CSV, CreatedAt: now(),
		Filters: []filter.Filter{{ID: "domain", Operator: "eq", Values: []filter.Value{"shop.example.com"}}}}
	require.NoError(t, r.Save(t.Context(), order, nil))
	require.ErrorContains(t, older(), "version 2")
	require.Zero(t, taken())
	waiting, err := r.Waiting(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []report.Report{order}, waiting)

	order.State = report.Ready
	require.NoError(t, r.Save(t.Context(), order, []report.File{{Name: "f", Data: []byte("x")}}))
	require.NoError(t, older(), "its files say by which filters they were made")
	waiting, err = r.Waiting(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, waiting)

	order.State, order.Filters = report.Waiting, nil
	require.NoError(t, r.Save(t.Context(), order, nil))
	require.NoError(t, older(), "one of all events is any release's")
	require.Equal(t, 1, taken())
}

// TestAnOrderOfALaterReleaseComesAgain until that release is live.
func TestAnOrderOfALaterReleaseComesAgain(t *testing.T) {
	w := open(t)
	s := &report.Service{Store: w.reports(), Totals: w.record(), Renderer: fails(""), Bus: &published{},
		Platform: "Tocsin", Now: now, Log: slog.New(slog.DiscardHandler)}
	require.NoError(t, s.Store.Save(t.Context(), report.Report{ID: "r", Tenant: "42", State: report.Waiting,
		Format: report.CSV, CreatedAt: now()}, nil))
	later := w.scan(t, "ReportsTable")[0]
	later["v"] = &types.AttributeValueMemberN{Value: "99"}
	_, err := w.db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: awssdk.String(w.prefix + "ReportsTable"),
		Item: later})
	require.NoError(t, err)
	raw, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m",
		Body: `{"tenant":"42","report":"r"}`}}})
	require.NoError(t, err)
	out, err := reports.Handler(s, &token.Notices{}, slog.New(slog.DiscardHandler))(t.Context(), raw)
	require.NoError(t, err)
	require.Equal(t, []events.SQSBatchItemFailure{{ItemIdentifier: "m"}}, out.BatchItemFailures)
	require.Equal(t, later, w.scan(t, "ReportsTable")[0])
}
