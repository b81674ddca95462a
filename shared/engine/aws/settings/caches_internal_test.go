package settings

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
	"tocsin/shared/trigger"
)

// empty is a DynamoDB in which no query finds anything. It counts them.
func empty(t *testing.T) (*dynamodb.Client, *atomic.Int64) {
	queries := &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		queries.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"Items":[]}`)
	}))
	t.Cleanup(server.Close)
	config, err := awslocal.Config(t.Context(), server.URL)
	require.NoError(t, err)
	return dynamodb.NewFromConfig(config), queries
}

// One tenant more than are kept in memory displaces one other, not all.
func TestATenantTooManyDisplacesOneOther(t *testing.T) {
	db, queries := empty(t)
	at := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	s := &Integrations{DB: db, Table: "t", Now: func() time.Time { return at }}
	read := func(n int) {
		_, err := s.Enabled(t.Context(), fmt.Sprint(n))
		require.NoError(t, err)
	}
	for n := range maxTenants + 1 {
		read(n)
	}
	require.EqualValues(t, maxTenants+1, queries.Load())
	for n := range maxTenants {
		read(n + 1)
	}
	require.EqualValues(t, maxTenants+1, queries.Load(), "those that were read last are in memory")
	read(0)
	require.EqualValues(t, maxTenants+2, queries.Load())
}

func TestAStateTooManyDisplacesOneOther(t *testing.T) {
	s := &Triggers{}
	state := func(n int) trigger.State { return trigger.State{Tenant: "42", Trigger: fmt.Sprint(n)} }
	for n := range maxKeptStates + 1 {
		s.keep([]trigger.State{state(n)}, []keptState{{version: 1}})
	}
	kept := 0
	for n := range maxKeptStates + 1 {
		if s.keptOf(state(n)).version > 0 {
			kept++
		}
	}
	require.Equal(t, maxKeptStates, kept)
	require.Zero(t, s.keptOf(state(0)), "the one that was used longest ago")
}
