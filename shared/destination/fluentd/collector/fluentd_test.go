package collector_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/fluentd"
	"tocsin/shared/egress"
)

// program is Fluentd, from TOCSIN_FLUENTD or the path. No registry that the build reaches has it (it is a gem), so its
// tests are skipped there: run them where Fluentd 1.16 or later is installed with fluent-plugin-remote_syslog and
// fluent-plugin-datadog.
func program(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("TOCSIN_FLUENTD"); p != "" {
		return p
	}
	p, err := exec.LookPath("fluentd")
	if err != nil {
		t.Skip("Fluentd is not installed (or name it: TOCSIN_FLUENTD=/path/to/fluentd)")
	}
	return p
}

// collector is a running Fluentd.
type collector struct {
	url string
	ca  string // PEM
	log *output
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs Fluentd on a configuration as it stands, with its hosts and ports from the environment.
func start(t *testing.T, config string, env ...string) collector {
	t.Helper()
	path := program(t)
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	port, err := ports.Free()
	require.NoError(t, err)
	c := collector{url: fmt.Sprintf("https://127.0.0.1:%s/platform", port), ca: cert, log: &output{}}
	cmd := exec.Command(path, "-c", config, "-p", "plugin", "--no-supervisor")
	cmd.Env = append(os.Environ(), "TOCSIN_PORT="+port, "TOCSIN_CERT="+filepath.Join(dir, "cert.pem"),
		"TOCSIN_KEY="+key, "TOCSIN_BUFFER="+dir)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			_ = cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("Fluentd said:\n%s", c.log)
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 100*time.Millisecond, "Fluentd did not start")
	return c
}

// send passes one notification of each kind through the destination and the product's own way out.
func (c collector) send(t *testing.T) (kinds []string) {
	t.Helper()
	parameters, err := json.Marshal(map[string]any{"url": c.url, "ca_file": c.ca, "max_events": 10})
	require.NoError(t, err)
	suite := destinationtest.Case{Destination: fluentd.New(), Parameters: string(parameters)}
	ns := destinationtest.Notifications(fluentd.New().System())
	for _, n := range ns {
		kinds = append(kinds, string(n.Event.Kind))
	}
	out := egress.New(egress.Policy{Allow: []string{"127.0.0.1"}}, egress.Options{})
	for _, r := range destinationtest.Encode(t, suite, ns...) {
		answer, err := out.Do(context.Background(), r)
		require.NoError(t, err)
		require.Equal(t, destination.Delivered(), fluentd.New().Judge(answer), "%s", answer.Body)
	}
	return kinds
}

// collect waits for as many entries as were sent.
func collect[T any](t *testing.T, n int, in <-chan T) []T {
	t.Helper()
	var got []T
	for deadline := time.After(40 * time.Second); len(got) < n; {
		select {
		case v := <-in:
			got = append(got, v)
		case <-deadline:
			t.Fatalf("%d of %d arrived", len(got), n)
		}
	}
	return got
}

func TestQRadar(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	received := make(chan string, 1000)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				for s := bufio.NewScanner(conn); s.Scan(); {
					received <- s.Text()
				}
			}()
		}
	}()
	c := start(t, "qradar.conf", "QRADAR_HOST=127.0.0.1",
		fmt.Sprint("QRADAR_PORT=", listener.Addr().(*net.TCPAddr).Port))
	kinds := c.send(t)
	syslog(t, kinds, collect(t, len(kinds), received), parseLEEF)
}

func TestArcSight(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	received := make(chan string, 1000)
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			received <- strings.TrimRight(string(b[:n]), "\n")
		}
	}()
	c := start(t, "arcsight.conf", "ARCSIGHT_HOST=127.0.0.1",
		fmt.Sprint("ARCSIGHT_PORT=", conn.LocalAddr().(*net.UDPAddr).Port))
	kinds := c.send(t)
	syslog(t, kinds, collect(t, len(kinds), received), parseCEF)
}

