package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"tocsin/shared/patience"
)

// terminal opens a terminal: keys is what a person types and sees, screen is what a program has.
func terminal(t *testing.T) (keys, screen *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = keys.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = screen.Close() })
	return keys, screen
}

func echoes(t *testing.T, screen *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return mode.Lflag&unix.ECHO != 0
}

// eventually waits until something is so.
func eventually(t *testing.T, is func() bool, words func() string) {
	t.Helper()
	for end := time.Now().Add(patience.Long); !is(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(end), words())
	}
}

// atTerminal starts a command at a terminal of its own.
func (c commanded) atTerminal(args ...string) (cmd *exec.Cmd, keys, screen *os.File, said *lines) {
	c.t.Helper()
	keys, screen = terminal(c.t)
	said = new(lines)
	cmd = exec.CommandContext(c.t.Context(), c.binary, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), c.env...), screen, said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(c.t, cmd.Start())
	return cmd, keys, screen, said
}

// interrupted presses Ctrl-C once when a command came that far, in the midst of a line.
func (c commanded) interrupted(args []string, far func(*os.File, string) bool) (code int, words string) {
	c.t.Helper()
	cmd, keys, screen, said := c.atTerminal(args...)
	late := time.AfterFunc(patience.Long, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	eventually(c.t, func() bool { return far(screen, said.String()) }, said.String)
	_, err := keys.WriteString("half of it\x03")
	require.NoError(c.t, err)
	_ = cmd.Wait() // the code says how it ended
	require.True(c.t, echoes(c.t, screen), said.String())
	return cmd.ProcessState.ExitCode(), said.String()
}

// TestTheFirstCtrlCEndsAQuestion: what reads a terminal watches no context, so it took the signal, and nothing came of
// it; what killed the command then left a terminal without its echo.
func TestTheFirstCtrlCEndsAQuestion(t *testing.T) {
	_, c := remotely(t)
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	code, out := c.run("", "apply", write("one.yaml", "version: 1\nintegrations:\n  Ops:\n    system: email\n"+
		"    events: [system]\n    parameters:\n      addresses: [ops@example.com]\n"), "-yes")
	require.Zero(t, code, out)
	for _, q := range []struct {
		name, asks, words string
		args              []string
		hidden            bool
	}{
		{name: "of a new backup", asks: "Passphrase of the backup: ", hidden: true, words: "tocsin: interrupted\n",
			args: []string{"backup", filepath.Join(folder, "b"), "-state", filepath.Join(folder, "no.db")}},
		{name: "of a restore", asks: "Passphrase of the backup: ", hidden: true, words: "tocsin: interrupted\n",
			args: []string{"restore", filepath.Join(folder, "b"), "-state", filepath.Join(folder, "new.db")}},
		{name: "of what is removed", asks: "Type yes: ", words: "tocsin: interrupted (nothing was changed)\n",
			args: []string{"apply", "-prune", write("none.yaml", "version: 1\nintegrations: {}\n")}},
		{name: "for a document", words: "tocsin: interrupted\n", args: []string{"apply", "-"}},
		{name: "for events", words: "tocsin: interrupted\n", args: []string{"events", "publish", "-"}},
	} {
		t.Run(q.name, func(t *testing.T) {
			c := c
			c.t = t
			if q.asks != "" {
				code, said := c.interrupted(q.args, func(screen *os.File, said string) bool {
					return strings.HasSuffix(said, q.asks) && echoes(t, screen) != q.hidden
				})
				require.Equal(t, 130, code, said)
				require.True(t, strings.HasSuffix(said, q.asks+"\n"+q.words), said)
				return
			}
			patience.Growing(t, 300*time.Millisecond, func(unit time.Duration) (bool, string) { // until it reads
				came := time.Now().Add(unit)
				code, said := c.interrupted(q.args, func(*os.File, string) bool { return time.Now().After(came) })
				return code == 130 && said == q.words, fmt.Sprint(code, said)
			})
		})
	}
	require.NoFileExists(t, filepath.Join(folder, "new.db"))
}

// TestTheSecondCtrlCEndsAnyCommand: a step that no context ends took every signal.
func TestTheSecondCtrlCEndsAnyCommand(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	nobody := filepath.Join(t.TempDir(), "fifo") // whose reader waits for a writer
	require.NoError(t, syscall.Mkfifo(nobody, 0o600))
	cmd, keys, screen, said := commanded{t: t, binary: binary}.atTerminal("backup", nobody+".backup",
		"-passphrase-file", nobody)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	var writer *os.File // which writes nothing; it can be opened once there is a reader
	eventually(t, func() (opened bool) {
		writer, err = os.OpenFile(nobody, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	}, said.String)
	defer writer.Close()
	for end := time.Now().Add(patience.Long); ; time.Sleep(100 * time.Millisecond) {
		_, err := keys.WriteString("\x03")
		require.NoError(t, err)
		select {
		case <-ended:
			require.Equal(t, syscall.SIGINT, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), said.String())
			require.True(t, echoes(t, screen))
			return
		default:
			require.True(t, time.Now().Before(end), "%s", said.String())
		}
	}
}
