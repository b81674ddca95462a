package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/scripts/embedded"
)

// week is what the demonstration publishes as the events of last week.
type week struct {
	monday  time.Time // 00:00 UTC
	random  *rand.Rand
	entries []embedded.Entry
}

func lastWeek(now time.Time) *week {
	now = now.UTC()
	monday := now.Truncate(24*time.Hour).AddDate(0, 0, -7-(int(now.Weekday())+6)%7)
	return &week{monday: monday, random: rand.New(rand.NewPCG(7, 11))}
}

func (w *week) add(source, kind string, at time.Time, data string) {
	w.entries = append(w.entries, embedded.Entry{Source: source, DetailType: kind, Detail: fmt.Sprintf(
		`{"version":1,"id":"week-%d","tenant":"42","client_name":"Acme","time":%q,"data":%s}`, len(w.entries),
		at.Format(time.RFC3339), data)})
}

func pick[T any](r *rand.Rand, all ...T) T {
	// The first ones are the most frequent, as in life.
	return all[min(len(all)-1, int(r.ExpFloat64()*float64(len(all))/3))]
}

// hits are requests of some thousand attacks on a shop with customers in several scripts.
func (w *week) hits(count int) {
	for range count {
		day := pick(w.random, 2, 3, 1, 4, 0, 5, 6)
		at := w.monday.AddDate(0, 0, day).Add(time.Duration(w.random.IntN(24*3600)) * time.Second)
		block := "blocked"
		if w.random.IntN(7) == 0 {
			block = "monitored"
		}
		w.add("platform.hits", "new_hits", at, fmt.Sprintf(
			`{"hit":{"type":%q,"host":%q,"method":%q,"path":%q,"parameter":%q,"remote_addr4":"203.0.113.%d","remote_country":%q,"response_status":%d,"block_status":%q,"request_time":%d,"applications":[%q]}}`,
			pick(w.random, "sqli", "xss", "ptrav", "rce", "scanner", "ssrf", "bola"),
			pick(w.random, "shop.example.com", "api.example.com", "店舗.example.jp", "متجر.example"),
			pick(w.random, "POST", "GET", "PUT"),
			pick(w.random, "/search", "/orders/17", "/login", "/検索", "/cart/items", "/admin/export"),
			pick(w.random, "POST_comment_value", "GET_q_value", "URI_value"),
			1+int(w.random.ExpFloat64()*25)%250, pick(w.random, "NL", "PL", "US", "JP", "BR", "VN", "DE"),
			pick(w.random, 403, 404, 200, 500), block, at.Unix(),
			pick(w.random, "Checkout 🛒", "注文サービス", "متجر الإنترنت", "Back office")))
	}
}

func (w *week) findings() {
	for i, v := range []string{"High|SQL injection in the search|/search|SQLi", "High|Reflected XSS|/cart/items|XSS",
		"Medium|Open redirect after login|/login|Redirect", "Low|設定ページの情報漏えい|/設定|Info"} {
		part := strings.Split(v, "|")
		w.add("platform.vulnerabilities", "vuln", w.monday.Add(time.Duration(20+30*i)*time.Hour), fmt.Sprintf(
			`{"object_id":%d,"vuln":{"id":"PLT-42-I%04d","domain":"shop.example.com","threat":%q,"title":%q,"path":%q,"type":%q,"method":"GET","parameter":"q","discovered_by":"scanner"}}`,
			555+i, 555+i, part[0], part[1], part[2], part[3]))
	}
	at := w.monday.Add(60 * time.Hour)
	w.add("platform.incidents", "new_incident", at, fmt.Sprintf(
		`{"object_id":701,"incident":{"id":"INC-701","type":"sqli","host":"shop.example.com","path":"/search","method":"GET","parameter":"q","hits":38,"sources":["203.0.113.7","203.0.113.9"],"first_time":%q,"last_time":%q,"vulnerability":"PLT-42-I0555","threat":"High"}}`,
		at.Add(-time.Hour).Format(time.RFC3339), at.Format(time.RFC3339)))
}

