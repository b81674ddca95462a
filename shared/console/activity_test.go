package console_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console"
	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/session"
	"tocsin/shared/telegrambot"
	"tocsin/shared/telegrambot/telegramtest"
)

// leavesNothing are the operations that change nothing, although their method could.
var leavesNothing = map[string]bool{"list-choices": true, "preview-unsaved-trigger": true, "preview-trigger": true,
	"show-samples": true, "try-filters": true}

// driven is a mutating operation: how it is called for real, and the entry that it leaves.
type driven struct {
	call   func() answer
	object activity.Object
	action activity.Action
	field  string // one of its changes, "" = it names none
	after  string
}

// fanOut publishes an entry to these integrations alone. What is on the bus already goes to nobody.
func (r *rig) fanOut(to only, e delivery.Entry) {
	r.t.Helper()
	require.NoError(r.t, r.db.Bus.Put(r.t.Context(), []delivery.Entry{e}))
	entries, err := r.db.Bus.Receive(r.t.Context(), 1000)
	require.NoError(r.t, err)
	f := fanout.Fanout{Integrations: only{}, Systems: r.config.Systems, Store: r.db.Deliveries, Logger: r.config.Log}
	last := len(entries) - 1
	if last > 0 {
		_, err = f.Process(r.t.Context(), entries[:last])
		require.NoError(r.t, err)
	}
	f.Integrations = to
	_, err = f.Process(r.t.Context(), entries[last:])
	require.NoError(r.t, err)
}

// dead makes a delivery to a receiver that has died.
func (r *rig) dead(receiver, system string) (id string) {
	r.t.Helper()
	i := integration.Integration{ID: receiver, Tenant: "42", System: system, Name: "R", Revision: 1, Window: 1,
		Subscriptions: []integration.Subscription{{Event: event.System}}, Parameters: []byte(`{}`)}
	r.fanOut(only{i}, delivery.Entry{DetailType: "create_user", At: time.Now(), Detail: fmt.Appendf(nil,
		`{"version":1,"id":"e-%s-%d","tenant":"42","time":"2023-03-01T00:00:00Z",`+
			`"data":{"user":{"name":"Grace","email":"g@example.com"}}}`, receiver, time.Now().UnixNano())})
	found, err := r.db.Deliveries.List(r.t.Context(), delivery.Query{Tenant: "42", Integration: receiver, Limit: 1})
	require.NoError(r.t, err)
	require.NotEmpty(r.t, found)
	d, err := r.db.Deliveries.Get(r.t.Context(), "42", receiver, found[0].ID)
	require.NoError(r.t, err)
	d.State, d.Reason = delivery.Dead, "the waits are used up"
	require.NoError(r.t, r.db.Deliveries.Settle(r.t.Context(), []delivery.Delivery{d}))
	return d.ID
}

// post is a call that is made later.
func (r *rig) post(path, body string) func() answer {
	return func() answer { return r.call("POST", path, body) }
}

