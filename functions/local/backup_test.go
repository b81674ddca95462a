package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/keyring"
)

const passphrase = "correct horse battery staple"

// sealedWith runs a command of the program with the passphrase in its environment.
func sealedWith(t *testing.T, secret string, args ...string) (said string, err error) {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, args...)
	c.Env = append(os.Environ(), "TOCSIN_PASSPHRASE="+secret)
	out, err := c.CombinedOutput()
	return string(out), err
}

// publishing sends events from several places until stop, and keeps the ids of those that were acknowledged.
type publishing struct {
	mu           sync.Mutex
	acknowledged []string
	wg           sync.WaitGroup
	stop         chan struct{}
}

func publish(p *embedded.Process, round int) *publishing {
	l := &publishing{stop: make(chan struct{})}
	for w := range 3 {
		l.wg.Go(func() {
			for n := 0; ; n += 5 {
				select {
				case <-l.stop:
					return
				default:
				}
				var ids []string
				var entries []embedded.Entry
				for k := range 5 {
					id := fmt.Sprintf("k-%d-%d", round, w*1_000_000+n+k)
					ids = append(ids, id)
					entries = append(entries, embedded.Entry{Source: "platform.test", DetailType: "new_hits",
						Detail: fmt.Sprintf(
							`{"version":1,"id":%q,"tenant":"42","client_name":"Acme","time":"2023-03-01T00:00:00Z","data":{"hit":{"type":"sqli","seq":%q}}}`, id, id)})
				}
				time.Sleep(5 * time.Millisecond)
				if p.Publish(entries...) != nil {
					return // the program is gone
				}
				l.mu.Lock()
				l.acknowledged = append(l.acknowledged, ids...)
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *publishing) soFar() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acknowledged)
}

// refusing is a receiver that can turn everything away for a while.
type refusing struct {
	*seen
	now atomic.Bool
}

func (r *refusing) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.now.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.seen.ServeHTTP(w, q)
}

// take returns what arrived so far, by event the ids of its deliveries, and forgets it.
func (s *seen) take() map[string]map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.deliveries
	s.deliveries = map[string]map[string]bool{}
	return out
}

// A backup is taken under load, the program is killed and its machine lost; a restore elsewhere delivers all that was
// acknowledged before the backup. What went out between the two comes again under the id it had.
func TestARestoreDrillLosesNothingThatWasAcknowledgedBefore(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	l, host, err := embedded.Listen()
	require.NoError(t, err)
	got := &refusing{seen: &seen{deliveries: map[string]map[string]bool{}}}
	server := &http.Server{Handler: got}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	flags := []string{"-allow", host, "-faster", "100", "-log-level", "error"}
	lost := t.TempDir()
	p, err := embedded.Start(binary, lost, flags...)
	require.NoError(t, err)
	require.NoError(t, hook(p, host))
	publisherKey(t, lost, "platform")
	load := publish(p, 0)
	enough := func(n int) {
		require.Eventually(t, func() bool { return len(load.soFar()) > n }, 2*time.Minute, 10*time.Millisecond)
	}
	enough(100)
	got.now.Store(true)
	enough(150)
	before := load.soFar()
	file := filepath.Join(t.TempDir(), "tocsin.backup")
	said, err := sealedWith(t, passphrase, append([]string{"backup", file}, files(lost)...)...)
	require.NoError(t, err, said)
	require.Contains(t, said, "It was read back and checked")
	require.Greater(t, len(load.soFar()), len(before), "the program took events in all the time")
	old := got.take()
	got.now.Store(false)
	require.Eventually(t, func() bool { return len(got.missing(before)) <= len(before)-20 }, 2*time.Minute,
		10*time.Millisecond, "some go out between the backup and the end")
	p.Kill()
	close(load.stop)
	load.wg.Wait()
	require.NoError(t, os.RemoveAll(lost))
	between := got.take()

	elsewhere := t.TempDir()
	said, err = sealedWith(t, passphrase, append([]string{"restore", file}, files(elsewhere)...)...)
	require.NoError(t, err, said)
	require.Contains(t, said, "with the same delivery id")
	p, err = embedded.Start(binary, elsewhere, flags...)
	require.NoError(t, err)
	defer p.Kill()
	names, _ := unreadable(t, p)
	require.Empty(t, names, "the key came back with the state")
	var waited []string // all that had not arrived at the backup
	for _, id := range before {
		if old[id] == nil {
			waited = append(waited, id)
		}
	}
	require.NotEmpty(t, waited)
	require.Eventually(t, func() bool { return len(got.missing(waited)) == 0 }, 2*time.Minute, 50*time.Millisecond,
		"events that were acknowledged before the backup and never arrived")
	repeats := compare(t, got.take(), old, between)
	require.GreaterOrEqual(t, repeats, 20)
	t.Logf("%d events acknowledged before the backup, of which %d waited; %d came again after the restore, with their "+
		"ids", len(before), len(waited), repeats)
}

// hook adds the receiver as a webhook that gets each event by itself.
func hook(p *embedded.Process, host string) error {
	return p.Call(http.MethodPost, "/v1/integrations", map[string]any{
		"system": "web_hooks", "name": "one", "events": []map[string]any{{"event": "siem"}},
		"parameters": map[string]any{"url": "http://" + host + "/", "max_events": 1},
	}, nil)
}

