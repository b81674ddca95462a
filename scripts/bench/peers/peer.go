package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
	"tocsin/scripts/ports"
)

// setting is what a program is started with.
type setting struct {
	folder   string // is empty, and goes after the run
	work     work
	receiver string // host and port
	ca       string // of the receiver's certificate, PEM; "" = it speaks plain HTTP
}

func (s setting) url() string {
	if s.ca != "" {
		return "https://" + s.receiver + "/hook"
	}
	return "http://" + s.receiver + "/hook"
}

// peer is a program that takes events and posts them. start and stop come by turns.
type peer interface {
	name() string
	start(setting) error
	// publish publishes what prepare made.
	prepare(events int)
	publish(w work, rate float64, accepted []time.Time) error
	stop() (cpu time.Duration, peakKiB int64, err error)
}

type tocsinPeer struct {
	binary string
	p      *embedded.Process
	bodies [][]byte
}

func (*tocsinPeer) name() string { return "Tocsin" }

func (t *tocsinPeer) start(s setting) (err error) {
	t.p, err = embedded.Start(t.binary, s.folder, "-allow", s.receiver, "-tenant", "bench", "-log-level", "error")
	if err != nil {
		return err
	}
	if err := load.Create(t.p, "receiver", s.url(), s.work.perRequest, s.ca); err != nil {
		t.p.Kill()
		return err
	}
	return nil
}

func (t *tocsinPeer) prepare(events int) {
	t.bodies = make([][]byte, 0, events/load.PerCall+1)
	for from := 0; from < events; from += load.PerCall {
		t.bodies = append(t.bodies, load.PutEvents(from, min(events, from+load.PerCall)))
	}
}

func (t *tocsinPeer) publish(w work, rate float64, accepted []time.Time) error {
	bus := load.NewBus(t.p.Bus)
	defer bus.Close()
	return paced(w, rate, func(_, from, to int) error {
		now := time.Now()
		for n := from; n < to; n++ {
			accepted[n] = now
		}
		return bus.Publish(t.bodies[from/load.PerCall])
	})
}

func (t *tocsinPeer) stop() (time.Duration, int64, error) {
	peak := load.PeakKiB(t.p.PID())
	usage, err := t.p.Stop()
	return load.CPU(usage), peak, err
}

// syslogPeer is syslog-ng in the foreground with a configuration of its own.
type syslogPeer struct {
	command *exec.Cmd
	said    strings.Builder
	at      string
	lines   [][]byte
}

func (*syslogPeer) name() string { return "syslog-ng" }

// configuration is that of syslog-ng 3.38 (its administration guide, "http: Posting messages over HTTP without Java"
// and "Enabling reliable disk-based buffering"). batch-timeout is left at its default: a batch goes when nothing waits.
const configuration = `@version: 3.38
options { stats-freq(0); flush-lines(100); };
source events {
	network(ip("127.0.0.1") port(%[1]s) transport("tcp") flags(no-parse) max-connections(64) log-iw-size(640000));
};
destination receiver {
	http(
		url("%[2]s") method("POST") headers("Content-Type: application/json") user-agent("syslog-ng")
		body("${MSG}") body-prefix("[") body-suffix("]") delimiter(",") batch-lines(%[3]d) workers(32) timeout(30)
		disk-buffer(reliable(yes) mem-buf-size(167772160) disk-buf-size(4294967296) dir("%[4]s"))
		%[5]s
	);
};
log { source(events); destination(receiver); flags(flow-control); };
`

func (s *syslogPeer) start(set setting) error {
	port, err := ports.Free()
	if err != nil {
		return err
	}
	secure := ""
	if set.ca != "" {
		path := filepath.Join(set.folder, "ca.pem")
		if err := os.WriteFile(path, []byte(set.ca), 0o600); err != nil {
			return err
		}
		secure = fmt.Sprintf("tls(ca-file(%q) peer-verify(yes))", path)
	}
	conf := filepath.Join(set.folder, "syslog-ng.conf")
	text := fmt.Sprintf(configuration, port, set.url(), set.work.perRequest, set.folder, secure)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	s.said.Reset()
	s.at = net.JoinHostPort("127.0.0.1", port)
	in := func(name string) string { return filepath.Join(set.folder, name) }
	s.command = exec.Command("syslog-ng", "--foreground", "--no-caps", "--stderr", "--cfgfile", conf, "--persist-file",
		in("persist"), "--pidfile", in("pid"), "--control", in("control"))
	s.command.Stdout, s.command.Stderr = &s.said, &s.said
	if err := s.command.Start(); err != nil {
		return fmt.Errorf("start syslog-ng: %w: install it with scripts/bench-peers", err)
	}
	for range 100 {
		c, err := net.Dial("tcp", s.at)
		if err == nil {
			return c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	_, _, err = s.stop()
	return errors.Join(fmt.Errorf("syslog-ng does not listen on %s\n%s", s.at, s.said.String()), err)
}

func (s *syslogPeer) prepare(events int) {
	s.lines = make([][]byte, 0, events/load.PerCall+1)
	for from := 0; from < events; from += load.PerCall {
		var portion []byte
		for n := from; n < min(events, from+load.PerCall); n++ {
			body := load.Payload(n) // an array of one
			portion = append(append(portion, body[1:len(body)-1]...), '\n')
		}
		s.lines = append(s.lines, portion)
	}
}

func (s *syslogPeer) publish(w work, rate float64, accepted []time.Time) error {
	connections := make([]net.Conn, w.connections)
	for n := range connections {
		c, err := net.Dial("tcp", s.at)
		if err != nil {
			return err
		}
		defer c.Close()
		connections[n] = c
	}
	return paced(w, rate, func(worker, from, to int) error {
		now := time.Now()
		for n := from; n < to; n++ {
			accepted[n] = now
		}
		_, err := connections[worker].Write(s.lines[from/load.PerCall])
		return err
	})
}

func (s *syslogPeer) stop() (time.Duration, int64, error) {
	peak := load.PeakKiB(s.command.Process.Pid)
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, 0, err
	}
	err := s.command.Wait()
	usage, _ := s.command.ProcessState.SysUsage().(*syscall.Rusage)
	if err != nil {
		return 0, 0, fmt.Errorf("syslog-ng: %w\n%s", err, s.said.String())
	}
	return load.CPU(usage), peak, nil
}

// certificate is that of a receiver on loopback.
type certificate struct {
	server *tls.Config
	pem    string
}

func selfSigned() (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "receiver"}, IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return certificate{}, err
	}
	return certificate{
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
			MinVersion: tls.VersionTLS12},
		pem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	}, nil
}