// drive is every mutating operation. Each prepares what it needs before it calls.
func (r *rig) drive(own, trig string) map[string]driven {
	post := r.post
	at := "/v1/integrations/" + own
	patch := []string{"Content-Type", "application/merge-patch+json"}
	out := map[string]driven{
		"create-integration": {post("/v1/integrations", `{"system":"slack","name":"New","events":[{"event":"system"}],`+
			`"parameters":{"webhook_url":"`+slackURL+`"}}`), activity.Integration, activity.Create, "name", "New"},
		"update-integration": {func() answer { return r.call("PATCH", at, `{"name":"Renamed"}`, patch...) },
			activity.Integration, activity.Update, "name", "Renamed"},
		"disable-integration": {post(at+"/disable", ""), activity.Integration, activity.Disable, "enabled", "false"},
		"enable-integration": {func() answer {
			r.call("POST", at+"/disable", "")
			r.forgetLog()
			return r.call("POST", at+"/enable", "")
		}, activity.Integration, activity.Enable, "enabled", "true"},
		"test-integration": {post(at+"/test", ""), activity.Integration, activity.Test, "outcome", "failed"},
		"test-parameters": {post("/v1/integrations/test", `{"system":"slack","parameters":{"webhook_url":"`+slackURL+
			`"}}`), activity.Integration, activity.Test, "outcome", "failed"},
		"delete-integration": {func() answer {
			id := r.slack("Gone")
			r.forgetLog()
			return r.call("DELETE", "/v1/integrations/"+id, "")
		}, activity.Integration, activity.Delete, "name", ""},
		"create-trigger": {post("/v1/triggers", strings.ReplaceAll(aTrigger, "{mine}", own)), activity.Trigger,
			activity.Create, "name", "Mine"},
		"update-trigger": {func() answer { return r.call("PATCH", "/v1/triggers/"+trig, `{"name":"Other"}`, patch...) },
			activity.Trigger, activity.Update, "name", "Other"},
		"disable-trigger": {post("/v1/triggers/"+trig+"/disable", ""), activity.Trigger, activity.Disable, "enabled",
			"false"},
		"enable-trigger": {func() answer {
			r.call("POST", "/v1/triggers/"+trig+"/disable", "")
			r.forgetLog()
			return r.call("POST", "/v1/triggers/"+trig+"/enable", "")
		}, activity.Trigger, activity.Enable, "enabled", "true"},
		"copy-trigger": {post("/v1/triggers/"+trig+"/copy", ""), activity.Trigger, activity.Create, "copy_of", trig},
		"delete-trigger": {func() answer {
			id := r.call("POST", "/v1/triggers/"+trig+"/copy", "").body["id"].(string)
			r.forgetLog()
			return r.call("DELETE", "/v1/triggers/"+id, "")
		}, activity.Trigger, activity.Delete, "enabled", ""},
		"acknowledge-command": {func() answer {
			r.asked("42", "command-1")
			return r.call("POST", "/v1/commands/command-1/ack", "")
		}, activity.Command, activity.Acknowledge, "state", "acknowledged"},
		"make-token": {post("/v1/tokens", `{"name":"CI","kind":"personal","role":"analyst"}`), activity.APIToken,
			activity.Create, "", ""},
		"revoke-token": {func() answer {
			id := r.call("POST", "/v1/tokens", `{"name":"Old","kind":"personal","role":"analyst"}`).body["id"].(string)
			r.forgetLog()
			return r.call("DELETE", "/v1/tokens/"+id, "")
		}, activity.APIToken, activity.Revoke, "", ""},
	}
	r.driveMutes(out, at)
	r.driveSettings(out)
	r.driveRepeats(out, own)
	r.driveOthers(out)
	return out
}

// driveMutes adds what holds what comes for an integration.
func (r *rig) driveMutes(out map[string]driven, at string) {
	post := r.post
	maps.Copy(out, map[string]driven{
		"mute-integration": {post(at+"/mute", `{"hours":2,"reason":"migration"}`), activity.Integration, activity.Mute,
			"hold.mute.reason", "migration"},
		"unmute-integration": {func() answer {
			r.call("POST", at+"/mute", `{"hours":2,"reason":"migration"}`)
			r.forgetLog()
			return r.call("POST", at+"/unmute", "")
		}, activity.Integration, activity.Unmute, "hold.mute.reason", ""},
	})
}

