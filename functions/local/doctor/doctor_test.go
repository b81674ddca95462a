package doctor

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/scripts/ports"
	"tocsin/shared/activity"
	"tocsin/shared/egress"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/mail"
	"tocsin/shared/publisher"
)

// authority signs what tests trust: the system's roots are this one.
var authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "doctor-")
	if err == nil {
		err = trust(filepath.Join(folder, "roots.pem"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

func trust(path string) (err error) {
	if authority.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority"}, IsCA: true,
		NotBefore: time.Now().AddDate(-3, 0, 0), NotAfter: time.Now().AddDate(3, 0, 0), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, &authority.key.PublicKey, authority.key)
	if err != nil {
		return err
	}
	if authority.cert, err = x509.ParseCertificate(raw); err != nil {
		return err
	}
	if err := os.Setenv("SSL_CERT_FILE", path); err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600)
}

// certify makes a certificate of 127.0.0.1 and console.example.com.
func certify(t *testing.T, from, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	of := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"console.example.com"}}
	raw, err := x509.CreateCertificate(rand.Reader, of, authority.cert, &private.PublicKey, authority.key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: raw},
		key: {Type: "PRIVATE KEY", Bytes: secret}} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

// healthy is an installation with an integration and a publisher, on a machine where all is well.
func healthy(t *testing.T) *Doctor {
	t.Helper()
	folder := t.TempDir()
	d := New(Installation{State: folder + "/tocsin.db", Key: folder + "/tocsin.key", Listen: "127.0.0.1:0",
		ListenBus: "127.0.0.1:0"})
	d.free = func(string) (uint64, error) { return 100 << 30, nil }
	d.sync = func(string) (time.Duration, error) { return time.Millisecond, nil }
	d.synced = func() (bool, error) { return true, nil }
	d.resolve = func(context.Context, string) error { return nil }
	db, err := sqlite.Open(t.Context(), d.State, sqlite.Options{})
	require.NoError(t, err)
	ring, err := keyring.Open(d.Key)
	require.NoError(t, err)
	sealed, err := ring.Seal(t.Context(), []byte("secret"), nil)
	require.NoError(t, err)
	require.NoError(t, db.Integrations().Create(t.Context(), integration.Integration{Tenant: "42", ID: "i",
		System: "web_hooks", Name: "Hook", Sealed: sealed,
		Parameters: []byte(`{"url":"https://hook.example.com:8443/path","n":1}`)}, activity.Record{}))
	require.NoError(t, db.Close())
	_, _, err = publisher.At(publisher.Beside(d.Key), ring, time.Now).Add(t.Context(), "platform")
	require.NoError(t, err)
	return d
}

// wants that a check finds something, with words of what it says or of how to mend it, and that nothing else is wrong.
func wants(t *testing.T, d *Doctor, name string, v Verdict, words string) {
	t.Helper()
	seen := false
	for _, f := range d.Examine(t.Context(), false) {
		require.NotEmpty(t, f.Says)
		if f.Check == name && f.Verdict == v && strings.Contains(f.Says+" -> "+f.Mend, words) {
			seen = true
			require.True(t, v == OK || v == Skipped || f.Mend != "", "it says how to mend it")
			continue
		}
		if f.Check != name && f.Check != "mail" {
			require.Contains(t, []Verdict{OK, Skipped}, f.Verdict, f)
		}
	}
	require.True(t, seen, "%s: %q is not among %v", name, words, d.Examine(t.Context(), false))
}

func TestAHealthyInstallationHasNoFault(t *testing.T) {
	d := healthy(t)
	all := d.Examine(t.Context(), false)
	require.Zero(t, Faults(all), all)
	for _, f := range all {
		if f.Check != "mail" {
			require.Equal(t, OK, f.Verdict, f)
		}
	}
	wants(t, d, "key", OK, "opens all 2 secrets")
	wants(t, d, "names", OK, "1 names")
	require.Less(t, len(d.Examine(t.Context(), true)), len(all), "offline leaves some out")
	var out bytes.Buffer
	require.NoError(t, Tell(&out, all, true))
	var said struct {
		Faults   int
		Findings []Finding
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &said))
	require.Equal(t, all, said.Findings)
	fresh := New(Installation{State: t.TempDir() + "/new/tocsin.db", Key: t.TempDir() + "/tocsin.key",
		Listen: "127.0.0.1:0", ListenBus: "127.0.0.1:0"})
	require.Zero(t, Faults(fresh.Examine(t.Context(), true)), "nothing is there before the first start")
	_, err := keyring.Open(fresh.Key)
	require.NoError(t, err)
	wants(t, fresh, "key", OK, "can be used; there is no secret yet")
}

