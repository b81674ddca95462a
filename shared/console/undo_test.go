package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/mail"
)

// leave posts the form of the page behind a link.
func (r *rig) leave(link string, form url.Values) (int, string) {
	r.t.Helper()
	q := httptest.NewRequest(http.MethodPost, strings.TrimPrefix(link, r.links.Base), strings.NewReader(form.Encode()))
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return w.Code, w.Body.String()
}

var undoValue = regexp.MustCompile(`name="Undo" value="([^"]+)"`)

func TestR17AnUnsubscriptionNamesWhatItLeavesAndIsTakenBack(t *testing.T) {
	r := start(t)
	id := r.slack("Ops report")
	link := r.links.Link("42", id, "eve@example.com")
	status, page := r.leave(link, url.Values{"List-Unsubscribe": {"One-Click"}})
	require.Equal(t, 200, status)
	require.Contains(t, page, "eve@example.com is unsubscribed: no more mails of this integration")
	found := undoValue.FindStringSubmatch(page)
	require.Len(t, found, 2, page)
	_, blocked, err := r.db.SuppressionList.Blocked(t.Context(), "42", id, "eve@example.com")
	require.NoError(t, err)
	require.True(t, blocked)
	_, again := r.leave(link, url.Values{})
	require.NotContains(t, again, "Undo", "nothing was changed the second time")
	status, page = r.leave(link, url.Values{"Undo": {found[1]}})
	require.Equal(t, 200, status, page)
	require.Contains(t, page, "eve@example.com is subscribed again: mails of this integration")
	_, blocked, err = r.db.SuppressionList.Blocked(t.Context(), "42", id, "eve@example.com")
	require.NoError(t, err)
	require.False(t, blocked)

	// What came back stays suppressed, and a token of another kind undoes nothing.
	_, page = r.leave(link, url.Values{})
	found = undoValue.FindStringSubmatch(page)
	_, err = r.db.SuppressionList.Suppress(t.Context(), mail.Suppression{Tenant: "42", Address: "eve@example.com",
		Why: mail.Bounced, At: time.Now()})
	require.NoError(t, err)
	status, _ = r.leave(link, url.Values{"Undo": {found[1]}})
	require.Equal(t, 409, status)
	status, _ = r.leave(link, url.Values{"Undo": {link[strings.LastIndex(link, "/")+1:]}})
	require.Equal(t, 404, status)
}