// driveOthers adds what a bot, an operator and a person with a cookie do.
func (r *rig) driveOthers(out map[string]driven) {
	as := func(role access.Role, method, path, body string) answer {
		mine := r.token
		defer func() { r.token = mine }()
		r.token = r.issue("42", role)
		return r.call(method, path, body)
	}
	const linked = "/v1/tenants/42/linked/43"
	maps.Copy(out, map[string]driven{
		"make-telegram-link": {func() answer {
			id := r.create(`{"system":"telegram","name":"Chat","parameters":{}}`).body["id"].(string)
			r.forgetLog()
			return r.call("POST", "/v1/integrations/"+id+"/telegram-link", "")
		}, activity.Integration, activity.Link, "telegram_link", activity.Changed},
		"link-tenant": {func() answer { return as(access.Operator, "PUT", linked, `{"client_name":"Other"}`) },
			activity.LinkedTenant, activity.Link, "", ""},
		"erase-tenant": {func() answer { return as(access.Operator, "POST", "/v1/tenants/47/erasure", `{"confirm":"47"}`) },
			activity.Tenant, activity.Erase, "", ""},
		"erase-person": {func() answer {
			return as(access.Operator, "POST", "/v1/tenants/42/people/erasure",
				`{"person":"eve@example.com","confirm":"eve@example.com"}`)
		}, activity.User, activity.Erase, "", ""},
		"unlink-tenant": {func() answer {
			as(access.Operator, "PUT", linked, `{"client_name":"Other"}`)
			r.forgetLog()
			return as(access.Operator, "DELETE", linked, "")
		}, activity.LinkedTenant, activity.Unlink, "", ""},
		"end-session": {func() answer {
			cookie, err := r.config.Sessions.Begin(r.t.Context(), access.Principal{Tenant: "42", Email: r.email,
				Role: access.Administrator}, session.Options{Method: session.ByLink})
			require.NoError(r.t, err)
			mine := r.token
			defer func() { r.token = mine }()
			return r.call("POST", "/v1/session/end", "", "Authorization", "", "Cookie", cookie.Name+"="+cookie.Value)
		}, activity.Session, activity.SignOut, "", ""},
	})
}

// driveSettings adds reports and one's own profile.
func (r *rig) driveSettings(out map[string]driven) {
	maps.Copy(out, map[string]driven{
		"set-report-settings": {func() answer {
			return r.call("PUT", "/v1/report-settings", `{"time_zone":"Asia/Tokyo"}`)
		},
			activity.ReportSettings, activity.Update, "zone", "Asia/Tokyo"},
		"order-report": {r.post("/v1/reports", `{"period":{"frequency":"daily","from":"2023-03-05"},"format":"csv"}`),
			activity.Report, activity.Create, "format", "csv"},
		"set-notifications": {func() answer {
			return r.call("PUT", "/v1/profile/notifications", `{"choices":{"report_daily":true,"report_weekly":true,`+
				`"report_monthly":true,"system":true,"vuln":false,"scope":false}}`)
		}, activity.Profile, activity.Update, "report_daily", "true"},
	})
}

// driveRepeats adds the operations that send something again.
func (r *rig) driveRepeats(out map[string]driven, own string) {
	at := "/v1/integrations/" + own
	person := profile.ID(r.email)
	out["replay-delivery"] = driven{func() answer {
		return r.call("POST", at+"/deliveries/"+r.dead(own, "slack")+"/replay", "")
	}, activity.Integration, activity.Replay, "deliveries", "1"}
	out["replay-deliveries"] = driven{func() answer {
		r.dead(own, "slack")
		return r.call("POST", at+"/replay", `{"states":["dead"]}`)
	}, activity.Integration, activity.Replay, "states", `["dead"]`}
	out["replay-own-mail"] = driven{func() answer {
		return r.call("POST", "/v1/profile/mails/"+r.dead(person, "personal_email")+"/replay", "")
	}, activity.Profile, activity.Replay, "", ""}
	out["replay-mail-to-person"] = driven{func() answer {
		return r.call("POST", "/v1/people/"+person+"/mails/"+r.dead(person, "personal_email")+"/replay", "")
	}, activity.Profile, activity.Replay, "", ""}
	out["replay-report-mail"] = driven{func() answer {
		id := r.call("POST", "/v1/reports", `{"period":{"frequency":"daily","from":"2023-03-05"}}`).body["id"].(string)
		r.forgetLog()
		return r.call("POST", "/v1/reports/"+id+"/mails/"+r.dead(report.OnDemand+id, "email")+"/replay", "")
	}, activity.Report, activity.Replay, "", ""}
	out["replay-dead-letter"] = driven{func() answer {
		r.fanOut(only{}, delivery.Entry{DetailType: "vuln", At: time.Now(), Detail: []byte(
			`{"version":1,"id":"bad","tenant":"42","time":"2023-03-01T00:00:00Z","data":{"vuln":{"threat":"x"}}}`)})
		letters, err := r.db.Deliveries.DeadLetters(r.t.Context(), "42", "", 10)
		require.NoError(r.t, err)
		return r.call("POST", "/v1/dead-letters/"+letters[0].ID+"/replay", "")
	}, activity.DeadLetter, activity.Replay, "", ""}
	out["recover-events"] = driven{func() answer {
		r.arrive(0, 2, time.Now().Add(-time.Minute))
		id := r.slack("Late")
		r.forgetLog()
		return r.call("POST", "/v1/integrations/"+id+"/recover", fmt.Sprintf(`{"from":%q}`,
			time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)))
	}, activity.Integration, activity.Recover, "", ""}
	out["allow-address"] = driven{func() answer {
		_, err := r.config.SuppressionList.Suppress(r.t.Context(),
			mail.Suppression{Tenant: "42", Address: "b@example.com",
				Why: mail.Bounced, At: time.Now()})
		require.NoError(r.t, err)
		return r.call("DELETE", "/v1/blocked-addresses/b@example.com", "")
	}, activity.Suppression, activity.Delete, "", ""}
}

