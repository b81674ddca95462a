package browser

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"tocsin/scripts/embedded"
	"tocsin/scripts/provider"
)

// patience is how long a page may take for what a test waits for. Nothing is waited out: a test goes on at once.
const patience = time.Minute

// What scripts/test-browser names.
var (
	binary   = os.Getenv("TOCSIN_BINARY")
	chromium = os.Getenv("TOCSIN_CHROMIUM")
	axeFile  = os.Getenv("TOCSIN_AXE")
	pictures = os.Getenv("TOCSIN_PICTURES")
)

// lifetime bounds a test. One that hangs ends with its name, and leaves their time to the others.
const lifetime = 10 * time.Minute

// browsers are those of the tests that run, by *testing.T.
var browsers sync.Map

//go:embed page.js
var helpers string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if binary == "" || chromium == "" || axeFile == "" || pictures == "" || os.Getenv(provider.ModulesVariable) == "" {
		fmt.Fprintln(os.Stderr, "these tests need a browser and the built program: run make test-browser")
		return 1
	}
	return m.Run()
}

// browser is the test's own: one that hangs or dies fails no other test. It ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	if at, ok := browsers.Load(t); ok {
		return at.(context.Context)
	}
	bounded, over := context.WithTimeout(context.Background(), lifetime)
	exec, stop := chromedp.NewExecAllocator(bounded, chromedp.ExecPath(chromium), chromedp.NoSandbox,
		chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("lang", "en"))
	// it tells of events that it does not know
	ctx, end := chromedp.NewContext(exec, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		browsers.Delete(t)
		end()
		stop()
		over()
	})
	require.NoError(t, chromedp.Run(ctx), "start the browser")
	browsers.Store(t, ctx)
	return ctx
}

// program starts Tocsin with a fresh state; it ends with the test.
func program(t *testing.T, args ...string) *embedded.Process {
	t.Helper()
	return programWith(t, nil, args...)
}

// programWith is program with variables of its environment.
func programWith(t *testing.T, variables []string, args ...string) *embedded.Process {
	t.Helper()
	p, err := embedded.StartWith(variables, binary, t.TempDir(), args...)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = p.Stop() })
	return p
}

// tab is a page of the Console, signed in.
type tab struct {
	t   *testing.T
	ctx context.Context
	p   *embedded.Process
	own cdp.BrowserContextID

	origins  []string // of others that the test leads to
	mu       sync.Mutex
	faults   []string // what the console said, and exceptions
	foreign  []string // requests to another origin
	expected []string // parts of faults that the test causes
}

// look is how a person has set up their browser.
type look struct {
	language, theme string
	width, height   int64
	mobile          bool
}

var desk = look{language: "en", theme: "light", width: 1280, height: 900}

// open signs in and shows a view.
func open(t *testing.T, p *embedded.Process, l look, path string) *tab {
	t.Helper()
	b := blank(t, p, l)
	cookie, err := p.Cookie()
	require.NoError(t, err)
	b.do(network.SetCookie(cookie.Name, cookie.Value).WithURL(p.URL).WithHTTPOnly(true).
		WithSameSite(network.CookieSameSiteLax), chromedp.Navigate(p.URL+path))
	return b
}

// blank is a tab without a page, which may load what is at the program's address alone.
func blank(t *testing.T, p *embedded.Process, l look) *tab {
	t.Helper()
	own, id := window(t)
	ctx, end := chromedp.NewContext(browser(t), chromedp.WithTargetID(id))
	t.Cleanup(end)
	b := &tab{t: t, ctx: ctx, p: p, own: own}
	if err := chromedp.Run(ctx); err != nil { // not with a deadline of its own: the tab would end with it
		t.Fatalf("open a tab: %v", err)
	}
	chromedp.ListenTarget(ctx, b.watch)
	b.do(network.Enable(), log.Enable(), runtime.Enable(),
		chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(helpers).Do(ctx)
			return err
		}))
	b.set(l)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if t.Failed() {
			return
		}
		require.Empty(t, b.foreign, "requests to another host")
		require.Empty(t, b.faults, "the browser's console")
	})
	return b
}

// wholly makes a context one of its browser, not of a tab.
func wholly(ctx context.Context) context.Context {
	return cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
}

// window opens one that shares nothing with others.
func window(t *testing.T) (own cdp.BrowserContextID, id target.ID) {
	t.Helper()
	ctx := wholly(browser(t))
	own, err := target.CreateBrowserContext().Do(ctx)
	require.NoError(t, err)
	id, err = target.CreateTarget("about:blank").WithBrowserContextID(own).WithNewWindow(true).Do(ctx)
	require.NoError(t, err)
	return own, id
}

// set makes the browser one of that language, theme and size.
func (b *tab) set(l look) {
	b.t.Helper()
	b.do(emulation.SetDeviceMetricsOverride(l.width, l.height, 1, l.mobile),
		emulation.SetEmulatedMedia().WithFeatures(
			[]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.theme},
				{Name: "prefers-reduced-motion", Value: "reduce"}}),
		emulation.SetUserAgentOverride("Mozilla/5.0 (X11; Linux x86_64) Chrome/0 Tocsin-Test").
			WithAcceptLanguage(l.language))
}

