package bus_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/bus"
	"tocsin/shared/delivery"
	"tocsin/shared/patience"
)

func packed(t *testing.T, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, p := range parts {
		_, err := io.WriteString(z, p)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

func call(h http.Handler, body io.Reader, encodings ...string) *httptest.ResponseRecorder {
	q := httptest.NewRequest(http.MethodPost, "/", body)
	q.RemoteAddr, q.Host = "127.0.0.1:1", "localhost"
	q.Header.Set("X-Amz-Target", bus.Target)
	for _, e := range encodings {
		q.Header.Add("Content-Encoding", e)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, q)
	return w
}

func plain(s bus.Store) http.Handler {
	return bus.Handler(bus.Config{Store: s, Name: "tocsin", NewID: func() string { return "1" }, Now: time.Now,
		Log: slog.New(slog.DiscardHandler)})
}

// cost is what a call allocates in all, in bytes: more than it ever holds.
func cost(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestS4ASmallCallDoesNotBecomeALargeOne(t *testing.T) {
	entry := `{"Source":"a","DetailType":"b","Detail":"{}"}`
	million := func(s string) string { return strings.Repeat(s, 1_000_000) }
	for name, c := range map[string]struct {
		body   []byte
		kind   string
		status int
	}{
		"1.7 million entries": {packed(t, `{"Entries":[{}`, strings.Repeat(",{}", 1_700_000), `]}`),
			"ValidationException", 400},
		"a million null entries": {packed(t, `{"Entries":[null`, million(",null"), `]}`), "ValidationException",
			400},
		"a million Resources": {packed(t,
			`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Resources":[""`, strings.Repeat(`,""`, 500_000),
			`]}]}`), "", 200},
		"more Resources than a value": {packed(t, `{"Entries":[{"Resources":[""`, million(`,""`), `]}]}`),
			"RequestEntityTooLargeException", 413},
		"a million unknown members": {packed(t, `{"a":0`, million(`,"a":0`), `}`), "SerializationException", 400},
		"one member of many": {packed(t, `{"a":[0`, million(",0"), `]}`), "RequestEntityTooLargeException",
			413},
		"spaces": {packed(t, strings.Repeat(" ", 30<<20)), "RequestEntityTooLargeException",
			413},
		"spaces behind": {packed(t, `{"Entries":[`+entry+`]}`, strings.Repeat(" ", 30<<20)),
			"RequestEntityTooLargeException", 413},
		"one text": {packed(t, `{"Entries":[{"Detail":"`, strings.Repeat("x", 30<<20)),
			"RequestEntityTooLargeException", 413},
		"deep lists":   {packed(t, `{"a":`, million("[")), "SerializationException", 400},
		"deep entries": {packed(t, `{"Entries":`, million("[")), "SerializationException", 400},
		"deep resources": {packed(t, `{"Entries":[{"Resources":`, million("[")),
			"SerializationException", 400},
		"a number of a million digits": {packed(t, `{"Entries":[{"Time":`, million("9"), `}]}`),
			"SerializationException", 400},
		"a large exponent": {packed(t, `{"Entries":[{"Time":1e999999999}]}`), "SerializationException",
			400},
		"a key of a million letters":     {packed(t, `{"`, million("k"), `":1}`), "ValidationException", 400},
		"many empty members of the gzip": {bytes.Repeat(packed(t, ""), 40_000), "SerializationException", 400},
		"ten entries over the limit": {packed(t, `{"Entries":[`,
			strings.Repeat(`{"Source":"a","DetailType":"b","Detail":"`+strings.Repeat("x", 300_000)+`"},`, 9)+entry,
			`]}`), "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			h := plain(s)
			var w *httptest.ResponseRecorder
			used := cost(func() { w = call(h, bytes.NewReader(c.body), "gzip") })
			require.Equal(t, c.status, w.Code, w.Body.String())
			require.Contains(t, w.Body.String(), c.kind)
			require.Less(t, used, uint64(24<<20), "bytes allocated for a call of %d", len(c.body))
			if c.status != 200 {
				require.Empty(t, s.entries)
			}
		})
	}
}

func TestS4EncodingsOfACall(t *testing.T) {
	good := body
	twice := packed(t, string(packed(t, good)))
	var deflated bytes.Buffer
	f, err := flate.NewWriter(&deflated, 9)
	require.NoError(t, err)
	_, err = io.WriteString(f, good)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	zipped := packed(t, good)
	for name, c := range map[string]struct {
		body      []byte
		encodings []string
		status    int
	}{
		"plain":                      {[]byte(good), nil, 200},
		"identity":                   {[]byte(good), []string{"identity"}, 200},
		"gzip":                       {zipped, []string{"gzip"}, 200},
		"GZIP":                       {zipped, []string{" GZIP "}, 200},
		"gzip in two members":        {append(packed(t, good[:9]), packed(t, good[9:])...), []string{"gzip"}, 200},
		"gzip twice":                 {twice, []string{"gzip, gzip"}, 400},
		"gzip twice in two headers":  {twice, []string{"gzip", "gzip"}, 400},
		"gzip twice, named once":     {twice, []string{"gzip"}, 400},
		"gzip that is not named":     {zipped, nil, 400},
		"plain that is named gzip":   {[]byte(good), []string{"gzip"}, 400},
		"gzip that is cut":           {zipped[:len(zipped)-9], []string{"gzip"}, 400},
		"gzip without its check sum": {zipped[:len(zipped)-4], []string{"gzip"}, 400},
		"gzip with a wrong sum": {append(zipped[:len(zipped)-8:len(zipped)-8], 0, 0, 0, 0, 0, 0, 0, 0),
			[]string{"gzip"}, 400},
		"deflate":                    {deflated.Bytes(), []string{"deflate"}, 400},
		"br":                         {zipped, []string{"br"}, 400},
		"something behind":           {[]byte(good + "{}"), nil, 400},
		"Entries twice":              {[]byte(`{"Entries":[],"Entries":[]}`), nil, 400},
		"no list":                    {[]byte(`{"Entries":{}}`), nil, 400},
		"a list":                     {[]byte(`[]`), nil, 400},
		"null":                       {[]byte(`null`), nil, 400},
		"nothing":                    {nil, nil, 400},
		"cut":                        {[]byte(good[:40]), nil, 400},
		"Resources that are numbers": {[]byte(`{"Entries":[{"Resources":[1]}]}`), nil, 400},
		"Resources that are a text":  {[]byte(`{"Entries":[{"Resources":"a"}]}`), nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			// without a length, as when chunked
			w := call(plain(s), io.MultiReader(bytes.NewReader(c.body)), c.encodings...)
			require.Equal(t, c.status, w.Code, w.Body.String())
			require.Equal(t, c.status == 200, len(s.entries) == 1)
		})
	}
}

func TestResourcesCountAsTheRealServiceCountsThem(t *testing.T) {
	for resources, ok := range map[string]bool{
		`[]`: true, `null`: true, `[null]`: true, `["a\"b\\","\u00e9"]`: true,
		`["` + strings.Repeat("x", 262_000) + `"]`:                                        true,
		`["` + strings.Repeat("x", 131_072) + `","` + strings.Repeat("y", 131_073) + `"]`: false,
		`["` + strings.Repeat(`\u0061`, 200_000) + `"]`:                                   true,
	} {
		s := &store{}
		w := call(plain(s), strings.NewReader(`{"Entries":[{"Source":"a","DetailType":"b","Detail":"{}","Resources":`+
			resources+`}]}`))
		require.Equal(t, 200, w.Code)
		require.Equal(t, ok, len(s.entries) == 1, "%.40s %s", resources, w.Body)
	}
}

// slow is a disk that does not answer until it may.
type slow struct{ gate chan struct{} }

func (s *slow) Put(context.Context, []delivery.Entry) error {
	<-s.gate
	return nil
}

func TestS4CallsInProgressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{gate: make(chan struct{})}
		h := plain(s)
		codes := make(chan int, 100)
		for range 100 {
			go func() { codes <- call(h, strings.NewReader(body)).Code }()
		}
		for range 36 {
			require.Equal(t, http.StatusTooManyRequests, <-codes, "told to come again after a while")
		}
		close(s.gate)
		for range 64 {
			require.Equal(t, http.StatusOK, <-codes)
		}
		require.Equal(t, http.StatusOK, call(h, strings.NewReader(body)).Code)
	})
}