// published is how many hits the demonstration publishes; PutEvents takes ten entries in a call.
const (
	published = 3000
	perCall   = 10
)

// weekly publishes a week, asks for its report, and writes the PDF to a file.
func weekly(p *embedded.Process, file string) error {
	w := lastWeek(time.Now())
	w.hits(published)
	w.findings()
	fmt.Printf("\nPublishing the %d events of last week.\n", len(w.entries))
	for i := 0; i < len(w.entries); i += perCall {
		if err := p.Publish(w.entries[i:min(i+perCall, len(w.entries))]...); err != nil {
			return err
		}
	}
	r, err := ordered(p, w.monday)
	if err != nil {
		return err
	}
	if r.Headline.Now.Hits != published || r.Headline.Now.Incidents != 1 || r.Headline.Now.Vulnerabilities != 4 {
		return fmt.Errorf("the report should count %d hits, 1 incident and 4 vulnerabilities: %+v", published,
			r.Headline)
	}
	if err := download(p, r.Files[0].Href, file); err != nil {
		return err
	}
	fmt.Printf("%s (%s): %d malicious requests, %d attacks, %d incident, %d vulnerabilities.\nThe PDF is in %s\n",
		"Weekly report", r.Period.Title, r.Headline.Now.Hits, r.Headline.Now.Attacks, r.Headline.Now.Incidents,
		r.Headline.Now.Vulnerabilities, file)
	m, err := mailTo(p, "manager@example.com")
	if err != nil {
		return err
	}
	if len(m.Attachments) != 1 || m.Unsubscribe == "" || !strings.Contains(m.Text, "Malicious requests: 3,000") {
		return fmt.Errorf("the mail should carry the PDF, the numbers and a link to unsubscribe: %+v", m)
	}
	fmt.Printf("It was mailed to %s: %s, with %s.\n", m.To, m.Subject, m.Attachments[0])
	return nil
}

type made struct {
	ID, State, Reason string
	Period            struct{ Title string }
	Headline          struct {
		Now struct{ Hits, Attacks, Incidents, Vulnerabilities int }
	}
	Files []struct{ Href string }
}

// ordered asks for the report once everything is recorded, and waits for it.
func ordered(p *embedded.Process, monday time.Time) (made, error) {
	var r made
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if r.State == "" {
			// Fan-out may still be at it: a report without recipients tells.
			if err := p.Call(http.MethodPost, "/v1/reports",
				map[string]any{"period": map[string]any{"frequency": "weekly", "from": monday.Format(time.DateOnly)}},
				&r); err != nil {
				return r, err
			}
			continue
		}
		if err := p.Call(http.MethodGet, "/v1/reports/"+r.ID, nil, &r); err != nil {
			return r, err
		}
		switch {
		case r.State == "failed":
			return r, errors.New(r.Reason)
		case r.State == "ready" && r.Headline.Now.Hits < published:
			r = made{}
		case r.State == "ready":
			return mailed(p, monday)
		}
	}
	return r, fmt.Errorf("the report was not ready in time: %+v", r)
}

func mailed(p *embedded.Process, monday time.Time) (made, error) {
	var r made
	err := p.Call(http.MethodPost, "/v1/reports", map[string]any{
		"period":     map[string]any{"frequency": "weekly", "from": monday.Format(time.DateOnly)},
		"recipients": []string{"manager@example.com"},
	}, &r)
	for deadline := time.Now().Add(limit); err == nil && r.State == "waiting" &&
		time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		err = p.Call(http.MethodGet, "/v1/reports/"+r.ID, nil, &r)
	}
	if err == nil && r.State != "ready" {
		err = fmt.Errorf("the report should be ready: %+v", r)
	}
	return r, err
}

func download(p *embedded.Process, href, file string) error {
	q, err := http.NewRequest(http.MethodGet, p.URL+href, nil)
	if err != nil {
		return err
	}
	cookie, err := p.Cookie()
	if err != nil {
		return err
	}
	q.AddCookie(cookie)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(raw, []byte("%PDF-")) {
		return fmt.Errorf("%s is no PDF: %s", href, answer.Status)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o644)
}
