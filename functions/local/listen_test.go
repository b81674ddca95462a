package main_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/event"
)

// background is a command of the program that goes on.
type background struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner // of its standard output
	first string         // of its standard error
}

func (c commanded) start(args ...string) *background {
	c.t.Helper()
	b := &background{cmd: exec.CommandContext(c.t.Context(), c.binary, args...)}
	b.cmd.Env = append(os.Environ(), c.env...)
	out, err := b.cmd.StdoutPipe()
	require.NoError(c.t, err)
	told, err := b.cmd.StderrPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, b.cmd.Start())
	b.lines = bufio.NewScanner(out)
	if args[0] == "listen" {
		b.first, err = bufio.NewReader(told).ReadString('\n')
		require.NoError(c.t, err)
	}
	return b
}

// line is the next line as an object.
func (b *background) line(t *testing.T, into any) {
	t.Helper()
	require.True(t, b.lines.Scan(), "it ended: %v", b.lines.Err())
	require.NoError(t, json.Unmarshal(b.lines.Bytes(), into), b.lines.Text())
}

// heard is a request that `tocsin listen -json` tells of.
type heard struct {
	Headers      map[string]string
	Verification struct {
		Verified []string
		Reason   string
	}
	Answered int
	Body     []struct{ Summary string }
}

func TestListenVerifiesWhatTheProgramSends(t *testing.T) {
	p, c := remotely(t, "-allow", "127.0.0.1")
	secret := "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	c.env = append(c.env, "TOCSIN_SIGNING_SECRET="+secret)
	other := c
	other.env = append(other.env[:len(other.env):len(other.env)],
		"TOCSIN_SIGNING_SECRET=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	refusing := other.start("listen", "-at", "127.0.0.1:0", "-json", "-count", "1")
	at := strings.Fields(strings.TrimPrefix(refusing.first, "listening at "))[0]
	var made struct {
		ID         string
		Parameters struct {
			Key string `json:"public_key"`
		}
	}
	require.NoError(t, p.Call(http.MethodPost, "/v1/integrations", map[string]any{"system": "web_hooks", "name": "Here",
		"events": []any{map[string]string{"event": "system"}}, "parameters": map[string]any{"url": at,
			"signing_secret": secret, "signing_key": "generate",
			"headers": map[string]string{"Authorization": "hidden"}}},
		&made))
	tail := c.start("events", "tail", "-json", "-from", "1h", "-count", "1")
	code, out := c.run(entryOf(t, event.CreateUser), "events", "publish", "-")
	require.Equal(t, 0, code, out)
	var h heard
	refusing.line(t, &h)
	require.Equal(t, 401, h.Answered)
	require.Contains(t, h.Verification.Reason, "no signature v1 holds")
	var exit *exec.ExitError
	require.ErrorAs(t, refusing.cmd.Wait(), &exit)
	require.Equal(t, 2, exit.ExitCode(), "a request was refused")
	var followed struct {
		ID          string
		Integration struct{ Name string }
	}
	tail.line(t, &followed)
	require.Equal(t, "Here", followed.Integration.Name)
	require.NoError(t, tail.cmd.Wait())

	// The retry finds a receiver that has the right keys at the address of before.
	address := strings.TrimSuffix(strings.TrimPrefix(at, "http://"), "/")
	taking := c.start("listen", "-at", address, "-json", "-count", "1", "-public-key", made.Parameters.Key)
	taking.line(t, &h)
	require.NoError(t, taking.cmd.Wait())
	require.Equal(t, []string{"v1", "v1a"}, h.Verification.Verified)
	require.Equal(t, 204, h.Answered)
	require.Contains(t, h.Body[0].Summary, "user")
	require.NotContains(t, h.Headers, "authorization")
	require.Contains(t, h.Headers["webhook-id"], followed.ID)
	code, out = c.run("", "deliveries", "replay", followed.ID)
	require.Equal(t, 0, code, out)
	code, out = c.run("", "deliveries", "replay", "-integration", "Here", "-json")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, `{"count":`)
}

// entryOf is an example of a kind, as the program makes it.
func entryOf(t *testing.T, k event.Kind) string {
	t.Helper()
	return command(t, "events", "sample", string(k))
}

func TestTailEndsWhenItIsInterrupted(t *testing.T) {
	_, c := remotely(t)
	tail := c.start("events", "tail")
	require.NoError(t, tail.cmd.Process.Signal(os.Interrupt))
	err := tail.cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, []int{130, -1}, exit.ExitCode(), "-1: the signal came before the program had begun")
}
