package destination

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"tocsin/shared/cut"
)

// Failed is the verdict on a failure. A request to slow down is Pace at every system: 429 (RFC 6585, 4), and 503 that
// says when to come back (RFC 9110, 15.6.4).
func Failed(r Response, reason string) Verdict {
	return Verdict{Reason: reason, RetryAfter: retryAfter(r), Pace: throttled(r)}
}

func throttled(r Response) bool {
	return r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable &&
		len(r.Header.Values("Retry-After")) > 0
}

// Success reports a status of the 2xx class. It is no proof that something was made: see Unproven.
func Success(status int) bool { return status >= 200 && status <= 299 }

// JudgeStatus is the rule of the product facts, section 3: any 2xx is a success, everything else a failure.
// reasons explains the statuses whose meaning at this system is more than the status's name.
//
// It is the whole rule for receivers of the customer's own, whose answers nobody documents (webhooks, Fluentd,
// Logstash). The systems of a vendor judge a 2xx by what its documentation says that success looks like: a sign-in
// page, a proxy and a captive portal answer 200 too, and nothing was made then.
func JudgeStatus(r Response, reasons map[int]string) Verdict {
	if Success(r.Status) {
		return Delivered()
	}
	reason := "answered " + StatusText(r.Status)
	if why, ok := reasons[r.Status]; ok {
		reason += ": " + why
	} else if why := Redirected(r); why != "" {
		reason += ": " + why
	} else if why, ok := usual[r.Status]; ok {
		reason += ": " + why
	}
	v := Failed(r, reason)
	v.Gone, v.Unread = r.Status == http.StatusGone, unread(r.Status)
	return v
}

// unread are the statuses that say that the request's content or size was refused (RFC 9110, 15.5.1, 15.5.14, 15.5.21).
func unread(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge ||
		status == http.StatusUnprocessableEntity
}

// WithoutPage is the proof of a system whose documentation shows no more of a success.
const WithoutPage = "this system answers without a page"

// Proved is the verdict on a 2xx: Delivered where it holds what success looks like, else Unproven.
func Proved(r Response, holds bool, proof string) Verdict {
	if holds {
		return Delivered()
	}
	return Unproven(r, proof)
}

// Unproven is the verdict on a 2xx that does not hold what success looks like: proof says what it would have been, such
// as "Jira answers 201 with the key of the issue".
func Unproven(r Response, proof string) Verdict {
	at := "answered " + StatusText(r.Status)
	title, page := webPage(r)
	switch {
	case page && title != "":
		return Failed(r, at+" with a web page (“"+title+"”), where "+proof+
			": a sign-in page, a proxy or a captive portal stands at this address: check the address")
	case page:
		return Failed(r, at+" with a web page, where "+proof+
			": a sign-in page, a proxy or a captive portal stands at this address: check the address")
	case r.Broken:
		return BrokenOff(r)
	case len(r.Body) == 0:
		return Failed(r, at+" with nothing in it, where "+proof+
			": something else stands at this address: check the address")
	}
	return Failed(r, at+" in words that are no success, where "+proof+
		": something else stands at this address: check the address")
}

// titleLimit of a page, in characters.
const titleLimit = 80

var (
	markup = regexp.MustCompile(
		`(?i)^\x{FEFF}?\s*(<\?xml[^>]*>\s*)?(<!--|<!doctype html|<(html|head|body|title|meta|script)[\s>])`)
	titled = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
)

// WebPage reports that an answer is HTML, whatever it says that it is.
func WebPage(r Response) bool {
	_, page := webPage(r)
	return page
}

func webPage(r Response) (title string, page bool) {
	kind := strings.ToLower(r.Header.Get("Content-Type"))
	if !markup.Match(r.Body) && (len(r.Body) == 0 || !strings.HasPrefix(kind, "text/html") &&
		!strings.HasPrefix(kind, "application/xhtml")) {
		return "", false
	}
	if m := titled.FindSubmatch(r.Body); m != nil {
		title = cut.Runes(Said(html.UnescapeString(string(m[1]))), titleLimit)
	}
	return title, true
}

// signIn finds the address of a page that people sign in at.
var signIn = regexp.MustCompile(
	`(?i)(^|[^a-z])(log[_-]?in|log[_-]?on|sign[_-]?in|sign[_-]?on|sso|saml2?|oauth2?|openid|auth|authorize|adfs|idp)([^a-z]|$)|samlrequest|okta\.|microsoftonline\.`)

// Redirected explains a redirect; "" for any other answer. It names the host alone: the rest of the address can hold a
// secret.
func Redirected(r Response) string {
	if r.Status < 300 || r.Status > 399 || r.Status == http.StatusNotModified {
		return ""
	}
	to, err := url.Parse(r.Header.Get("Location"))
	if err != nil {
		return usual[r.Status]
	}
	host := ""
	if to.Host != "" {
		host = " at " + Said(to.Host)
	}
	switch {
	case signIn.MatchString(to.String()):
		return "it redirects to a sign-in page" + host +
			", which no machine can pass: enter the address of the API, or let this sender through without a sign-in"
	case host != "" && usual[r.Status] != "":
		return "redirects are not followed: enter the address that it redirects to," + strings.TrimPrefix(host, " at")
	}
	return usual[r.Status]
}

// StatusText is the status with its name: `404 Not Found`.
func StatusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

const redirects = "redirects are not followed: enter the address that it redirects to"

var usual = map[int]string{
	301: redirects, 302: redirects, 303: redirects, 307: redirects, 308: redirects,
	304: "it says that nothing changed, which is no answer to this request: check the URL",
	401: "the credentials were not accepted: check them",
	403: "the credentials do not allow this: check their rights",
	404: "nothing is at this address: check the URL",
	405: "the method is not accepted at this address: check the URL and the method",
	407: "a proxy on the way asks for a password",
	408: "the receiver waited too long for the request",
	410: "what was at this address is gone for good: enter a new address, or disable this integration",
	411: "the receiver does not take a request of this form",
	413: "the message is too large for this receiver",
	415: "the receiver does not take this format",
	421: "the address leads to a server that does not serve it: check the URL",
	429: "the receiver asks to slow down",
	500: "the receiver has a fault of its own",
	501: "the receiver does not know this kind of request: check the URL and the method",
	502: "a gateway before the receiver can not reach it",
	503: "the receiver is busy or down",
	504: "a gateway before the receiver got no answer in time",
	511: "a captive portal stands before the receiver and asks for a sign-in",
}
