package keys

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/assert"
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

// TestKMSIsAskedOnceForAllWhoOpenAtTheSameTime: a function starts with a batch for many integrations of a tenant.
func TestKMSIsAskedOnceForAllWhoOpenAtTheSameTime(t *testing.T) {
	service, err := awslocal.NewKMS()
	require.NoError(t, err)
	var calls atomic.Int64
	var held atomic.Bool
	arrived, goOn := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if held.Load() {
			arrived <- struct{}{}
			<-goOn
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config, err := awslocal.Config(t.Context(), server.URL)
	require.NoError(t, err)
	at := func() time.Time { return time.Date(2023, 3, 1, 12, 0, 0, 0, time.UTC) }
	before := &KeyRing{KMS: kms.NewFromConfig(config), Key: "k", Now: at}
	var sealed [][]byte
	for n := range 64 {
		one, err := before.Seal(t.Context(), []byte("hunter2"), fmt.Appendf(nil, "42/i%d", n))
		require.NoError(t, err)
		sealed = append(sealed, one)
	}
	require.EqualValues(t, 1, calls.Load())
	held.Store(true)
	fresh := &KeyRing{KMS: before.KMS, Key: "k", Now: at}
	gaveUp, giveUp := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := fresh.Open(gaveUp, sealed[0], []byte("42/i0"))
		first <- err
	}()
	<-arrived
	giveUp()
	require.ErrorIs(t, <-first, context.Canceled, "who asked first need not wait")
	var all sync.WaitGroup
	for n := range sealed {
		all.Go(func() {
			plain, err := fresh.Open(t.Context(), sealed[n], fmt.Appendf(nil, "42/i%d", n))
			assert.NoError(t, err)
			assert.Equal(t, "hunter2", string(plain))
		})
	}
	close(goOn)
	all.Wait()
	require.EqualValues(t, 2, calls.Load())

	size := binary.BigEndian.Uint16(sealed[0][1:3])
	late := encryptedKey{under: "k", context: ownKey("42"), blob: sealed[0][3 : 3+size]}
	_, err = fresh.ask(t.Context(), late)
	require.NoError(t, err)
	require.EqualValues(t, 2, calls.Load(), "asked for just after another call has ended")
}