// entries are those of the caller since forgetLog.
func (r *rig) entries() (out []activity.Entry) {
	r.t.Helper()
	page, err := r.db.ActivityLog.List(r.t.Context(), activity.Query{Tenant: "42", Limit: 1000})
	require.NoError(r.t, err)
	for _, e := range page.Entries {
		if !r.logged[e.ID] && e.Source != access.FromSystem {
			out = append(out, e)
		}
	}
	return out
}

// forgetLog leaves the entries so far out of entries.
func (r *rig) forgetLog() {
	if r.logged == nil {
		r.logged = map[string]bool{}
	}
	for _, e := range r.entries() {
		r.logged[e.ID] = true
	}
}

// TestEachMutatingOperationLeavesOneEntry compares the list of operations with the log. An operation that is new fails
// until it has a line.
func TestEachMutatingOperationLeavesOneEntry(t *testing.T) { overEngines(t, eachLeavesOneEntry) }

// startWithAll is a rig with a bot of Telegram, where cookies count too.
func startWithAll(t *testing.T, db engine) *rig {
	t.Helper()
	server := telegramtest.Start(t)
	account := telegram.Bot{Token: telegramtest.Token, API: server.URL}
	r := startOver(t, db, server.Host())
	r.config.Systems = catalogue.Default(telegram.New(account))
	var err error
	r.config.Telegram, err = telegrambot.New(telegrambot.Config{Telegram: account, Integrations: r.config.Integrations,
		Now: time.Now, Log: r.config.Log, Changed: r.config.Changed})
	require.NoError(t, err)
	r.config.Authenticator = append(r.config.Authenticator.(access.Chain), r.config.Sessions)
	r.handler = console.New(r.config)
	return r
}

func eachLeavesOneEntry(t *testing.T, open func(*testing.T) engine) {
	r := startWithAll(t, open(t))
	own := r.slack("Mine")
	made := r.call("POST", "/v1/triggers", strings.ReplaceAll(aTrigger, "{mine}", own))
	require.Equal(t, 201, made.status, made.raw)
	require.NoError(t, r.config.Profiles.Know(t.Context(), profile.Person{Role: access.Administrator, At: time.Now(),
		Actor: activity.Actor{Tenant: "42", ClientName: "Acme", Email: r.email}}))
	table := r.drive(own, made.body["id"].(string))
	seen := 0
	for path, methods := range r.paths(t) {
		for method, o := range methods {
			if method == "get" || leavesNothing[o.OperationID] {
				continue
			}
			line, ok := table[o.OperationID]
			require.True(t, ok, "%s %s (%s) needs a line in the table of this test", method, path, o.OperationID)
			seen++
			r.call("POST", "/v1/integrations/"+own+"/enable", "")
			r.call("POST", "/v1/triggers/"+made.body["id"].(string)+"/enable", "")
			r.leavesOneEntry(o.OperationID, line)
		}
	}
	require.Equal(t, len(table), seen, "a line of the table is of no operation any more")
}

