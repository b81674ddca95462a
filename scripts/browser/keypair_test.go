package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The browser itself judges the signature (Web Cryptography, Ed25519), with the key that the page shows.
func TestASignatureIsVerifiedWithThePublicKeyThatThePageShows(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]look{"en": desk, "ja": phone("ja")} {
		at := receive(t)
		p := program(t, "-allow", at.Host)
		b := open(t, p, l, "/add/web_hooks")
		b.fill("Webhook URL", at.URL+"/hook")
		b.click(word(l, "Advanced settings", "詳細設定"))
		b.click(word(l, "Make a key pair", "鍵ペアを作成"))
		b.act("clickIn", "form", word(l, "Add integration", "連携を追加"))
		b.sees(word(l, "Added.", "追加しました。"))
		first := shownKey(t, b)
		verified := func(event, key string) bool {
			t.Helper()
			before := len(at.got())
			vulnerabilities(t, p, event+"-"+name, 1)
			eventually(t, "the event arrives", func() (bool, error) { return len(at.got()) > before, nil })
			h, body := at.last()
			verify := func(body string) (ok bool) {
				require.NoError(t, b.eval("verifies", &ok, key, h.Get("Webhook-Signature"),
					h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."+body))
				return ok
			}
			require.False(t, verify(body+" "), "another body")
			return verify(body)
		}
		require.True(t, verified("signed", first))
		b.judgeWhole("signed-"+name, l)

		b.click(word(l, "Advanced settings", "詳細設定"))
		b.click(word(l, "Make a new pair", "新しい鍵ペアを作成"))
		b.act("clickIn", "form", word(l, "Save", "保存"))
		b.sees(word(l, "Previous key signs until", "以前の鍵が署名する期限"))
		second := shownKey(t, b)
		require.NotEqual(t, first, second)
		require.True(t, verified("renewed", second))
		require.True(t, verified("overlapping", first), "the key before signs beside it")
	}
}

// shownKey is the public key that the page shows first.
func shownKey(t *testing.T, b *tab) (key string) {
	t.Helper()
	require.NoError(t, b.eval("publicKey", &key))
	return key
}
