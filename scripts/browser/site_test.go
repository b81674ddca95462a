package browser

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
)

// documents shows a page of the documentation site, at an address or from the disk.
func documents(t *testing.T, l look, address, path string) *tab {
	t.Helper()
	b := blank(t, &embedded.Process{URL: address}, l)
	b.do(chromedp.Navigate(address + "/" + path))
	return b
}

// site is the folder of the site.
func site(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("TOCSIN_SITE")
	require.NotEmpty(t, folder, "run make test-browser")
	return folder
}

func TestTheDocumentsAreForEverybody(t *testing.T) {
	server := httptest.NewServer(http.FileServer(http.Dir(site(t)))) // axe-core reads no style sheet from a disk
	defer server.Close()
	for name, path := range map[string]string{
		"home": "index.html", "table": "docs/running.html", "commands": "docs/command-line.html",
		"runbook": "docs/runbook/index.html", "system": "systems/slack.html", "kinds": "events/kinds.html",
		"api": "api/deliveries.html", "answers": "troubleshooting/answers.html",
		"symptoms": "docs/troubleshooting.html", "answers-japanese": "troubleshooting/answers-ja.html",
		"file": "files/infra/kubernetes/tocsin.yaml.html",
	} {
		for theme, l := range map[string]look{"light": desk,
			"dark": {language: "en", theme: "dark", width: 390, height: 844, mobile: true}} {
			t.Run(name+" "+theme, func(t *testing.T) {
				b := documents(t, l, server.URL, path)
				b.axe()
				b.judge("documents-" + name + "-" + theme)
				b.picture("documents-" + name + "-" + theme)
			})
		}
	}
}

func TestAWholeErrorIsFoundInTheDocumentsOnADisk(t *testing.T) {
	b := documents(t, desk, "file://"+site(t), "docs/troubleshooting.html")
	for asked, says := range map[string]string{
		"connection refused: nothing listens at 10.1.2.3:443, or a firewall turns us away": "connection refused: " +
			"nothing listens at …, or a firewall turns us away",
		"tocsin: listen on localhost:8080: listen tcp 127.0.0.1:8080: bind: address already in use: stop what uses " +
			"the port, or choose another with -listen": "listen on …: …: stop what uses the port, or choose another " +
			"with -…",
		"接続が拒否されました。10.1.2.3:443 で待ち受けているものがないか": "接続が拒否されました。… で待ち受けているものがないか、ファイアウォールに拒否されています",
		"rotate":            "Backup, restore and keys on one machine",
		"search-deliveries": "search-deliveries",
	} {
		b.fill("Search", asked)
		b.sees(says)
	}
	b.picture("documents-search")
	b.fill("Search", "zzzzzz qqqqqq")
	b.sees("Nothing is found.")
	b.fill("Search", "chat:write")
	b.click("With the bot token of an app")
	b.sees("What becomes of a vulnerability")
}
