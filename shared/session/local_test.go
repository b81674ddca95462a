package session_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/session"
)

// strange are addresses that must not be gone to after signing in.
var strange = []string{
	"", "x", "https://evil.example", "http:evil.example", "//evil.example", "///evil.example", "/\\evil.example",
	"\\/evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example",
	"/\r\nLocation: https://evil.example",
	"\t//evil.example", " //evil.example", "/%2f/evil.example", "/%2Fevil.example", "/%5cevil.example", "/%5Cevil",
	"/%252fevil.example", "/%255cevil.example", "/%09/evil.example", "/%0d%0aSet-Cookie:a=b", "/%00",
	"/a/..//evil.example",
	"/./evil", "/../evil", "/%2e%2e/evil", "/a/%2e./b", "/.//evil.example", "javascript:alert(1)", "data:text/html,x",
	"/x\x00", "/x\x7f", "/x\u0085y", "/%", "/%zz", "@evil.example", "/?\r\n", "/triggers?x=\\", "?x=1", "#x", "/x#y",
	"/sign-in", "/sign-in?return=/sign-in", "/sign-in/provider", "/v1/session", "/v2/integration", "/x y",
	"/" + strings.Repeat("a", 1024), "/\xff", "https:/evil.example", "/;//evil.example", "evil.example/x",
}

func TestOnlyLocalAddressesAreReturnedTo(t *testing.T) {
	for _, s := range strange {
		require.Equal(t, session.Home, session.Local(s), "%q", s)
	}
	for _, s := range []string{"/", "/triggers", "/integrations/01GTD8R4000000000000000001?tab=log&q=%2F%2Fx",
		"/add/slack", "/reports?x=https://a.example/b", "/%E3%81%82", "/a-b_c~d"} {
		require.Equal(t, s, session.Local(s))
	}
}

// FuzzLocal: whatever is let through, a browser's reading of it stays with us.
func FuzzLocal(f *testing.F) {
	for _, s := range strange {
		f.Add(s)
	}
	base, err := url.Parse("https://console.example/sign-in/callback")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, s string) {
		got := session.Local(s)
		// browsers drop tabs and line ends, and take a backslash for a slash (WHATWG URL)
		read := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(got)
		u, err := base.Parse(read)
		require.NoError(t, err)
		require.Equal(t, "console.example", u.Host)
		require.Equal(t, "https", u.Scheme)
		require.False(t, strings.HasPrefix(read, "//"))
	})
}
