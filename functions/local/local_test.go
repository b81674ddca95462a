package main_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// folder holds the built program.
var folder string

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "tocsin-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

// fails runs the program and returns what it printed before it gave up.
func fails(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience.Long)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	return string(out)
}

func TestAStartThatCanNotBeIsExplained(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	at := t.TempDir()
	letter := filepath.Join(at, "letter.db")
	require.NoError(t, os.WriteFile(letter, []byte(strings.Repeat("a letter to my mother\n", 100)), 0o600))
	open := filepath.Join(at, "open.key")
	require.NoError(t, os.WriteFile(open, []byte("AAAA\n"), 0o644))
	free := []string{"-listen", "127.0.0.1:0", "-key", at + "/key", "-state", at + "/state.db", "-listen-bus",
		"127.0.0.1:0"}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"a busy port": {append(free[2:8:8], "-listen", taken.Addr().String()), "choose another with -listen"},
		"a busy bus port": {append(free[0:6:6], "-listen-bus", taken.Addr().String()),
			"choose another with -listen-bus"},
		"one port for both": {[]string{"-listen", "127.0.0.1:9", "-listen-bus", "127.0.0.1:9"},
			"must not be the same address"},
		"metrics for anybody": {append(free[0:8:8], "-listen-metrics", ":8082"), "give it a -metrics-token"},
		"metrics at the Console": {append(free[2:8:8], "-listen", "localhost:9", "-listen-metrics", "localhost:9"),
			"an address of its own"},
		"a short token": {append(free[0:8:8], "-listen-metrics", ":8082", "-metrics-token", "short"),
			"at least 16 characters"},
		"a token for nothing": {append(free[0:8:8], "-metrics-token", "0123456789abcdef"), "without -listen-metrics"},
		"the old flag":        {[]string{"-publish-remote"}, "tocsin publisher-key add NAME"},
		"a corrupt state":     {append(free[0:8:8], "-state", letter), "can not be read; it was left as it is"},
		"a key for everyone":  {append(free[0:8:8], "-state", at+"/s.db", "-key", open), "chmod 600"},
		"an unknown flag":     {[]string{"-colour", "red"}, "flag provided but not defined"},
		"a bad level":         {[]string{"-log-level", "loud"}, "must be debug, info, warn or error"},
		"a stray argument":    {[]string{"start"}, "unexpected argument"},
	} {
		t.Run(name, func(t *testing.T) { require.Contains(t, fails(t, c.args...), c.says) })
	}
}

func TestTheSDKPublishesAndADeadLetterIsListed(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-role", "operator", "-log-level", "error")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	client := eventbridge.New(eventbridge.Options{BaseEndpoint: &p.Bus, Region: "eu-west-1",
		Credentials: aws.AnonymousCredentials{}})
	out, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("platform.test"), DetailType: aws.String("no_such_kind"),
			Detail: aws.String(`{"version":1,"id":"x","tenant":"42","time":"2023-03-01T00:00:00Z","data":{}}`)},
		{Source: aws.String("platform.test"), DetailType: aws.String("create_user"), Detail: aws.String(`{}`)},
	}})
	require.NoError(t, err)
	require.Zero(t, out.FailedEntryCount)
	var letters struct {
		Items []struct{ Tenant, Reason string }
	}
	require.Eventually(t, func() bool {
		require.NoError(t, p.Call(http.MethodGet, "/v1/dead-letters", nil, &letters))
		return len(letters.Items) == 2
	}, time.Minute, 20*time.Millisecond)
	require.Contains(t, letters.Items[0].Reason+letters.Items[1].Reason, `"no_such_kind" is not a known kind of event`)
}

func TestAStopIsCleanAndQuick(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir())
	require.NoError(t, err)
	cookie, err := p.Cookie()
	require.NoError(t, err)
	code, err := p.Link("")
	require.NoError(t, err)
	begin := time.Now()
	_, err = p.Stop()
	require.NoError(t, err)
	require.Less(t, time.Since(begin), patience.Long/2)
	require.NotContains(t, p.Output(), cookie.Value)
	require.NotContains(t, p.Output(), code)
	require.NotContains(t, p.Output(), "code=", "what is printed may be a log: there is no terminal")
	require.Regexp(t, "sign in:    `\\S+ sign-in admin@example.com -state \\S+` makes a link\n", p.Output())
}
