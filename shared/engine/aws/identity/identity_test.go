package identity_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/s3"
	"tocsin/shared/engine/aws/identity"
)

// rig is a machine: what its chain finds, and an STS.
type rig struct {
	*identity.Found
	log   bytes.Buffer
	loads atomic.Int64
	asked atomic.Int64

	mu     sync.Mutex
	now    time.Time
	keys   awssdk.CredentialsProvider
	answer func(http.ResponseWriter)
	held   chan struct{} // a look waits for it
}

func (r *rig) with(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func start(t *testing.T) *rig {
	r := &rig{now: time.Date(2023, 3, 1, 0, 0, 0, 0, time.UTC), answer: account("210987654321", "aws")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.asked.Add(1)
		r.mu.Lock()
		answer := r.answer
		r.mu.Unlock()
		answer(w)
	}))
	t.Cleanup(server.Close)
	r.Found = &identity.Found{
		Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Now: func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.now },
		Load: func(context.Context) (awssdk.Config, error) {
			r.loads.Add(1)
			r.mu.Lock()
			held := r.held
			r.mu.Unlock()
			if held != nil {
				<-held
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			return awssdk.Config{Credentials: r.keys, RetryMaxAttempts: 1}, nil
		},
		STS: []func(*sts.Options){func(o *sts.Options) { o.BaseEndpoint = awssdk.String(server.URL) }},
	}
	return r
}

func account(id, partition string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		fmt.Fprintf(w,
			`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:%s:sts::%s:assumed-role/ops/ada</Arn><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, partition, id, id)
	}
}

func refused(w http.ResponseWriter) {
	w.WriteHeader(http.StatusForbidden)
	fmt.Fprint(w,
		`<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>`)
}

func away(w http.ResponseWriter) { panic(http.ErrAbortHandler) }

var static = credentials.NewStaticCredentialsProvider("AKIAOWN", "own", "")

func none(context.Context) (awssdk.Credentials, error) {
	return awssdk.Credentials{}, errors.New("no EC2 IMDS role found")
}

func TestNobodyLooksBeforeSomebodyNeedsIt(t *testing.T) {
	r := start(t)
	r.keys = static
	d := s3.New(s3.Platform{Identity: r.Found})
	for range 100 { // a start, the fan-out of events
		_ = d.System()
	}
	_, known := r.Account()
	require.False(t, known)
	time.Sleep(20 * time.Millisecond) // a look would have begun by now
	require.Zero(t, r.loads.Load())
	d.Prepare(t.Context())
	_, known = r.Account()
	require.True(t, known)
	require.EqualValues(t, 1, r.loads.Load())
	r.with(func() { r.now = r.now.Add(2 * time.Hour) })
	for range 100 {
		_ = d.System()
	}
	time.Sleep(20 * time.Millisecond)
	require.EqualValues(t, 1, r.loads.Load(), "nor when the answer is old")
}

func TestTheAccountIsThatOfTheCredentials(t *testing.T) {
	r := start(t)
	r.keys, r.answer = static, account("210987654321", "aws-us-gov")
	keys, err := r.Keys(t.Context())
	require.NoError(t, err)
	require.Equal(t, s3.Keys{ID: "AKIAOWN", Secret: "own"}, keys)
	a, known := r.Account()
	require.True(t, known)
	require.Equal(t, s3.Account{ID: "210987654321", Partition: "aws-us-gov"}, a)
	for range 50 {
		_, err = r.Keys(t.Context())
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, r.asked.Load(), "it is asked once in an hour")
	require.Contains(t, r.log.String(), "account=210987654321")
	require.NotContains(t, r.log.String(), "AKIAOWN")
}

func TestAMachineWithoutCredentialsIsAskedAgainAfterAMinute(t *testing.T) {
	r := start(t)
	r.keys = awssdk.CredentialsProviderFunc(none)
	_, err := r.Keys(t.Context())
	require.ErrorIs(t, err, identity.ErrNone)
	a, known := r.Account()
	require.True(t, known)
	require.Zero(t, a)
	require.Empty(t, r.log.String(), "no credentials are no fault")
	r.with(func() { r.keys = static })
	_, err = r.Keys(t.Context())
	require.ErrorIs(t, err, identity.ErrNone, "not at once")
	r.with(func() { r.now = r.now.Add(time.Minute) })
	_, err = r.Keys(t.Context())
	require.NoError(t, err, "somebody signed in meanwhile")
	a, _ = r.Account()
	require.Equal(t, "210987654321", a.ID)
}

func TestCredentialsThatAWSRefusesAreNone(t *testing.T) {
	r := start(t)
	r.keys, r.answer = static, refused
	_, err := r.Keys(t.Context())
	require.ErrorIs(t, err, identity.ErrNone)
	require.Contains(t, r.log.String(), "InvalidClientTokenId")
}

func TestAnAccountThatIsKnownStaysWhileSTSIsAway(t *testing.T) {
	r := start(t)
	r.keys = static
	r.Prepare(t.Context())
	for range 2 {
		before := r.loads.Load()
		r.with(func() { r.answer, r.now = away, r.now.Add(time.Hour) })
		r.Prepare(t.Context())
		a, known := r.Account()
		require.True(t, known)
		require.Equal(t, "210987654321", a.ID, "while it is looked for again")
		require.Eventually(t, func() bool {
			r.Prepare(t.Context()) // the look of the hour before may not have ended yet
			return r.loads.Load() > before
		}, time.Minute, time.Millisecond)
		_, err := r.Keys(t.Context())
		require.NoError(t, err)
	}
}

func TestPrepareWaitsForALookThatIsOnItsWayAndNotForEver(t *testing.T) {
	r := start(t)
	r.keys, r.held = static, make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Prepare(ctx)
	_, known := r.Account()
	require.False(t, known)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { r.Prepare(t.Context()) })
	}
	close(r.held)
	all.Wait()
	_, known = r.Account()
	require.True(t, known)
	require.EqualValues(t, 1, r.loads.Load(), "one look serves all who ask")
}

// TestWhatTheAWSSDKSaysIsInTheLog: without a logger the SDK writes lines to standard error that are no JSON.
func TestWhatTheAWSSDKSaysIsInTheLog(t *testing.T) {
	metadata := httptest.NewServer(http.NotFoundHandler()) // a machine of an old kind: no tokens
	defer metadata.Close()
	for name, value := range map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL,
		"AWS_EC2_METADATA_DISABLED": "", "AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	c, err := identity.Default(slog.New(slog.NewJSONHandler(&log,
		&slog.HandlerOptions{Level: slog.LevelDebug})), nil)(t.Context())
	require.NoError(t, err)
	_, err = c.Credentials.Retrieve(t.Context())
	require.Error(t, err)
	require.Contains(t, log.String(), "IMDSv1")
	require.Contains(t, log.String(), `"level":"DEBUG"`)
}