func TestWhatIsWrongWithTheStateIsTold(t *testing.T) {
	d := healthy(t)
	require.NoError(t, os.Chmod(d.State, 0o644))
	wants(t, d, "state", Warning, "chmod 600")
	require.NoError(t, os.Chmod(d.State, 0o600))

	conn, err := driver.OpenConn(d.State, driver.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 9000", nil))
	wants(t, d, "state", Fault, "written by a newer release (layout 9000")
	require.NoError(t, sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 8", nil))
	wants(t, d, "state", OK, "the next start brings it to layout")
	require.NoError(t, conn.Close())

	raw, err := os.ReadFile(d.State)
	require.NoError(t, err)
	for at := 20 * 4096; at < len(raw); at += 4096 { // past the schema
		copy(raw[at:], bytes.Repeat([]byte{0xee}, 200))
	}
	require.NoError(t, os.WriteFile(d.State, raw, 0o600))
	wants(t, d, "state", Fault, "tocsin restore")
	require.NoError(t, os.WriteFile(d.State, bytes.Repeat([]byte("a letter"), 1000), 0o600))
	wants(t, d, "state", Fault, "can not be read")
	require.Equal(t, Skipped, d.key(t.Context())[0].Verdict)
	require.NoError(t, os.WriteFile(d.State, nil, 0o600))
	wants(t, d, "state", OK, "is empty")
}

func TestAFileOfAnotherOwnerIsTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	d := healthy(t)
	require.NoError(t, os.Chown(filepath.Dir(d.State), 65532, 65532))
	wants(t, d, "state", Fault, d.Key+" belongs to the user 0, its folder to 65532")
}

func TestWhatIsWrongWithTheDiskIsTold(t *testing.T) {
	d := healthy(t)
	for free, v := range map[uint64]Verdict{1 << 20: Fault, 500 << 20: Warning, 2 << 30: OK} {
		d.free = func(string) (uint64, error) { return free, nil }
		wants(t, d, "disk", v, fmt.Sprintf("%d MB are free", free>>20))
	}
	d.free = func(string) (uint64, error) { return 0, errors.New("no such call") }
	wants(t, d, "disk", Skipped, "is not known")
	d = healthy(t)
	d.sync = func(string) (time.Duration, error) { return time.Second, nil }
	wants(t, d, "disk", Warning, "a sync to")
	d.sync = func(string) (time.Duration, error) { return 0, errors.New("read-only file system") }
	wants(t, d, "disk", Fault, "read-only file system")
	d.sync = func(string) (time.Duration, error) {
		return 0, &os.PathError{Op: "write", Path: ".doctor-1", Err: syscall.ENOSPC}
	}
	wants(t, d, "disk", Fault, "no space left on device -> make room, or move the state to a larger disk")
	took, err := syncTime(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, took)
	_, err = syncTime(t.TempDir() + "/none")
	require.Error(t, err)
	free, err := freeBytes(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, free)
}

func TestWhatIsWrongWithTheKeyIsTold(t *testing.T) {
	d := healthy(t)
	require.NoError(t, os.Chmod(d.Key, 0o644))
	wants(t, d, "key", Fault, "chmod 600")
	require.NoError(t, os.Chmod(d.Key, 0o600))
	require.NoError(t, keyring.Rotate(d.Key))
	wants(t, d, "key", Warning, "2 of 2 secrets are sealed with an older key")
	require.NoError(t, os.WriteFile(publisher.Beside(d.Key), []byte("no JSON"), 0o600))
	wants(t, d, "key", Fault, "move it away and make new keys")
	require.NoError(t, os.Remove(publisher.Beside(d.Key)))
	require.NoError(t, os.WriteFile(d.Key, []byte("AAAA"), 0o600))
	wants(t, d, "key", Fault, "is not a key")
	require.NoError(t, os.Remove(d.Key))
	wants(t, d, "key", Fault, "is missing, and 1 secrets were sealed with it")
	_, err := keyring.Open(d.Key)
	require.NoError(t, err)
	wants(t, d, "key", Fault, "is not the one: 1 of 1 secrets")
}

func TestAWrongClockIsTold(t *testing.T) {
	d := healthy(t)
	d.now = func() time.Time { return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC) }
	wants(t, d, "clock", Fault, "timedatectl")
	d = healthy(t)
	d.built = time.Now().Add(time.Hour)
	wants(t, d, "clock", Fault, "this program was made at")
	d = healthy(t)
	require.NoError(t, os.Chtimes(d.State, time.Now(), time.Now().Add(time.Hour)))
	wants(t, d, "clock", Fault, "behind: "+d.State+" was written at")
	d = healthy(t)
	d.synced = func() (bool, error) { return false, nil }
	wants(t, d, "clock", OK, "does not say that NTP keeps it")
	d.synced = func() (bool, error) { return false, errors.New("not permitted") }
	wants(t, d, "clock", OK, "is not known")
}

