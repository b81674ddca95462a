package main

import (
	"net/http"

	"bytes"
	"log/slog"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/stretchr/testify/require"

	"tocsin/functions/local/tracing"
	"tocsin/shared/engine/aws/identity"
	"tocsin/shared/trace"
)

func variables(of map[string]string) func(string) string {
	return func(name string) string { return of[name] }
}

func TestH26AProxyOfTheEnvironmentIsNotIgnoredSilently(t *testing.T) {
	said := func(c config) string {
		var log bytes.Buffer
		c.sayProxy(slog.New(slog.NewTextHandler(&log, nil)))
		return log.String()
	}
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"} {
		c, err := configure(nil, variables(map[string]string{name: "http://u:p4ssw0rd@proxy.corp:3128"}))
		require.NoError(t, err)
		require.Nil(t, c.proxy)
		log := said(c)
		require.Contains(t, log, name)
		require.Contains(t, log, "does not use these variables")
		require.Contains(t, log, "-proxy (TOCSIN_PROXY)")
		require.NotContains(t, log, "p4ssw0rd")
	}
	both := map[string]string{"HTTPS_PROXY": "http://other.corp", "TOCSIN_PROXY": "https://u:p4ssw0rd@proxy.corp:3128",
		"TOCSIN_NO_PROXY": "a.corp, .b.corp", "TOCSIN_PROXY_RESOLVES": "true"}
	c, err := configure(nil, variables(both))
	require.NoError(t, err)
	require.Equal(t, "proxy.corp:3128", c.proxy.String())
	require.Equal(t, []string{"a.corp", ".b.corp"}, c.proxy.Direct)
	require.True(t, c.proxy.Resolves)
	log := said(c)
	require.Contains(t, log, "requests to systems go through a proxy; mail does not")
	require.NotContains(t, log, "not use")
	require.NotContains(t, log, "p4ssw0rd")

	c, err = configure(nil, variables(nil))
	require.NoError(t, err)
	require.Empty(t, said(c), "nothing is to be said")
}

func TestH26AProxyThatCanNotBeReadIsToldWithoutItsPassword(t *testing.T) {
	for _, text := range []string{"socks5://u:p4ssw0rd@proxy.corp", "proxy.corp:3128", "http://u:p4ssw0rd@",
		"http://u:p4%ss@proxy.corp"} {
		_, err := configure([]string{"-proxy", text}, variables(nil))
		require.ErrorContains(t, err, "-proxy must")
		require.NotContains(t, err.Error(), "p4")
		_, err = configure(nil, variables(map[string]string{"TOCSIN_PROXY": text}))
		require.ErrorContains(t, err, "-proxy must")
	}
	_, err := configure([]string{"-no-proxy", "a.corp"}, variables(nil))
	require.ErrorContains(t, err, "without -proxy")
}

// TestAProxyOfTheEnvironmentIsUsedForNothing: neither for traces nor for what the AWS SDK asks. Tocsin's own is.
func TestAProxyOfTheEnvironmentIsUsedForNothing(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, "http://other.corp:3128")
	}
	for own, ways := range map[string]map[string]string{
		"": {"http://collector.corp:4318": "", "https://sts.amazonaws.com": ""},
		"http://proxy.corp:3128": {"http://collector.corp:4318": "http://proxy.corp:3128",
			"https://sts.amazonaws.com": "http://proxy.corp:3128", "http://direct.corp": "",
			"http://localhost:4318": "",
			"http://127.0.0.1:4318": "", "http://[::1]:4318": "", "http://169.254.169.254/latest": ""}} {
		v := map[string]string{"TOCSIN_PROXY": own}
		if own != "" {
			v["TOCSIN_NO_PROXY"] = "direct.corp"
		}
		c, err := configure(nil, variables(v))
		require.NoError(t, err)
		client := trace.NewClient(tracing.Beyond(c.proxy)).Transport.(*http.Transport)
		sdk, err := identity.Default(slog.New(slog.DiscardHandler), tracing.Beyond(c.proxy))(t.Context())
		require.NoError(t, err)
		for to, want := range ways {
			q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
			require.NoError(t, err)
			for _, transport := range []*http.Transport{client,
				sdk.HTTPClient.(*awshttp.BuildableClient).GetTransport()} {
				way, err := transport.Proxy(q)
				require.NoError(t, err)
				got := ""
				if way != nil {
					got = way.String()
				}
				require.Equal(t, want, got, "%s by %q", to, own)
			}
		}
	}
}
