package browser

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination/destinationtest/authority"
)

func TestAnAccessTokenIsSetUpAndTheTestTellsThatItWasFetched(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusOK, `{"access_token":"tok-of-the-server","expires_in":3600}`)
	b := open(t, program(t, "-allow", at.Host), desk, "/add/web_hooks")
	b.fill("Webhook URL", at.URL+"/hook")
	b.expect("422")
	b.press("Advanced settings")
	b.seesNot("OAuth client ID")
	b.fill("OAuth token URL", at.URL+"/token")
	b.sees("How the client secret is sent")
	b.fill("OAuth scope", "events.write")
	b.act("clickIn", "form", "Test integration")
	b.sees("Some fields need your attention.")
	b.fill("OAuth client ID", "tocsin")
	b.fill("OAuth client secret", "s3cr3t-of-the-client")
	b.sees("OAuth audience") // what was unfolded for a fault stays so
	b.judgeWhole("oauth", desk)
	b.act("clickIn", "form", "Test integration")
	b.sees("Credential fetched")
	b.sees("test messages arrived.")
	all := strings.Join(at.got(), "\n")
	require.Equal(t, 1, strings.Count(all, "grant_type=client_credentials"))
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	require.NotContains(t, b.text(), "s3cr3t")
}

func TestAClientCertificateIsCheckedAndItsEndWarnedOf(t *testing.T) {
	t.Parallel()
	issuer := authority.New(t, "acme")
	now := time.Now()
	id := issuer.Identity(t, x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 10)})
	for name, l := range map[string]look{"en": phone("en"), "ja": phone("ja")} {
		b := open(t, program(t), l, "/add/web_hooks")
		b.expect("422")
		b.fill("Webhook URL", "https://soc.example.com/in")
		b.click(word(l, "Advanced settings", "詳細設定"))
		b.fill(word(l, "Client certificate", "クライアント証明書"), id.Certificate)
		key, add := word(l, "Key of the client certificate", "クライアント証明書の鍵"), word(l, "Add integration", "連携を追加")
		b.fill(key, issuer.Client(t, "x").Key)
		b.act("clickIn", "form", add)
		b.sees(word(l, "does not belong to the client certificate", "クライアント証明書の鍵ではありません"))
		b.judgeWhole("certificate-wrong-"+name, l)
		b.fill(key, id.Key)
		b.act("clickIn", "form", add)
		b.sees(word(l, "It ends soon: replace it before.", "まもなく期限が切れます。"))
		require.NotContains(t, b.text(), "PRIVATE KEY")
		b.click(word(l, "Advanced settings", "詳細設定"))
		b.judgeWhole("certificate-"+name, l)
	}
}

// The receiver takes no connection without a certificate of its own authority.
func TestAReceiverThatAsksForAClientCertificateGetsTheOneOfTheForm(t *testing.T) {
	t.Parallel()
	issuer := authority.New(t, "acme")
	own, err := issuer.Identity(t, x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}).TLS()
	require.NoError(t, err)
	clients := x509.NewCertPool()
	clients.AddCert(issuer.Certificate)
	at := receiveTLS(t, &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: clients,
		ClientAuth: tls.RequireAndVerifyClientCert})
	now := time.Now()
	right := issuer.Identity(t, x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(20, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	wrong := authority.New(t, "strangers").Client(t, "stranger")

	p := program(t, "-allow", at.Host)
	b := open(t, p, desk, "/add/web_hooks")
	b.expect("422")
	b.fill("Webhook URL", at.URL+"/in")
	b.press("Advanced settings")
	b.fill("CA certificate", issuer.PEM)
	refused := func(name string) {
		t.Helper()
		b.act("clickIn", "form", "Test integration")
		b.sees("The test failed.")
		b.sees("it asks for a client certificate, and takes none of ours")
		b.sees("Client certificate not taken")
		b.judgeWhole(name, desk)
		require.Empty(t, at.got())
	}
	refused("mutual-tls-none")
	b.fill("Client certificate", wrong.Certificate)
	b.fill("Key of the client certificate", wrong.Key)
	b.seesNot("The test failed.") // it tells of what was typed before
	refused("mutual-tls-wrong")
	b.fill("Client certificate", right.Certificate)
	b.fill("Key of the client certificate", right.Key)
	b.act("clickIn", "form", "Test integration")
	b.sees("test messages arrived.")
	b.sees("Client certificate shown")
	b.judgeWhole("mutual-tls-taken", desk)
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	b.sees("Client certificate ends")
	b.sees(strconv.Itoa(now.Year() + 20))
	require.NotContains(t, b.text(), "PRIVATE KEY")
	b.judgeWhole("mutual-tls-added", desk)

	tested := len(at.got())
	vulnerabilities(t, p, "secured", 1)
	eventually(t, "the event arrives", func() (bool, error) { return len(at.got()) > tested, nil })
	require.Contains(t, at.got()[tested], "Reflected XSS")
	require.NotContains(t, at.got()[tested], "[Test message]")
	b.follow("/log")
	b.act("firstRow")
	b.sees("Arrived")
}
