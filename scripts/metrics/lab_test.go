//go:build metrics

package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/scripts/ports"
)

// configurations is where the files under test are.
const configurations = "../../docs/node-metrics"

// lab is the temporary folder of a run and the user that its programs run as: nobody if root started the test, since
// PostgreSQL, Nagios and Zabbix refuse root or change their user, and none of them needs it.
type lab struct {
	folder     string
	credential *syscall.Credential
	group      string          // the user's group
	ctx        context.Context // ends when somebody interrupts the test, or shortly before its time is up
	processes  []*process
}

// ending is the time that is kept for ending the programs.
const ending = 20 * time.Second

func newLab(t *testing.T) *lab {
	t.Helper()
	// Not t.TempDir: a Unix socket's path may have 107 bytes.
	folder, err := os.MkdirTemp("", "tocsin-metrics-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	if deadline, limited := t.Deadline(); limited {
		ctx, stop = context.WithDeadline(ctx, deadline.Add(-ending))
		t.Cleanup(stop)
	}
	l := &lab{folder: folder, ctx: ctx}
	if err := l.chooseUser(); err != nil {
		t.Fatal(err)
	}
	l.own(t, folder)
	return l
}

// chooseUser picks the user of the programs.
func (l *lab) chooseUser() error {
	root := os.Geteuid() == 0
	account, err := user.Current()
	if root {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	group, err := user.LookupGroupId(account.Gid)
	if err != nil {
		return err
	}
	l.group = group.Name
	if !root {
		return nil
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	l.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(err1, err2)
}

// own gives a file to the user of the programs.
func (l *lab) own(t *testing.T, path string) {
	t.Helper()
	if l.credential == nil {
		return
	}
	if err := os.Chown(path, int(l.credential.Uid), int(l.credential.Gid)); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) path(name string) string { return filepath.Join(l.folder, name) }

// dir makes a folder for a program.
func (l *lab) dir(t *testing.T, name string) string {
	t.Helper()
	path := l.path(name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	l.own(t, path)
	return path
}

func (l *lab) write(t *testing.T, name, text string) string {
	t.Helper()
	path := l.path(name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	l.own(t, path)
	return path
}

// adapt copies a file under test into the lab, with what must be another on loopback replaced. Whatever is to be
// replaced must be there: else the file and its test have drifted apart.
func (l *lab) adapt(t *testing.T, file, name string, oldNew ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(configurations, file))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		if !bytes.Contains(text, []byte(oldNew[i])) {
			t.Fatalf("%s has no %q to replace", file, oldNew[i])
		}
	}
	path := l.write(t, name, strings.NewReplacer(oldNew...).Replace(string(text)))
	info, err := os.Stat(filepath.Join(configurations, file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, info.Mode()); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a program that the test started.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	gone chan struct{} // closed when it ended
}

func (l *lab) command(arguments ...string) *exec.Cmd {
	cmd := exec.Command(arguments[0], arguments[1:]...)
	cmd.Dir = l.folder
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + l.folder, "TMPDIR=" + l.folder,
		"LANG=C.UTF-8", "TZ=UTC"}
	// A group of its own, to end its children as well; and told to end, with them, if the test is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: l.credential}
	return cmd
}

// start runs a program until the test ends.
func (l *lab) start(t *testing.T, name string, arguments ...string) *process {
	t.Helper()
	log, err := os.Create(l.path(name + ".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{name: name, cmd: l.command(arguments...), log: log.Name(), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.gone)
	}()
	l.processes = append(l.processes, p)
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", name, p.tail())
		}
	})
	return p
}

// stop ends the program and its children.
func (p *process) stop() {
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.gone:
	case <-time.After(5 * time.Second):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-p.gone
}

// end stops a program before the test ends.
func (l *lab) end(p *process) {
	l.processes = slices.DeleteFunc(l.processes, func(q *process) bool { return q == p })
	p.stop()
}

func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

// run runs a program to its end and returns what it printed.
func (l *lab) run(arguments ...string) (string, error) {
	output, err := l.command(arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(arguments[0]), err, output)
	}
	return string(output), nil
}

func (l *lab) mustRun(t *testing.T, arguments ...string) {
	t.Helper()
	if _, err := l.run(arguments...); err != nil {
		t.Fatal(err)
	}
}

// eventually repeats a check until it finds nothing to report.
func (l *lab) eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	begin := time.Now()
	for {
		err := check()
		if err == nil {
			return
		}
		for _, p := range l.processes {
			select {
			case <-p.gone:
				t.Fatalf("%s ended: %v: %s", p.name, p.cmd.ProcessState, p.tail())
			default:
			}
		}
		if time.Since(begin) > limit {
			t.Fatalf("after %s: %v", limit, err)
		}
		select {
		case <-l.ctx.Done():
			t.Fatalf("%v; not yet seen: %v", l.ctx.Err(), err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := ports.Free()
	require.NoError(t, err)
	return port
}