// leavesOneEntry makes a call and looks what it left.
func (r *rig) leavesOneEntry(operation string, line driven) {
	r.t.Helper()
	t := r.t
	r.forgetLog()
	a := line.call()
	require.Less(t, a.status, 300, "%s: %s", operation, a.raw)
	got := r.entries()
	require.Len(t, got, 1, operation)
	e := got[0]
	require.Equal(t, line.object, e.Object, operation)
	require.Equal(t, line.action, e.Action, operation)
	require.Equal(t, r.email, e.Email, operation)
	require.Equal(t, access.FromConsole, e.Source, operation)
	require.Equal(t, a.header.Get("X-Request-Id"), e.RequestID, operation)
	require.NotContains(t, fmt.Sprint(e), "s3cr3t", operation)
	found := line.field == ""
	for _, c := range e.Changes {
		found = found || c.Field == line.field && c.After == line.after
	}
	require.True(t, found, "%s: %s is not %q in %v", operation, line.field, line.after, e.Changes)
}

// TestEachCallOfThePlatformsAPILeavesOneEntry: its calls are in no list of operations.
func TestEachCallOfThePlatformsAPILeavesOneEntry(t *testing.T) {
	overEngines(t, func(t *testing.T, open func(*testing.T) engine) {
		r := startOver(t, open(t))
		id := func(a answer) int {
			require.Equal(t, 200, a.status, a.raw)
			n := regexp.MustCompile(`"id":\s*(\d+)`).FindStringSubmatch(a.raw)
			require.NotNil(t, n, a.raw)
			number, err := strconv.Atoi(n[1])
			require.NoError(t, err)
			return number
		}
		slack := func(name string) answer {
			return r.call("POST", "/v2/integration", `{"name":"`+name+`","active":true,"target":"`+slackURL+
				`","events":[],"type":"slack","clientid":42}`)
		}
		integration := id(slack("Receiver"))
		watch := func(method, at, name string) answer {
			return r.call(method, "/v2/clients/42/triggers"+at, fmt.Sprintf(`{"trigger":{"template_id":"user_created",`+
				`"name":%q,"comment":"","enabled":true,"filters":[],"threshold":null,"actions":[{"id":`+
				`"send_notification","params":{"integration_ids":[%d]}}]}}`, name, integration))
		}
		own := fmt.Sprint("/v2/integration/", integration)
		trigger := fmt.Sprint("/", id(watch("POST", "", "Watch")))
		for call, line := range map[string]driven{
			"create an integration": {func() answer { return slack("New") }, activity.Integration, activity.Create,
				"name", "New"},
			"change an integration": {func() answer { return r.call("PUT", own, `{"name":"Other"}`) },
				activity.Integration, activity.Update, "name", "Other"},
			"disable an integration": {func() answer { return r.call("PUT", own, `{"active":false}`) },
				activity.Integration, activity.Disable, "enabled", "false"},
			"delete an integration": {func() answer {
				gone := fmt.Sprint("/v2/integration/", id(slack("Gone")))
				r.forgetLog()
				return r.call("DELETE", gone, "")
			}, activity.Integration, activity.Delete, "name", ""},
			"create a trigger": {func() answer { return watch("POST", "", "New") }, activity.Trigger, activity.Create,
				"name", "New"},
			"change a trigger": {func() answer { return watch("PUT", trigger, "Other") }, activity.Trigger,
				activity.Update, "name", "Other"},
			"delete a trigger": {func() answer {
				gone := fmt.Sprint("/v2/clients/42/triggers/", id(watch("POST", "", "Gone")))
				r.forgetLog()
				return r.call("DELETE", gone, "")
			}, activity.Trigger, activity.Delete, "name", ""},
		} {
			r.leavesOneEntry(call, line)
		}
	})
}

