package main_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/shared/patience"
)

// command runs a command of the program and returns what it printed.
func command(t *testing.T, args ...string) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func publisherKey(t *testing.T, folder, name string) (id, secret string) {
	t.Helper()
	m := regexp.MustCompile(`AWS_ACCESS_KEY_ID=(\S+)\n +AWS_SECRET_ACCESS_KEY=(\S+)\n`).
		FindStringSubmatch(command(t, "publisher-key", "add", name, "-key", folder+"/tocsin.key"))
	require.Len(t, m, 3)
	return m[1], m[2]
}

func TestS1PublishersSignWithAKeyThatTheProgramMade(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	folder := t.TempDir()
	p, err := embedded.Start(binary, folder, "-log-level", "error", "-listen-bus", "0.0.0.0:0")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	require.ErrorContains(t, p.Publish(embedded.Entry{Source: "a", DetailType: "create_user", Detail: "{}"}),
		"MissingAuthenticationTokenException",
		"a listener that others reach takes nothing unsigned")
	id, secret := publisherKey(t, folder, "platform-eu")
	publish := func(id, secret string) error {
		client := eventbridge.New(eventbridge.Options{BaseEndpoint: &p.Bus, Region: "eu-west-1",
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")})
		_, err := client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
			{Source: aws.String("platform.test"), DetailType: aws.String("create_user"), Detail: aws.String(`{}`)},
		}})
		return err
	}
	require.Eventually(t, func() bool { return publish(id, secret) == nil }, time.Minute, 50*time.Millisecond,
		"a new key is known while the program runs")
	var told smithy.APIError
	require.ErrorAs(t, publish(id, secret+"x"), &told)
	require.Equal(t, "InvalidSignatureException", told.ErrorCode())
	require.Contains(t, command(t, "publisher-key", "list", "-key", folder+"/tocsin.key"), id)
	command(t, "publisher-key", "remove", "platform-eu", "-key", folder+"/tocsin.key")
	require.Eventually(t, func() bool { return publish(id, secret) != nil }, time.Minute, 50*time.Millisecond)
	require.NotContains(t, p.Output(), secret)
	require.Contains(t, fails(t, "publisher-key", "add"), "usage: tocsin publisher-key")
	require.Contains(t, fails(t, "publisher-key"), "usage: tocsin publisher-key")
	require.Contains(t, fails(t, "publisher-key", "remove", "nobody", "-key", folder+"/tocsin.key"),
		"no such publisher key")
}

func TestS1TheConsoleTakesNoEventsAndAnswersToItsNames(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-log-level", "error", "-public-url", "https://tocsin.example.com")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	ask := func(method, url, host string) int {
		q, err := http.NewRequest(method, url, strings.NewReader(`{"Entries":[]}`))
		require.NoError(t, err)
		q.Host = host
		q.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
		r, err := http.DefaultClient.Do(q)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		return r.StatusCode
	}
	require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodPost, p.URL+"/", ""),
		"PutEvents is not at the Console's port")
	require.Equal(t, http.StatusNotFound, ask(http.MethodGet, p.Bus+"/v1/session", ""),
		"nor is the API at that of the bus")
	require.Equal(t, http.StatusOK, ask(http.MethodGet, p.URL+"/", "tocsin.example.com"))
	require.Equal(t, http.StatusMisdirectedRequest, ask(http.MethodGet, p.URL+"/", "rebind.evil.test"))
	require.Equal(t, http.StatusMisdirectedRequest, ask(http.MethodGet, p.URL+"/v1/session", "rebind.evil.test:8080"))
}

// TestWhatIsOverATenantsRateIsToldSentAgainAndCounted: the judge is the SDK; the program's own publisher sends again.
func TestWhatIsOverATenantsRateIsToldSentAgainAndCounted(t *testing.T) {
	binary, err := build()
	require.NoError(t, err)
	p, err := embedded.Start(binary, t.TempDir(), "-log-level", "error", "-tenant-events", "1/2",
		"-tenant-events-of", "free=0")
	require.NoError(t, err)
	defer func() {
		_, err := p.Stop()
		require.NoError(t, err)
	}()
	client := eventbridge.New(eventbridge.Options{BaseEndpoint: &p.Bus, Region: "eu-west-1",
		Credentials: aws.AnonymousCredentials{}})
	in := &eventbridge.PutEventsInput{}
	for n := range 8 {
		tenant := "42"
		if n >= 5 {
			tenant = "free"
		}
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{Source: aws.String("platform.test"),
			DetailType: aws.String("create_user"), Detail: aws.String(fmt.Sprintf(`{"tenant":%q}`, tenant))})
	}
	out, err := client.PutEvents(t.Context(), in)
	require.NoError(t, err)
	require.NotZero(t, out.FailedEntryCount)
	for _, e := range out.Entries[5:] {
		require.Nil(t, e.ErrorCode, "another tenant is not delayed")
	}
	require.Equal(t, "ThrottlingException", *out.Entries[4].ErrorCode)
	entry, err := exec.CommandContext(t.Context(), binary, "events", "sample", "create_user").Output()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, "events", "publish", "-events-url", p.Bus, "-")
	c.Stdin = strings.NewReader(strings.Repeat(string(entry), 4))
	said, err := c.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Contains(t, string(said), "4 of 4 entries are published.")
	require.Eventually(t, func() bool {
		var v struct{ Throttled int }
		return p.Call(http.MethodGet, "/v1/overview", nil, &v) == nil && v.Throttled >= int(out.FailedEntryCount)
	}, patience.Long, 100*time.Millisecond)
}
