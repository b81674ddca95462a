package load_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/bench/load"
	"tocsin/shared/patience"
)

// post sends a payload with a client that is not ours.
func post(r *load.Receiver, path string, body []byte) (status int, err error) {
	a, err := http.Post("http://"+r.Host+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer a.Body.Close()
	_, err = io.Copy(io.Discard, a.Body)
	return a.StatusCode, err
}

func done(t *testing.T, r *load.Receiver) {
	t.Helper()
	select {
	case <-r.Done:
	case <-time.After(patience.Long):
		t.Fatal("not everything arrived")
	}
}

func TestAReceiverCountsEachEventAsOftenAsItIsWanted(t *testing.T) {
	r, err := load.NewReceiver(3, 2, nil)
	require.NoError(t, err)
	defer r.Close()
	both := bytes.Join([][]byte{load.Payload(0), load.Payload(1)}, []byte(","))
	for _, body := range [][]byte{both, both, both, load.Payload(9_999_999)} {
		status, err := post(r, "/hook", body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
	require.EqualValues(t, 4, r.Count.Load())
	require.EqualValues(t, 2, r.Repeated.Load())
	for range 2 {
		_, err = post(r, "/hook", load.Payload(2))
		require.NoError(t, err)
	}
	done(t, r)
	require.NoError(t, r.Err())
}

func TestAReceiverReadsWhatComesInPiecesAndTogether(t *testing.T) {
	r, err := load.NewReceiver(2000, 1, nil)
	require.NoError(t, err)
	defer r.Close()
	var all []byte
	for n := range 2 {
		q := fmt.Sprintf("POST /hook HTTP/1.1\r\ncontent-length: %d\r\nHost: x\r\n\r\n", len(load.Payload(n)))
		all = append(append(all, q...), load.Payload(n)...)
	}
	var long []byte
	for n := 2; n < 2000; n++ {
		long = append(long, load.Payload(n)...)
	}
	all = fmt.Appendf(all, "POST /hook HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(long))
	conn, err := net.Dial("tcp", r.Host)
	require.NoError(t, err)
	defer conn.Close()
	for n := range all[:300] {
		_, err = conn.Write(all[n : n+1])
		require.NoError(t, err)
	}
	_, err = conn.Write(all[300:])
	require.NoError(t, err)
	const fine, goOn = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"
	answers := make([]byte, len(fine+fine+goOn))
	_, err = io.ReadFull(conn, answers)
	require.NoError(t, err)
	require.Equal(t, fine+fine+goOn, string(answers))
	_, err = conn.Write(long)
	require.NoError(t, err)
	done(t, r)
	require.NoError(t, r.Err())
}

func TestAReceiverSaysWhatItDoesNotUnderstand(t *testing.T) {
	for name, q := range map[string]string{
		"another method": "GET /hook HTTP/1.1\r\nHost: x\r\n\r\n",
		"another path":   "POST /other HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"no length":      "POST /hook HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunks":         "POST /hook HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		"a wrong length": "POST /hook HTTP/1.1\r\nContent-Length: -2\r\n\r\n",
		"no event":       "POST /hook HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
		"a wrong number": "POST /hook HTTP/1.1\r\nContent-Length: 11\r\n\r\n\"seq\":\"12a4",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := load.NewReceiver(1, 1, nil)
			require.NoError(t, err)
			defer r.Close()
			conn, err := net.Dial("tcp", r.Host)
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, q)
			require.NoError(t, err)
			answer, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Contains(t, string(answer), "HTTP/1.1 400 ")
			require.Error(t, r.Err())
		})
	}
}

func TestWhatHangsEndsWithTheReceiver(t *testing.T) {
	r, err := load.NewReceiver(1, 1, nil)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := post(r, "/hang", load.Payload(0))
		ended <- err
	}()
	require.Never(t, func() bool { return len(ended) > 0 }, 20*time.Millisecond, time.Millisecond)
	r.Close()
	require.Error(t, <-ended)
}

func TestAPublisherTakesNothingForAcceptedThatWasRefused(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"taken": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}`)
		},
		"one was refused": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"FailedEntryCount":1,"Entries":[{"ErrorCode":"x"}]}`)
		},
		"slow down": func(w http.ResponseWriter) { http.Error(w, `{"FailedEntryCount":0}`, http.StatusTooManyRequests) },
		"no answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"half of it": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "99")
			_, _ = io.WriteString(w, "{")
		},
		"something":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") },
		"endless":      func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 100<<10)) },
		"without size": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 2)
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				body, _ := io.ReadAll(q.Body)
				got <- q.Method + q.URL.Path + q.Header.Get("X-Amz-Target") + string(body)
				answer(w)
			}))
			defer s.Close()
			b := load.NewBus(s.URL)
			defer b.Close()
			for range 2 {
				err := b.Publish([]byte("body"))
				require.Equal(t, name == "taken", err == nil, err)
				require.Equal(t, "POST/AWSEvents.PutEventsbody", <-got)
			}
		})
	}
}