func TestPortsThatAreTakenAreTold(t *testing.T) {
	said := `{"status":"ready"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(said))
	}))
	defer server.Close()
	d := healthy(t)
	at := strings.TrimPrefix(server.URL, "http://")
	d.Listen = at
	wants(t, d, "ports", Fault, "choose another with -listen")
	d.Listen, d.ListenBus = "127.0.0.1:0", at
	wants(t, d, "ports", Fault, "choose another with -listen-bus")
	d.ListenBus, d.ListenMetrics = "127.0.0.1:0", at
	wants(t, d, "ports", Fault, "choose another with -listen-metrics")
	d.ListenBus, d.ListenMetrics = at, ""
	d.Listen = "192.0.2.1:0" // RFC 5737: nobody's
	wants(t, d, "ports", Fault, "this machine has no such address: name one of its own with -listen")
	d.Listen = "127.0.0.1:0"

	release, err := sqlite.Hold(d.State) // as a running program does
	require.NoError(t, err)
	wants(t, d, "ports", OK, "a program has the state file")
	d.Listen, d.ListenBus = at, "127.0.0.1:0"
	wants(t, d, "ports", OK, "and is ready")
	said = `{"status":"unready","reasons":["the disk is full"]}`
	wants(t, d, "ports", Fault, "is not ready: the disk is full")
	said = "a page"
	wants(t, d, "ports", Fault, "is not Tocsin")
	require.NoError(t, release())
}

func TestWhatIsWrongWithTheCertificateIsTold(t *testing.T) {
	d := healthy(t)
	now := time.Now()
	d.TLSCert, d.TLSKey = certify(t, now.Add(-time.Hour), now.AddDate(0, 3, 0))
	d.PublicURL = "https://console.example.com"
	wants(t, d, "certificate", OK, "is good until")
	d.PublicURL = "https://other.example.com"
	wants(t, d, "certificate", Fault, "make one for other.example.com")
	d.PublicURL = ""
	d.TLSCert, d.TLSKey = certify(t, now.Add(-time.Hour), now.AddDate(0, 0, 3))
	wants(t, d, "certificate", Warning, "renew it")
	d.TLSCert, d.TLSKey = certify(t, now.AddDate(0, -2, 0), now.AddDate(0, 0, -1))
	wants(t, d, "certificate", Fault, "ended at")
	d.TLSCert, d.TLSKey = certify(t, now.Add(time.Hour), now.AddDate(0, 3, 0))
	wants(t, d, "certificate", Fault, "is not good before")
	_, d.TLSKey = certify(t, now, now.AddDate(0, 3, 0))
	wants(t, d, "certificate", Fault, "does not match")
}

func TestAWayOutThatIsShutIsTold(t *testing.T) {
	d := healthy(t)
	d.UnusedProxy = []string{"HTTPS_PROXY"}
	wants(t, d, "egress", Warning, "HTTPS_PROXY")
	port, err := ports.Free()
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	require.NoError(t, err)
	d.UnusedProxy = nil
	d.Proxy, err = egress.ParseProxy("http://user:secret@" + l.Addr().String())
	require.NoError(t, err)
	d.ProxyAddress = d.Proxy.String()
	wants(t, d, "egress", OK, "answers")
	require.NoError(t, l.Close())
	wants(t, d, "egress", Fault, "does not answer")
}

func TestNamesThatAreNotResolvedAreTold(t *testing.T) {
	d := New(Installation{State: t.TempDir() + "/none.db"})
	require.Equal(t, []Finding{{"names", OK, "there are no names to resolve", ""}}, d.names(t.Context()))
	d = healthy(t)
	d.PublicURL = "https://console.example.com"
	wants(t, d, "names", OK, "2 names")
	d.resolve = func(_ context.Context, host string) error {
		if host == "hook.example.com" {
			return errors.New("no such host")
		}
		return nil
	}
	wants(t, d, "names", Fault, "hook.example.com (integration i of tenant 42, web_hooks) can not be resolved")
	d.resolve = func(context.Context, string) error { return errors.New("no such host") }
	wants(t, d, "names", Fault, "console.example.com (-public-url)")
	require.Error(t, resolve(t.Context(), "no-such-host.invalid"))
}

// TestAResolverThatIsSlowMakesNoNameAFaultThatWasNotAsked: of the names of many integrations those alone are faults
// that the resolver was asked for.
func TestAResolverThatIsSlowMakesNoNameAFaultThatWasNotAsked(t *testing.T) {
	d := healthy(t)
	db, err := sqlite.Open(t.Context(), d.State, sqlite.Options{})
	require.NoError(t, err)
	addresses := map[string]string{}
	for n := range 39 {
		addresses[fmt.Sprint("url", n)] = fmt.Sprintf("https://hook-%d.example.com/", n)
	}
	parameters, err := json.Marshal(addresses)
	require.NoError(t, err)
	require.NoError(t, db.Integrations().Create(t.Context(), integration.Integration{Tenant: "42", ID: "j",
		System: "web_hooks", Name: "Hooks", Parameters: parameters},
		activity.Record{Entry: activity.Entry{ID: "e2", At: time.Now(), Actor: activity.System("42")}}))
	require.NoError(t, db.Close())
	wants(t, d, "names", OK, "40 names")
	d.within = 50 * time.Millisecond
	d.resolve = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	count := map[Verdict]int{}
	for _, f := range d.names(t.Context()) {
		if count[f.Verdict]++; f.Verdict == Skipped {
			require.Equal(t, "24 of 40 names were not looked up: the resolver took longer than 50ms for the others",
				f.Says)
		}
	}
	require.Equal(t, map[Verdict]int{Fault: 16, Skipped: 1}, count)
}

func TestASlowCheckSaysWhatIsWaitedFor(t *testing.T) {
	d := healthy(t)
	told := make(chan string, 10)
	d.Slow = func(check string) { told <- check }
	d.resolve = func(context.Context, string) error {
		if check := <-told; check != "names" {
			return errors.New("told of " + check)
		}
		return nil
	}
	wants(t, d, "names", OK, "1 names")
}

// mailServer greets, and offers STARTTLS with a certificate; "" = it offers none.
func mailServer(t *testing.T, cert, key string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	var config *tls.Config
	if cert != "" {
		held, err := tls.LoadX509KeyPair(cert, key)
		require.NoError(t, err)
		config = &tls.Config{Certificates: []tls.Certificate{held}}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go converse(conn, config)
		}
	}()
	return l.Addr().String()
}

func converse(conn net.Conn, config *tls.Config) {
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte("220 mail.example.com\r\n"))
	raw := make([]byte, 1000)
	for {
		n, err := conn.Read(raw)
		if err != nil {
			return
		}
		switch line := strings.ToUpper(string(raw[:n])); {
		case strings.HasPrefix(line, "EHLO") && config != nil:
			_, _ = conn.Write([]byte("250-mail.example.com\r\n250 STARTTLS\r\n"))
		case strings.HasPrefix(line, "STARTTLS"):
			_, _ = conn.Write([]byte("220 go on\r\n"))
			conn, config = tls.Server(conn, config), nil
		case strings.HasPrefix(line, "QUIT"):
			_, _ = conn.Write([]byte("221 bye\r\n"))
			return
		default:
			_, _ = conn.Write([]byte("250 mail.example.com\r\n"))
		}
	}
}

func TestWhatIsWrongWithTheMailServerIsTold(t *testing.T) {
	d := healthy(t)
	wants(t, d, "mail", Warning, "nobody gets them")
	now := time.Now()
	at := func(where string) {
		var err error
		d.Mail, err = mail.NewSMTP(where, "a@example.com", mail.Sessions{}, time.Now)
		require.NoError(t, err)
	}
	at("smtp://" + mailServer(t, "", ""))
	wants(t, d, "mail", Warning, "unencrypted")
	cert, key := certify(t, now.Add(-time.Hour), now.AddDate(0, 3, 0))
	at("smtp://" + mailServer(t, cert, key))
	wants(t, d, "mail", OK, "over TLS")
	wants(t, d, "mail", OK, "is good until")
	cert, key = certify(t, now.Add(-time.Hour), now.AddDate(0, 0, 2))
	at("smtp://" + mailServer(t, cert, key))
	wants(t, d, "mail", Warning, "renew it")
	cert, key = certify(t, now.AddDate(0, -1, 0), now.AddDate(0, 0, -2))
	at("smtp://" + mailServer(t, cert, key))
	wants(t, d, "mail", Fault, "expired")
	at("smtp://user:secret@" + mailServer(t, "", ""))
	wants(t, d, "mail", Fault, "offers no way to sign in")
	at("smtp://127.0.0.1:1")
	wants(t, d, "mail", Fault, "the mail server 127.0.0.1:1")
}

// What a start finds is logged with how to mend it, and what is well is not.
func TestAStartLogsWhatIsWrong(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	d := healthy(t)
	d.AtStart(t.Context(), log)
	require.Empty(t, out.String())
	d.free = func(string) (uint64, error) { return 1 << 20, nil }
	d.sync = func(string) (time.Duration, error) { return time.Second, nil }
	d.AtStart(t.Context(), log)
	require.Contains(t, out.String(), "level=ERROR")
	require.Contains(t, out.String(), "level=WARN")
	require.Contains(t, out.String(), "move the state to a faster disk")
}