// full is a disk without room.
type full struct{}

func (full) Put(context.Context, []delivery.Entry) error { return errors.New("disk full") }

// TestAFullDiskIsNoFloodInTheLog: each call that was refused made a line, on a disk that can be that of the log.
func TestAFullDiskIsNoFloodInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := bus.Handler(bus.Config{Store: full{}, Name: "tocsin", NewID: func() string { return "1" }, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 120 { // a minute
			require.Equal(t, http.StatusInternalServerError, call(h, strings.NewReader(body)).Code)
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait() // the second line is of a timer's own goroutine
		said := strings.Split(strings.TrimSpace(log.String()), "\n")
		require.Len(t, said, 2, "the first, and those of a minute")
		require.Contains(t, said[0], `level=ERROR msg="events could not be stored" entries=1 error="disk full"`)
		require.Contains(t, said[1], "count=119")
	})
}

func TestS4BytesInProgressAreBounded(t *testing.T) {
	h := plain(&store{})
	server := httptest.NewServer(h)
	defer server.Close()
	half := `{"Entries":[` + strings.Repeat(`{"Source":"a","DetailType":"b","Detail":"{\"a\":\"`+
		strings.Repeat("x", 250_000)+`\"}"},`, 9)
	answers := make(chan int, 40)
	for range 40 { // 90 MB, none of it finished
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		go func() {
			_, _ = fmt.Fprintf(conn,
				"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: %s\r\nContent-Length: %d\r\n\r\n%s", bus.Target,
				len(half)+100, half)
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil { // the answer to a call that is still being sent can be lost with the connection
				answers <- http.StatusTooManyRequests
				return
			}
			_ = r.Body.Close()
			answers <- r.StatusCode
		}()
	}
	for range 40 - (32<<20)/len(half) { // one more may wait on the edge, where nothing small would have room
		select {
		case status := <-answers:
			require.Equal(t, http.StatusTooManyRequests, status)
		case <-time.After(patience.Long):
			t.Fatal("more is held than may be")
		}
	}
	status, _, _ := put(t, server.URL, nil)
	require.Equal(t, http.StatusOK, status, "what is small has room beside them")
}