func (b *tab) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fault := func(text string) {
		for _, part := range b.expected {
			if strings.Contains(text, part) {
				return
			}
		}
		b.faults = append(b.faults, text)
	}
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			fault(e.Entry.Text + " " + e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		fault(e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			fault(fmt.Sprint(e.Args))
		}
	case *network.EventRequestWillBeSent:
		url := e.Request.URL
		for _, origin := range b.origins {
			if strings.HasPrefix(url, origin+"/") {
				return
			}
		}
		if !strings.HasPrefix(url, b.p.URL+"/") && !strings.HasPrefix(url, "data:") &&
			!strings.HasPrefix(url, "blob:"+b.p.URL) && url != "about:blank" {
			b.foreign = append(b.foreign, url)
		}
	}
}

// expect names a part of what the browser's console says about an error that the test causes.
func (b *tab) expect(parts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, parts...)
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := chromedp.Run(ctx, actions...)
	if err == nil {
		return
	}
	b.picture("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
	b.t.Fatalf("%v\nat %s the page says:\n%s\nconsole: %v", err, b.address(), b.text(), b.faults)
}

// eval runs an expression of page.js in the page.
func (b *tab) eval(expression string, out any, arguments ...any) error {
	texts := make([]string, len(arguments))
	for n, a := range arguments {
		raw, err := json.Marshal(a)
		if err != nil {
			return err
		}
		texts[n] = string(raw)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	call := fmt.Sprintf("tocsinTest.%s(%s)", expression, strings.Join(texts, ", "))
	return chromedp.Run(ctx, chromedp.Evaluate(call, out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
		return p.WithAwaitPromise(true).WithUserGesture(true)
	}))
}

// act does something in the page as soon as it can be done: the helpers of page.js wait until what they need is there,
// and say what was missing when it never was.
func (b *tab) act(helper string, arguments ...any) {
	b.t.Helper()
	err := b.eval(helper, nil, arguments...)
	for deadline := time.Now().Add(patience); looks[helper] && left(err) && time.Now().Before(deadline); {
		err = b.eval(helper, nil, arguments...) // the page was loaded again while it was looked at
	}
	if err != nil {
		b.picture("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
		b.t.Fatalf("%s %q: %v\nat %s the page says:\n%s", helper, arguments, err, b.address(), b.text())
	}
}

// looks are the helpers that change nothing: they can be asked again.
var looks = map[string]bool{"sees": true, "seesNot": true, "at": true, "holds": true, "wasAsked": true}

// left reports whether the browser left the page while a helper was at work in it (Chrome DevTools Protocol: code
// -32000).
func left(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "(-32000)") ||
		strings.Contains(err.Error(), "tocsinTest is not defined"))
}

func (b *tab) sees(text string)         { b.t.Helper(); b.act("sees", text) }
func (b *tab) seesNot(text string)      { b.t.Helper(); b.act("seesNot", text) }
func (b *tab) click(name string)        { b.t.Helper(); b.act("click", name) }
func (b *tab) fill(label, value string) { b.t.Helper(); b.act("fill", label, value) }

func (b *tab) text() (out string) {
	_ = b.eval("text", &out)
	return out
}

func (b *tab) address() (out string) {
	_ = b.eval("address", &out)
	return out
}

// follow goes to an address within the Console without loading it again.
func (b *tab) follow(path string) { b.t.Helper(); b.act("follow", path) }

// picture keeps a screenshot of the whole page.
func (b *tab) picture(name string) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var raw []byte
	if err := chromedp.Run(ctx, chromedp.FullScreenshot(&raw, 100)); err != nil {
		b.t.Logf("picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(pictures, strings.ReplaceAll(name, "/", "-")+".png"), raw, 0o644); err != nil {
		b.t.Logf("picture %s: %v", name, err)
	}
}

// receiver is a system on this machine that answers what it is told to.
type receiver struct {
	*httptest.Server
	Host string

	mu     sync.Mutex
	status int
	answer string
	bodies []string
	heads  []http.Header
	times  []time.Time // when they came
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK, answer: "ok"}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	r.Host = strings.TrimPrefix(r.URL, "http://")
	return r
}

// receiveTLS is receive with TLS as config says.
func receiveTLS(t *testing.T, config *tls.Config) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusOK, answer: "ok"}
	r.Server = httptest.NewUnstartedServer(r)
	r.TLS = config
	r.Config.ErrorLog = stdlog.New(io.Discard, "", 0) // of connections that it refuses
	r.StartTLS()
	t.Cleanup(r.Close)
	r.Host = strings.TrimPrefix(r.URL, "https://")
	return r
}

// ServeHTTP keeps what was sent, and answers as told.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	at := time.Now()
	sent := io.Reader(q.Body)
	if q.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		sent = unpacked
	}
	body, _ := io.ReadAll(sent)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.heads, r.times = append(r.bodies, string(body)), append(r.heads, q.Header), append(r.times, at)
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.answer)
}

func (r *receiver) answers(status int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.answer = status, text
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

// last is what was sent last.
func (r *receiver) last() (h http.Header, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.bodies) - 1
	return r.heads[n], r.bodies[n]
}

// arrivals are the times of what came after so many.
func (r *receiver) arrivals(after int) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.times[after:]...)
}

// eventually asks the program until it answers what the test waits for.
func eventually(t *testing.T, what string, there func() (bool, error)) {
	t.Helper()
	eventuallyIn(t, patience, what, there)
}

// eventuallyIn is eventually for what takes its time by itself: the span is a bound that includes that.
func eventuallyIn(t *testing.T, span time.Duration, what string, there func() (bool, error)) {
	t.Helper()
	var last error
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ok, err := there()
		if ok {
			return
		}
		last = err
	}
	t.Fatalf("%s: it never came to be: %v", what, errors.Join(last, context.DeadlineExceeded))
}
