package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

const (
	// silentTenants share the integrations that never get an answer.
	silentTenants = 5
	// silentRounds is how often the quiet tenant is looked at beside them, a minute apart.
	silentRounds = 4
)

// mute accepts connections and never says a word on them.
type mute struct {
	listener net.Listener
	host     string
	open     atomic.Int64
}

func newMute() (*mute, error) {
	l, host, err := embedded.Listen()
	if err != nil {
		return nil, err
	}
	m := &mute{listener: l, host: host}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.open.Add(1)
			go m.hold(c)
		}
	}()
	return m, nil
}

// hold reads on, so that the connection is as good as any, until the other side gives up.
func (m *mute) hold(c net.Conn) {
	defer m.open.Add(-1)
	defer c.Close()
	for buf := make([]byte, 4096); ; {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// silence gives several tenants many integrations whose systems accept a connection and never answer, and looks how
// long another tenant's events take, what the program holds, and how it stops.
func (t *trials) silence() error {
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	silent, err := newMute()
	if err != nil {
		return err
	}
	defer silent.listener.Close()
	r, err := newReceiver((2+silentRounds)*quietEvents, false)
	if err != nil {
		return err
	}
	defer r.close()
	own, metrics, err := embedded.Listen()
	if err != nil {
		return err
	}
	_ = own.Close()
	p, err := t.start(folder, "-allow", r.host+","+silent.host, "-tenant-requests", "0", "-token-requests", "0",
		"-listen-metrics", metrics)
	if err != nil {
		return err
	}
	defer func() { p.Kill() }()
	if err := quietTenant(p, r); err != nil {
		return err
	}
	c, next := load.Client(1), 0
	if err := arriving(p, c, r, &next, "alone"); err != nil {
		return err
	}
	if err := t.silenced(p, "http://"+silent.host+"/hook"); err != nil {
		return err
	}
	held(p, silent, metrics)
	weigh(p, folder)
	for round := range silentRounds {
		for n := range silentTenants {
			if err := p.PublishRaw(c, load.PutEventsOf(tenantOf(n), 10*round, 10*round+10)); err != nil {
				return err
			}
		}
		time.Sleep(time.Minute)
		held(p, silent, metrics)
		weigh(p, folder)
		if err := arriving(p, c, r, &next, fmt.Sprintf("beside %d integrations that get no answer, after %d min",
			t.silent, round+1)); err != nil {
			return err
		}
	}
	return timed("it stops as on Ctrl-C", func() error {
		_, err := p.Stop()
		return err
	})
}

// silenced makes the integrations.
func (t *trials) silenced(p *embedded.Process, url string) error {
	for n := range silentTenants {
		of, err := p.As(fmt.Sprintf("admin@%s.example.com", tenantOf(n)), tenantOf(n))
		if err != nil {
			return err
		}
		if err := load.Parallel(load.Publishers, t.silent/silentTenants, func(k int) error {
			return load.Create(of, fmt.Sprintf("receiver %d", k), url, 1, "")
		}); err != nil {
			return err
		}
	}
	return nil
}

// held says how many connections, open files and goroutines the program has.
func held(p *embedded.Process, m *mute, metrics string) {
	files, _ := os.ReadDir("/proc/" + strconv.Itoa(p.PID()) + "/fd")
	goroutines := "?"
	if r, err := http.Get("http://" + metrics + "/metrics"); err == nil {
		raw, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		for line := range strings.Lines(string(raw)) {
			if n, ok := strings.CutPrefix(line, "go_goroutines "); ok {
				goroutines = strings.TrimSpace(n)
			}
		}
	}
	say("%d connections to the systems, %d open files, %s goroutines", m.open.Load(), len(files), goroutines)
}
