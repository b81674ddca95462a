package console_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
)

// TestAnOperatorExportsAndErasesATenant over both engines.
func TestAnOperatorExportsAndErasesATenant(t *testing.T) {
	overEngines(t, func(t *testing.T, open func(*testing.T) engine) {
		r := startOver(t, open(t))
		theirs := r.others(t)
		r.token = r.issue("1", access.Operator)
		found := r.keptOf(t, "43")
		require.Len(t, found["integrations"], 1)
		require.Contains(t, string(found["integrations"][0]), marker)
		require.Empty(t, r.keptOf(t, "no-such")["integrations"])
		of := r.call("GET", "/v1/tenants/43/export?person="+strings.ToUpper(marker)+"%40example.com", "")
		require.Equal(t, 200, of.status, of.raw)
		require.NotContains(t, of.raw, `"table":"triggers"`, "no row that does not name the person")
		for _, nobody := range []string{"", "a", "+++", "example.com", "%40example.com", "&person=" + marker} {
			a := r.call("GET", "/v1/tenants/43/export?person="+nobody, "")
			require.Equal(t, 422, a.status, "%s: %s", nobody, a.raw)
		}
		log, err := r.db.ActivityLog.List(t.Context(), activity.Query{Tenant: "43", Limit: 1})
		require.NoError(t, err)
		require.Equal(t, activity.Export, log.Entries[0].Action)
		require.Equal(t, r.email, log.Entries[0].Email)

		require.Equal(t, 404, r.call("GET", "/v1/tenants/43/erasure", "").status)
		for _, body := range []string{`{}`, `{"confirm":"42"}`, `{"confirm":""}`} {
			require.Equal(t, 422, r.call("POST", "/v1/tenants/43/erasure", body).status, body)
		}
		require.Equal(t, 422, r.call("POST", "/v1/tenants/*/erasure", `{"confirm":"*"}`).status)
		_, err = r.db.Integrations.Get(t.Context(), "43", theirs["integrations"])
		require.NoError(t, err)
		a := r.call("POST", "/v1/tenants/43/erasure", `{"confirm":"43"}`)
		require.Equal(t, 202, a.status, a.raw)
		require.Equal(t, "running", a.body["state"])
		again := r.call("POST", "/v1/tenants/43/erasure", `{"confirm":"43"}`)
		require.Equal(t, a.body["began"], again.body["began"], "one is at work already")

		_, err = r.config.Erasures.Work(t.Context(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		a = r.call("GET", "/v1/tenants/43/erasure", "")
		require.Equal(t, "done", a.body["state"], a.raw)
		require.EqualValues(t, 1, a.body["rows"].(map[string]any)["integrations"])
		require.Greater(t, a.body["total"], float64(10))
		require.NotContains(t, a.body, "problem")
		left := r.keptOf(t, "43")
		for table, rows := range left {
			require.Equal(t, "activity", table)
			require.Len(t, rows, 2, "the entries of the erasure and of this export")
		}
		log, err = r.db.ActivityLog.List(t.Context(), activity.Query{Tenant: "1", Limit: 10})
		require.NoError(t, err)
		require.Len(t, log.Entries, 1, "who asked for it")
		require.Equal(t, "43", log.Entries[0].ObjectID)
	})
}

// keptOf are the rows of all pages of an export.
func (r *rig) keptOf(t *testing.T, tenant string) map[string][]json.RawMessage {
	t.Helper()
	out := map[string][]json.RawMessage{}
	for cursor := ""; ; {
		a := r.call("GET", "/v1/tenants/"+tenant+"/export?cursor="+cursor, "")
		require.Equal(t, 200, a.status, a.raw)
		var page struct {
			Items []struct {
				Table string
				Row   json.RawMessage
			}
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.raw), &page))
		for _, row := range page.Items {
			out[row.Table] = append(out[row.Table], row.Row)
		}
		if cursor = page.NextCursor; cursor == "" {
			return out
		}
	}
}

// TestAnOperatorErasesAPerson over both engines: whose integration sends on, and who is in the log under a pseudonym.
func TestAnOperatorErasesAPerson(t *testing.T) {
	overEngines(t, func(t *testing.T, open func(*testing.T) engine) {
		r := startOver(t, open(t))
		r.token = r.issue("42", access.Administrator)
		made := r.call("POST", "/v1/integrations", `{"system":"email","name":"Mails","parameters":{"addresses":["`+
			strings.ToUpper(r.email)+`"]},"events":[{"event":"system"}]}`)
		require.Equal(t, 201, made.status, made.raw)
		at := "/v1/integrations/" + made.body["id"].(string)
		mine := r.token

		r.token = r.issue("1", access.Operator)
		const path = "/v1/tenants/42/people/erasure"
		of := "?person=" + strings.ReplaceAll(r.email, "@", "%40")
		require.Equal(t, 404, r.call("GET", path+of, "").status)
		require.Equal(t, 422, r.call("GET", path, "").status)
		for _, body := range []string{`{}`, `{"person":"` + r.email + `","confirm":"42"}`, `{"confirm":"42"}`,
			`{"person":"   ","confirm":"   "}`, `{"person":"example.com","confirm":"example.com"}`} {
			require.Equal(t, 422, r.call("POST", path, body).status, body)
		}
		require.Equal(t, 422, r.call("POST", "/v1/tenants/*/people/erasure",
			`{"person":"`+r.email+`","confirm":"`+r.email+`"}`).status)
		try := r.call("GET", path+"/trial"+of, "")
		require.Equal(t, 200, try.status, try.raw)
		require.Equal(t, []any{map[string]any{"id": made.body["id"], "name": "Mails", "disabled": true}},
			try.body["integrations"])
		a := r.call("POST", path, `{"person":"`+r.email+`","confirm":"`+r.email+`"}`)
		require.Equal(t, 202, a.status, a.raw)
		require.Equal(t, try.body["integrations"], a.body["integrations"])
		_, err := r.config.Erasures.Work(t.Context(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		a = r.call("GET", path+of, "")
		require.Equal(t, "done", a.body["state"], a.raw)
		require.NotContains(t, a.raw, r.email)
		require.Greater(t, a.body["total"], float64(2))

		r.token = mine
		shown := r.call("GET", at, "")
		require.Equal(t, a.body["pseudonym"], shown.body["created_by"], shown.raw)
		require.Equal(t, false, shown.body["enabled"])
		require.Contains(t, shown.raw, "say where it sends to")
		require.NotContains(t, strings.ToLower(shown.raw), r.email)
		log, err := r.db.ActivityLog.List(t.Context(), activity.Query{Tenant: "42", Limit: 100,
			Person: a.body["pseudonym"].(string)})
		require.NoError(t, err)
		require.NotEmpty(t, log.Entries)
	})
}