// syslog takes the header of RFC 3164 off each line and parses the rest.
func syslog(t *testing.T, kinds, received []string, parse func(*testing.T, string) map[string]string) {
	t.Helper()
	header := regexp.MustCompile(`^<134>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ tocsin: `) // local0, info
	var got []string
	for _, line := range received {
		at := header.FindStringIndex(line)
		require.NotNil(t, at, line)
		fields := parse(t, line[at[1]:])
		require.NotEmpty(t, fields["msg"])
		got = append(got, fields["kind"])
	}
	require.ElementsMatch(t, kinds, got)
}

func TestSplunk(t *testing.T) {
	const token = "9ef39be7-5bd1-4e2a-a0a6-ccb7b9a5b9a5"
	received := make(chan map[string]any, 1000)
	refuse := make(chan struct{}, 1)
	refuse <- struct{}{}
	hec := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-refuse: // a token that is being replaced: nothing may be lost
			w.WriteHeader(http.StatusForbidden)
			return
		default:
		}
		if r.URL.Path != "/services/collector/event" || r.Header.Get("Authorization") != "Splunk "+token {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for dec := json.NewDecoder(r.Body); ; {
			var e map[string]any
			err := dec.Decode(&e)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || e["event"] == nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			received <- e
		}
		_, _ = io.WriteString(w, `{"text":"Success","code":0}`)
	}))
	defer hec.Close()
	c := start(t, "splunk.conf", "SPLUNK_HEC_URL="+hec.URL, "SPLUNK_HEC_TOKEN="+token, "SSL_CERT_FILE="+trusted(t, hec))
	kinds := c.send(t)
	var got []string
	for _, e := range collect(t, len(kinds), received) {
		require.Equal(t, "_json", e["sourcetype"])
		require.IsType(t, float64(0), e["time"])
		envelope := e["event"].(map[string]any)
		require.NotEmpty(t, envelope["summary"])
		kind := envelope["details"].(map[string]any)["notification_type"].(string)
		if kind == "new_hits" {
			require.InDelta(t, 1677628800, e["time"], 0.1, "a hit is filed under its own time")
		}
		got = append(got, kind)
	}
	require.ElementsMatch(t, kinds, got)
}

func TestDatadog(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	received := make(chan map[string]any, 1000)
	intake := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			body = z
		}
		var logs []map[string]any
		if r.URL.Path != "/api/v2/logs" || r.Header.Get("DD-API-KEY") != key ||
			json.NewDecoder(body).Decode(&logs) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, l := range logs {
			received <- l
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer intake.Close()
	host, port, err := net.SplitHostPort(intake.Listener.Addr().String())
	require.NoError(t, err)
	c := start(t, "datadog.conf", "DD_HOST="+host, "DD_PORT="+port, "DD_API_KEY="+key, "SSL_CERT_FILE="+
		trusted(t, intake))
	kinds := c.send(t)
	var got []string
	for _, l := range collect(t, len(kinds), received) {
		require.NotEmpty(t, l["message"])
		require.Equal(t, "tocsin", l["ddsource"])
		require.Contains(t, l["ddtags"], "integration:fluentd")
		kind := l["details"].(map[string]any)["notification_type"].(string)
		if want := map[string]string{"vuln": "warn", "new_hits": "warn", "security_issue": "critical",
			"create_user": "info"}[kind]; want != "" {
			require.Equal(t, want, l["status"])
		}
		got = append(got, kind)
	}
	require.ElementsMatch(t, kinds, got)
}

// trusted writes the certificate of a test server to a file, for the collector to trust.
func trusted(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t,
		os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return path
}

// certificate makes one for 127.0.0.1 that is its own authority, and returns its PEM and the path of its key.
func certificate(t *testing.T, dir string) (cert, keyPath string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "collector"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	keyPath = filepath.Join(dir, "key.pem")
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	require.NoError(t, os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), []byte(cert), 0o600))
	return cert, keyPath
}
