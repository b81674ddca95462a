package console_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/console"
	"tocsin/shared/integration"
	"tocsin/shared/overview"
)

// countingRing counts what it opens.
type countingRing struct {
	integration.KeyRing

	opened atomic.Int64
}

func (r *countingRing) Open(ctx context.Context, sealed, context []byte) ([]byte, error) {
	r.opened.Add(1)
	return r.KeyRing.Open(ctx, sealed, context)
}

// Home reads every integration: its list opens no secret, and the overview each one once.
func TestABriefListOpensNoSecretAndTheOverviewEachOnce(t *testing.T) {
	r := start(t)
	service := *r.config.Integrations
	ring := &countingRing{KeyRing: service.Keys}
	service.Keys = ring
	r.config.Integrations = &service
	r.handler = console.New(r.config)
	for range 3 {
		r.slack("Ops")
	}
	ring.opened.Store(0)
	brief := r.call(http.MethodGet, "/v1/integrations?brief=true", "")
	require.Equal(t, http.StatusOK, brief.status, brief.raw)
	require.Equal(t, 3, strings.Count(brief.raw, `"state":"ok"`))
	require.NotContains(t, brief.raw, `"parameters":`)
	require.Zero(t, ring.opened.Load())
	r.overviewOf()
	require.EqualValues(t, 3, ring.opened.Load())
	whole := r.call(http.MethodGet, "/v1/integrations", "")
	require.Equal(t, 3, strings.Count(whole.raw, `"parameters":{`))
}

func TestABriefCatalogueHasNoForms(t *testing.T) {
	r := start(t)
	r.slack("Ops")
	whole, brief := r.call(http.MethodGet, "/v1/systems?languages=ja", ""),
		r.call(http.MethodGet, "/v1/systems?brief=true&languages=ja", "")
	require.Equal(t, http.StatusOK, brief.status, brief.raw)
	for _, member := range []string{`"parameters"`, `"set_up"`, `"set_up_in"`, `"choosable"`} {
		require.Contains(t, whole.raw, member)
		require.NotContains(t, brief.raw, member)
	}
	require.Contains(t, brief.raw, `"enabled":1`)
	require.Less(t, len(brief.raw), len(whole.raw)/3)
}

func TestTheOverviewTellsOfSecretsThatAreLost(t *testing.T) {
	r := start(t)
	r.slack("Ops")
	service := *r.config.Integrations
	service.Keys = closed{}
	r.config.Integrations = &service
	r.handler = console.New(r.config)
	v := r.overviewOf()
	require.Len(t, v.Attention, 1)
	require.Equal(t, overview.Lost, v.Attention[0].Cause)
	ja := r.call(http.MethodGet, "/v1/overview", "", "Accept-Language", "ja")
	require.NotContains(t, ja.raw, v.Attention[0].Reason, "the reason is worded")
}

// closed opens nothing.
type closed struct{ integration.KeyRing }

func (closed) Open(context.Context, []byte, []byte) ([]byte, error) {
	return nil, integration.ErrUnsealable
}
