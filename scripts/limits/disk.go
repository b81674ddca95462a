package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// Sizes of the trial of a full disk.
const (
	diskSize = "48m"
	ballast  = 16 << 20 // bytes that are freed
	overfull = 400_000  // events, more than the disk holds
)

// put publishes ten events and says what was answered.
func put(p *embedded.Process, c *http.Client, call int) (answer string, ok bool, err error) {
	q, err := http.NewRequest(http.MethodPost, p.Bus+"/", bytes.NewReader(load.PutEvents(10*call, 10*call+10)))
	if err != nil {
		return "", false, err
	}
	q.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	q.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r, err := c.Do(q)
	if err != nil {
		return "", false, err
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	ok = r.StatusCode == http.StatusOK && bytes.Contains(raw, []byte(`"FailedEntryCount":0`))
	return fmt.Sprintf("%d %s", r.StatusCode, raw), ok, err
}

// ready is what /readyz answers.
func ready(p *embedded.Process) string {
	r, err := http.Get(p.Bus + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", r.StatusCode, strings.TrimSpace(string(raw)))
}

// mounted is a folder on a disk of its own, with the ballast on it; "" when that can not be.
func mounted() (folder string, clean func(), err error) {
	folder, remove, err := temporary()
	if err != nil {
		return "", nil, err
	}
	mount := exec.Command("mount", "-t", "tmpfs", "-o", "size="+diskSize, "tmpfs", folder)
	if out, err := mount.CombinedOutput(); err != nil {
		remove()
		say("SKIPPED: no disk of %s can be mounted: %s", diskSize, bytes.TrimSpace(out))
		return "", func() {}, nil
	}
	clean = func() {
		_ = exec.Command("umount", folder).Run()
		remove()
	}
	if err := os.WriteFile(folder+"/ballast", make([]byte, ballast), 0o600); err != nil {
		clean()
		return "", nil, err
	}
	return folder, clean, nil
}

// filling publishes calls one after the other.
type filling struct {
	p    *embedded.Process
	c    *http.Client
	next int   // call
	kept []int // calls that were answered with ids
}

// put publishes the next call.
func (f *filling) put() (answer string, ok bool, err error) {
	answer, ok, err = put(f.p, f.c, f.next)
	if ok {
		f.kept = append(f.kept, f.next)
	}
	f.next++
	return answer, ok, err
}

// fill publishes until fifty calls were refused, and says in which words.
func (f *filling) fill() error {
	said := map[string]bool{}
	for refused := 0; refused < 50; {
		answer, ok, err := f.put()
		if err != nil {
			return err
		}
		if ok {
			continue
		}
		if refused++; !said[answer] {
			said[answer] = true
			say("answer after %d events: %s", 10*len(f.kept), answer)
		}
		if f.next > overfull/10-100 {
			return errors.New("the disk is not full")
		}
	}
	return nil
}

// resume publishes until a call is taken again and the program says that it is ready.
func (f *filling) resume() error {
	begin, taken := time.Now(), false
	for time.Since(begin) < time.Minute {
		if !taken {
			_, ok, err := f.put()
			if err != nil {
				return err
			}
			if taken = ok; ok {
				say("events are taken again after %s", time.Since(begin).Round(time.Millisecond))
			}
		}
		if said := ready(f.p); taken && strings.HasPrefix(said, "200") {
			say("readyz after %s: %s", time.Since(begin).Round(time.Millisecond), said)
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("a minute after there was room the program is not ready")
}

// fullDisk fills a disk, looks what is answered, makes room, and counts.
func (t *trials) fullDisk() error {
	folder, clean, err := mounted()
	if err != nil || folder == "" {
		return err
	}
	defer clean()
	r, p, err := t.receiving(folder, overfull)
	if err != nil {
		return err
	}
	defer r.close()
	defer p.Kill()
	say("%s of disk, of which %d MiB are used by something else; publishing until it is full", diskSize, ballast>>20)
	f := &filling{p: p, c: load.Client(load.Publishers)}
	if err := f.fill(); err != nil {
		return err
	}
	say("readyz: %s", ready(p))
	say("resident %d MiB; freeing %d MiB", resident(p.PID()), ballast>>20)
	if err := os.Remove(folder + "/ballast"); err != nil {
		return err
	}
	if err := f.resume(); err != nil {
		return err
	}
	return arrived(r, f.kept, f.next)
}

// receiving starts the program with a webhook that is answered.
func (t *trials) receiving(folder string, events int) (*receiver, *embedded.Process, error) {
	r, err := newReceiver(events, false)
	if err != nil {
		return nil, nil, err
	}
	p, err := t.start(folder, "-allow", r.host)
	if err != nil {
		r.close()
		return nil, nil, err
	}
	if err := load.Create(p, "receiver", "http://"+r.host+"/hook", 100, ""); err != nil {
		p.Kill()
		r.close()
		return nil, nil, err
	}
	return r, p, nil
}

// arrived says whether what was kept came, and nothing else.
func arrived(r *receiver, kept []int, calls int) error {
	if !waitFor(r.count.Load, int64(10*len(kept))) {
		return fmt.Errorf("only %d of %d events arrived that were answered with an id", r.count.Load(), 10*len(kept))
	}
	is := map[int]bool{}
	for _, call := range kept {
		is[call] = true
	}
	for n := range 10 * calls {
		if came := r.seen[n].Load() > 0; came != is[n/10] {
			return fmt.Errorf("event %d arrived: %t; it was answered with an id: %t", n, came, is[n/10])
		}
	}
	say("all %d events that were answered with an id arrived, and none of the %d that were refused", 10*len(kept),
		10*(calls-len(kept)))
	return nil
}

// syncDelay is how long each sync of the slow disk takes.
const syncDelay = 500 * time.Millisecond

// slowDisk has each sync take half a second.
func (t *trials) slowDisk() error {
	if _, err := exec.LookPath("strace"); err != nil {
		say("SKIPPED: strace is missing, which makes the disk slow")
		return nil
	}
	folder, clean, err := temporary()
	if err != nil {
		return err
	}
	defer clean()
	const calls = 200
	r, p, err := t.receiving(folder, 10*calls)
	if err != nil {
		return err
	}
	defer r.close()
	defer p.Kill()
	slow := exec.Command("strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
		fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", syncDelay.Microseconds()), "-p", fmt.Sprint(p.PID()))
	if err := slow.Start(); err != nil {
		return err
	}
	defer func() {
		_ = slow.Process.Signal(os.Interrupt)
		_ = slow.Wait()
	}()
	time.Sleep(2 * time.Second) // until it has all threads
	say("each sync takes %s now; publishing %d calls, %d at once", syncDelay, calls, load.Publishers)
	begin := time.Now()
	longest, err := putAll(p, 0, calls)
	if err != nil {
		return err
	}
	say("all %d calls were answered with ids in %s, the longest after %s", calls,
		time.Since(begin).Round(time.Millisecond), longest.Round(time.Millisecond))
	say("readyz: %s", ready(p))
	kept := make([]int, calls)
	for n := range kept {
		kept[n] = n
	}
	if err := arrived(r, kept, calls); err != nil {
		return err
	}
	say("%d requests, the last %s after the first call", r.calls.Load(), time.Since(begin).Round(time.Millisecond))
	return nil
}

// putAll publishes the calls [from, from+calls), which must all be taken, and returns how long the longest took.
func putAll(p *embedded.Process, from, calls int) (longest time.Duration, err error) {
	c := load.Client(load.Publishers)
	took := make([]time.Duration, calls)
	err = load.Parallel(load.Publishers, calls, func(n int) error {
		at := time.Now()
		answer, ok, err := put(p, c, from+n)
		if err == nil && !ok {
			err = errors.New("answered " + answer)
		}
		took[n] = time.Since(at)
		return err
	})
	return slices.Max(took), err
}
