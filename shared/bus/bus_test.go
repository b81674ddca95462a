package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/shared/bus"
	"tocsin/shared/delivery"
)

type store struct {
	entries []delivery.Entry
	calls   int
	err     error
}

func (s *store) Put(_ context.Context, entries []delivery.Entry) error {
	s.calls++
	if s.err != nil {
		return s.err
	}
	s.entries = append(s.entries, entries...)
	return nil
}

func serve(t *testing.T, s *store) *httptest.Server {
	n := 0
	server := httptest.NewServer(bus.Handler(bus.Config{
		Store: s, Name: "tocsin", Now: func() time.Time { return time.Unix(1677628800, 0) },
		NewID: func() string { n++; return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) },
		Log:   slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	return server
}

func sdk(address string) *eventbridge.Client {
	return eventbridge.New(eventbridge.Options{BaseEndpoint: &address, Region: "eu-west-1",
		Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1})
}

func good() types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{
		Source: aws.String("platform.users"), DetailType: aws.String("create_user"), EventBusName: aws.String("tocsin"),
		Detail: aws.String(`{"version":1,"id":"1"}`), Time: aws.Time(time.Unix(1677628700, 0)),
		Resources: []string{"arn:aws:x"},
	}
}

func TestTheRealSDKPublishes(t *testing.T) {
	s := &store{}
	client := sdk(serve(t, s).URL)
	second := good()
	second.EventBusName = aws.String("arn:aws:events:eu-west-1:123456789012:event-bus/tocsin")
	third := good()
	third.EventBusName = nil
	out, err := client.PutEvents(t.Context(),
		&eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{good(), second, third}})
	require.NoError(t, err)
	require.Zero(t, out.FailedEntryCount)
	require.Len(t, out.Entries, 3)
	require.Len(t, *out.Entries[0].EventId, 36)
	require.Equal(t, 1, s.calls, "one durable write for one call")
	require.Equal(t, delivery.Entry{Tenant: delivery.NoTenant, DetailType: "create_user",
		Detail: []byte(`{"version":1,"id":"1"}`), At: time.Unix(1677628800, 0).UTC()}, s.entries[0])
}

func TestABadEntryIsAnsweredAsTheRealServiceDoesAndTheRestIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*types.PutEventsRequestEntry)
		code  string
	}{
		"no source":      {func(e *types.PutEventsRequestEntry) { e.Source = nil }, "InvalidArgument"},
		"no detail-type": {func(e *types.PutEventsRequestEntry) { e.DetailType = nil }, "InvalidArgument"},
		"no detail":      {func(e *types.PutEventsRequestEntry) { e.Detail = nil }, "InvalidArgument"},
		"a source of AWS": {func(e *types.PutEventsRequestEntry) { e.Source = aws.String("aws.ec2") },
			"NotAuthorizedForSourceException"},
		"a detail that is broken": {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`{"a":`) },
			"MalformedDetail"},
		"a detail that is a list": {func(e *types.PutEventsRequestEntry) { e.Detail = aws.String(`[]`) },
			"MalformedDetail"},
		"another bus": {func(e *types.PutEventsRequestEntry) { e.EventBusName = aws.String("elsewhere") },
			"InvalidArgument"},
		"an entry over the limit": {func(e *types.PutEventsRequestEntry) {
			e.Detail = aws.String(`{"a":"` + strings.Repeat("x", 256<<10) + `"}`)
		}, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			bad := good()
			c.spoil(&bad)
			out, err := sdk(serve(t, s).URL).PutEvents(t.Context(),
				&eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{bad, good()}})
			require.NoError(t, err)
			require.Equal(t, int32(1), out.FailedEntryCount)
			require.Equal(t, c.code, *out.Entries[0].ErrorCode)
			require.NotEmpty(t, *out.Entries[0].ErrorMessage)
			require.NotEmpty(t, *out.Entries[1].EventId)
			require.Len(t, s.entries, 1)
		})
	}
}

