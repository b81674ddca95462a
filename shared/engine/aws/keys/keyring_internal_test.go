package keys

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/awslocal"
)

// One tenant more than have data keys in memory displaces one other, not all.
func TestATenantTooManyDisplacesOneOther(t *testing.T) {
	service, err := awslocal.NewKMS()
	require.NoError(t, err)
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config, err := awslocal.Config(t.Context(), server.URL)
	require.NoError(t, err)
	at := time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC)
	r := &KeyRing{KMS: kms.NewFromConfig(config), Key: "k", Now: func() time.Time { return at }}
	seal := func(n int) []byte {
		sealed, err := r.Seal(t.Context(), []byte("hunter2"), fmt.Appendf(nil, "%d/i", n))
		require.NoError(t, err)
		return sealed
	}
	first := seal(0)
	for n := range maxDataKeys {
		seal(n + 1)
	}
	require.EqualValues(t, maxDataKeys+1, calls.Load())
	for n := range maxDataKeys {
		plain, err := r.Open(t.Context(), seal(n+1), fmt.Appendf(nil, "%d/i", n+1))
		require.NoError(t, err)
		require.Equal(t, "hunter2", string(plain))
	}
	require.EqualValues(t, maxDataKeys+1, calls.Load(), "those that were used last are in memory")
	_, err = r.Open(t.Context(), first, []byte("0/i"))
	require.NoError(t, err)
	require.EqualValues(t, maxDataKeys+2, calls.Load())
}