func TestAChangeThatIsRefusedLeavesNoEntry(t *testing.T) {
	r := start(t)
	own := r.slack("Mine")
	r.forgetLog()
	patch := []string{"Content-Type", "application/merge-patch+json"}
	for name, a := range map[string]answer{
		"another revision": r.call("PATCH", "/v1/integrations/"+own, `{"name":"x"}`,
			append(patch, "If-Match", `"9"`)...),
		"a bad name":      r.call("PATCH", "/v1/integrations/"+own, `{"name":""}`, patch...),
		"a bad parameter": r.call("POST", "/v1/integrations", `{"system":"slack","parameters":{}}`),
		"another trigger": r.call("PATCH", "/v1/triggers/0-group-hits", `{"name":"x"}`,
			append(patch, "If-Match", `"9"`)...),
		"a bad trigger":  r.call("PATCH", "/v1/triggers/0-group-hits", `{"name":""}`, patch...),
		"none to delete": r.call("DELETE", "/v1/triggers/none", ""),
		"a bad zone":     r.call("PUT", "/v1/report-settings", `{"time_zone":"Mars"}`),
	} {
		require.GreaterOrEqual(t, a.status, 400, name)
	}
	page, err := r.db.ActivityLog.List(t.Context(), activity.Query{Tenant: "42", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "the one of creating, and none that the triggers of a new account were stored")
	r.forgetLog()
	require.Equal(t, 200, r.call("PATCH", "/v1/integrations/"+own, `{"name":"Mine"}`, patch...).status)
	require.Empty(t, r.entries(), "nothing changed")
}

func TestASecretIsOnlySaidToHaveChanged(t *testing.T) {
	r := start(t)
	own := r.slack("Mine")
	r.forgetLog()
	a := r.call("PATCH", "/v1/integrations/"+own, `{"parameters":{"webhook_url":"`+slackURL+`-2"}}`, "Content-Type",
		"application/merge-patch+json")
	require.Equal(t, 200, a.status, a.raw)
	require.Equal(t, "ada@example.com", a.body["updated_by"])
	require.Equal(t, []activity.Change{activity.SecretChange("parameters.webhook_url")}, r.entries()[0].Changes)
}

func TestTheLogIsReadFilteredAndExported(t *testing.T) {
	r := start(t)
	own := r.slack(`=HYPERLINK("https://evil.example.com")`)
	r.slack("\u00a0+1")
	r.call("POST", "/v1/integrations/"+own+"/disable", "")
	list := func(query string) []any {
		a := r.call("GET", "/v1/activity?"+query, "")
		require.Equal(t, 200, a.status, a.raw)
		return a.body["items"].([]any)
	}
	require.Len(t, list(""), 3)
	require.Len(t, list("object_id="+own), 2)
	require.Len(t, list("action=disable"), 1)
	require.Len(t, list("person=ADA@example.com"), 3)
	require.Len(t, list("source=system"), 0)
	require.Len(t, list("object=Integration&from="+url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))), 0)
	require.Equal(t, 422, r.call("GET", "/v1/activity?source=nonsense", "").status)
	first := r.call("GET", "/v1/activity?limit=2", "")
	rest := r.call("GET", "/v1/activity?limit=2&cursor="+first.body["next_cursor"].(string), "")
	require.Len(t, rest.body["items"], 1)
	require.Empty(t, rest.body["next_cursor"])

	file := r.call("GET", "/v1/activity/export", "")
	require.Equal(t, "text/csv; charset=utf-8", file.header.Get("Content-Type"))
	require.Contains(t, file.header.Get("Content-Disposition"), "attachment")
	lines, err := csv.NewReader(strings.NewReader(file.raw)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, "time", lines[0][0])
	for _, line := range lines {
		for _, v := range line {
			require.False(t, strings.IndexAny(strings.TrimLeft(v, " \u00a0"), "=+-@\t\r") == 0, "%q is a formula", v)
		}
	}
	r.token = r.issue("43", access.Administrator)
	require.Empty(t, list(""), "another tenant's")
	r.token = r.issue("42", access.ReadOnly)
	require.Len(t, list(""), 3)
	r.token = r.issue("42", access.Analyst)
	require.Equal(t, 403, r.call("GET", "/v1/activity", "").status)
	require.Equal(t, 403, r.call("GET", "/v1/activity/export", "").status)
}