// compare wants what came again under the ids that it had, and counts it.
func compare(t *testing.T, now map[string]map[string]bool, earlier ...map[string]map[string]bool) (repeats int) {
	t.Helper()
	for id, by := range now {
		for _, had := range earlier {
			for delivery := range had[id] {
				require.Contains(t, by, delivery, "event %s came again under another id", id)
				repeats++
			}
		}
		require.Len(t, by, 1, "event %s came under two ids", id)
	}
	return repeats
}

// stopped is the folder of a stopped program, with a backup of it.
func stopped(t *testing.T) (folder, file string) {
	t.Helper()
	folder, file = furnished(t), filepath.Join(t.TempDir(), "tocsin.backup")
	said, err := sealedWith(t, passphrase, append([]string{"backup", file}, files(folder)...)...)
	require.NoError(t, err, said)
	require.Contains(t, said, "3 integrations")
	return folder, file
}

func TestABackupOfAStoppedProgramIsRestored(t *testing.T) {
	folder, file := stopped(t)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	key, err := os.ReadFile(folder + "/tocsin.key")
	require.NoError(t, err)
	require.NotContains(t, string(raw), string(key))
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing else is left there")

	said, err := sealedWith(t, passphrase, append([]string{"backup", file}, files(folder)...)...)
	require.Error(t, err)
	require.Contains(t, said, "is there already")
	said, err = sealedWith(t, passphrase, append([]string{"backup", "-replace", file}, files(folder)...)...)
	require.NoError(t, err, said)
	said, err = sealedWith(t, "short", append([]string{"backup", "-replace", file}, files(folder)...)...)
	require.Error(t, err)
	require.Contains(t, said, "at least 12 characters")

	elsewhere := t.TempDir()
	said, err = sealedWith(t, passphrase, append([]string{"restore", file}, files(elsewhere)...)...)
	require.NoError(t, err, said)
	left, err = os.ReadDir(elsewhere)
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	require.ElementsMatch(t, []string{"tocsin.db", "tocsin.db.lock", "tocsin.key", "tocsin.publishers"}, names)
	p := running(t, elsewhere)
	lost, all := unreadable(t, p)
	require.Empty(t, lost)
	require.Equal(t, 3, all)
	require.Contains(t, command(t, "publisher-key", "list", "-key", elsewhere+"/tocsin.key"), "platform")
}

func TestARestoreThatCanNotBeIsExplainedAndChangesNothing(t *testing.T) {
	folder, file := stopped(t)
	state, err := os.ReadFile(folder + "/tocsin.db")
	require.NoError(t, err)
	cut, letter := filepath.Join(t.TempDir(), "cut"), filepath.Join(t.TempDir(), "letter")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cut, raw[:len(raw)*2/3], 0o600))
	require.NoError(t, os.WriteFile(letter, []byte("a letter to my mother"), 0o600))
	for name, c := range map[string]struct{ secret, file, into, says string }{
		"another passphrase": {passphrase + "r", file, "", "the passphrase is not the one"},
		"a file cut off":     {passphrase, cut, "", "damaged or cut off"},
		"another file":       {passphrase, letter, "", "no file that `tocsin backup` wrote"},
		"no file":            {passphrase, file + "s", "", "no such file"},
		"a state is there":   {passphrase, file, folder, "say -replace"},
	} {
		t.Run(name, func(t *testing.T) {
			into := c.into
			if into == "" {
				into = t.TempDir()
			}
			said, err := sealedWith(t, c.secret, append([]string{"restore", c.file}, files(into)...)...)
			require.Error(t, err, said)
			require.Contains(t, said, c.says)
			if c.into == "" {
				require.NoFileExists(t, into+"/tocsin.db")
				require.NoFileExists(t, into+"/tocsin.key")
			}
		})
	}
	now, err := os.ReadFile(folder + "/tocsin.db")
	require.NoError(t, err)
	require.Equal(t, state, now)

	p := running(t, folder)
	said, err := sealedWith(t, passphrase, append([]string{"restore", "-replace", file}, files(folder)...)...)
	require.Error(t, err)
	require.Contains(t, said, "in use by another process")
	_, err = p.Stop()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(folder+"/tocsin.key", []byte("another"), 0o600))
	said, err = sealedWith(t, passphrase, append([]string{"restore", "-replace", file}, files(folder)...)...)
	require.NoError(t, err, said)
	require.Contains(t, said, "tocsin.db.before-restore-")
	require.Contains(t, said, "tocsin.key.before-restore-")
	p = running(t, folder)
	lost, all := unreadable(t, p)
	require.Empty(t, lost)
	require.Equal(t, 3, all)
}

func TestABackupWithoutTheRightKeyIsRefused(t *testing.T) {
	folder, file := stopped(t)
	require.NoError(t, os.Remove(folder+"/tocsin.key"))
	said, err := sealedWith(t, passphrase, append([]string{"backup", "-replace", file}, files(folder)...)...)
	require.Error(t, err)
	require.Contains(t, said, "name it with -key")
	other := t.TempDir()
	_, err = keyring.Open(other + "/tocsin.key")
	require.NoError(t, err)
	said, err = sealedWith(t, passphrase, "backup", "-replace", file, "-state", folder+"/tocsin.db", "-key",
		other+"/tocsin.key")
	require.Error(t, err)
	require.Contains(t, said, "3 of 3 secrets were sealed with another key")
	said, err = sealedWith(t, "", append([]string{"backup", "-replace", file}, files(folder)...)...)
	require.Error(t, err)
	require.Contains(t, said, "a passphrase is needed")
	require.FileExists(t, file, "the earlier one stays")
}