func TestAnEventOfAnUnknownKindIsTaken(t *testing.T) {
	s := &store{}
	e := good()
	e.DetailType = aws.String("no_such_kind")
	out, err := sdk(serve(t, s).URL).PutEvents(t.Context(),
		&eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}})
	require.NoError(t, err)
	require.Zero(t, out.FailedEntryCount)
	require.Len(t, s.entries, 1)
}

func TestTooManyEntriesAreRefusedAsAWhole(t *testing.T) {
	s := &store{}
	entries := make([]types.PutEventsRequestEntry, 11)
	for i := range entries {
		entries[i] = good()
	}
	_, err := sdk(serve(t, s).URL).PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries})
	require.ErrorContains(t, err, "ValidationException")
	require.Zero(t, s.calls)
}

func TestWhatCouldNotBeStoredIsNotAnswered(t *testing.T) {
	_, err := sdk(serve(t, &store{err: errors.New("disk full")}).URL).PutEvents(t.Context(),
		&eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{good()}})
	require.ErrorContains(t, err, "StatusCode: 500")
	require.ErrorContains(t, err, "send them again")
}

func TestOtherRequests(t *testing.T) {
	server := serve(t, &store{})
	for name, c := range map[string]struct {
		target, body string
		status       int
		kind         string
	}{
		"another operation":      {"AWSEvents.PutRule", `{}`, 400, "UnknownOperationException"},
		"no operation":           {"", `{}`, 400, "UnknownOperationException"},
		"not JSON":               {bus.Target, `{`, 400, "SerializationException"},
		"no entries":             {bus.Target, `{"Entries":[]}`, 400, "ValidationException"},
		"a time that is no time": {bus.Target, `{"Entries":[{"Time":"soon"}]}`, 400, "SerializationException"},
		"far too much":           {bus.Target, strings.Repeat(" ", 6<<20), 413, "RequestEntityTooLargeException"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(c.body))
			require.NoError(t, err)
			q.Header.Set("X-Amz-Target", c.target)
			r, err := http.DefaultClient.Do(q)
			require.NoError(t, err)
			defer r.Body.Close()
			raw, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, r.StatusCode)
			require.Contains(t, string(raw), c.kind)
		})
	}
}

func FuzzPutEvents(f *testing.F) {
	f.Add(`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}"}]}`)
	f.Add(`{"Entries":[{"Time":1e300}]}`)
	f.Add(`{"Entries":[{"Time":"2023-03-01T00:00:00Z"},null]}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := &store{}
		h := bus.Handler(bus.Config{Store: s, Name: "tocsin", NewID: func() string { return "1" }, Now: time.Now,
			Log: slog.New(slog.DiscardHandler)})
		q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		q.RemoteAddr, q.Host = "127.0.0.1:1", "localhost"
		q.Header.Set("X-Amz-Target", bus.Target)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		require.Less(t, w.Code, 500)
		if w.Code != http.StatusOK {
			require.Empty(t, s.entries, "what is refused is not stored")
		}
	})
}

func TestH32AFloodOfRefusedEntriesIsALineAMinute(t *testing.T) {
	var log bytes.Buffer
	now := time.Unix(1677628800, 0)
	h := bus.Handler(bus.Config{
		Store: &store{}, Name: "tocsin", Now: func() time.Time { return now }, NewID: func() string { return "id" },
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	for range 120 {
		for range 50 {
			r := httptest.NewRequest(http.MethodPost, "http://localhost/",
				strings.NewReader(`{"Entries":[{"Source":"a","DetailType":"b","Detail":"no object"},{"Source":"a"}]}`))
			r.RemoteAddr = "127.0.0.1:50000"
			r.Header.Set("X-Amz-Target", bus.Target)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, 200, w.Code)
		}
		now = now.Add(time.Second)
	}
	require.Equal(t, 4, strings.Count(log.String(), `"entry refused"`), "two minutes, two codes: %s", log.String())
}
