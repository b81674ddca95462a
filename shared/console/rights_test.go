package console_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/access/accesstest"
	"tocsin/shared/activity"
	"tocsin/shared/console"
	"tocsin/shared/console/mails"
	"tocsin/shared/delivery"
	"tocsin/shared/fanout"
	"tocsin/shared/mail"
	"tocsin/shared/profile"
	"tocsin/shared/report"
)

// Who may call an operation, by the role codes of tokens (product facts, section 7).
const (
	anybody = "admin admin_ext partner_admin partner_admin_ext analytic partner_analytic auditor " +
		"partner_auditor api_developer operator deploy nonsense Admin [admin]"
	withConsole = "admin admin_ext partner_admin partner_admin_ext analytic partner_analytic auditor " +
		"partner_auditor api_developer operator"
	seesEvents = "admin admin_ext partner_admin partner_admin_ext analytic partner_analytic auditor " +
		"partner_auditor operator"
	managesEvents  = "admin admin_ext partner_admin partner_admin_ext analytic partner_analytic operator"
	makesTokens    = managesEvents
	administrators = "admin admin_ext partner_admin partner_admin_ext operator"
)

// operations is every operation of the API: who may call it, and a body that is good. {id}, {delivery} and so on stand
// for what another tenant has.
var operations = map[string]struct{ roles, body string }{
	"get-session":         {anybody, ""},
	"get-version":         {anybody, ""},
	"end-session":         {anybody, ""},
	"list-tenants":        {anybody, ""},
	"list-linked-tenants": {"operator", ""},
	"link-tenant":         {"operator", `{"client_name":"Linked"}`},
	"unlink-tenant":       {"operator", ""},
	"export-tenant":       {"operator", ""},
	"erase-tenant":        {"operator", `{"confirm":"44"}`},
	"get-tenant-erasure":  {"operator", ""},
	"erase-person":        {"operator", `{"person":"eve@example.com","confirm":"eve@example.com"}`},
	"get-person-erasure":  {"operator", ""},
	"try-person-erasure":  {"operator", ""},
	"make-token":          {makesTokens, `{"name":"Mine","kind":"personal"}`},
	"list-tokens":         {makesTokens, ""},
	"revoke-token":        {makesTokens, ""},
	"get-notifications":   {withConsole, ""},
	"set-notifications": {withConsole,
		`{"choices":{"report_daily":false,"report_weekly":false,"report_monthly":false,"system":false,"vuln":false,"scope":false}}`},
	"list-own-mails":        {withConsole, ""},
	"replay-own-mail":       {withConsole, ""},
	"list-people":           {administrators, ""},
	"list-activity":         {administrators + " auditor partner_auditor", ""},
	"export-activity":       {administrators + " auditor partner_auditor", ""},
	"list-mails-to-person":  {administrators, ""},
	"replay-mail-to-person": {administrators, ""},
	"list-report-mails":     {seesEvents, ""},
	"replay-report-mail":    {managesEvents, ""},
	"list-reports":          {seesEvents, ""},
	"get-report":            {seesEvents, ""},
	"get-report-filters":    {seesEvents, ""},
	"get-report-file":       {seesEvents, ""},
	"order-report":          {managesEvents, `{"period":{"frequency":"daily","from":"2023-03-05"}}`},
	"get-report-settings":   {administrators, ""},
	"export-configuration":  {administrators, ""},
	"set-report-settings":   {administrators, `{"time_zone":"Europe/Berlin"}`},
	"list-systems":          {administrators, ""},
	"list-egress-addresses": {withConsole, ""},
	"list-integrations":     {administrators, ""},
	"create-integration": {administrators,
		`{"system":"slack","name":"Mine","parameters":{"webhook_url":"https://hooks.slack.com/services/T/B/x"}}`},
	"get-integration":          {administrators, ""},
	"update-integration":       {administrators, `{"name":"Mine"}`},
	"delete-integration":       {administrators, ""},
	"enable-integration":       {administrators, ""},
	"disable-integration":      {administrators, ""},
	"mute-integration":         {administrators, `{"hours":2,"reason":"migration"}`},
	"unmute-integration":       {administrators, ""},
	"test-integration":         {administrators, ""},
	"test-parameters":          {administrators, `{"integration":"{id}","parameters":{"webhook_url":"********"}}`},
	"show-samples":             {administrators, `{"system":"slack"}`},
	"try-filters":              {administrators, `{"system":"slack","events":[],"filters":[]}`},
	"list-choices":             {administrators, `{"integration":"{id}","parameter":"project","parameters":{}}`},
	"get-integration-health":   {administrators, ""},
	"get-overview":             {administrators, ""},
	"list-integration-uses":    {administrators, ""},
	"get-integration-left-out": {administrators, ""},
	"make-telegram-link":       {administrators, ""},
	"list-deliveries":          {administrators, ""},
	"search-deliveries":        {administrators, ""},
	"export-deliveries":        {administrators, ""},
	"get-event":                {administrators, ""},
	"get-delivery":             {administrators, ""},
	"list-requests":            {administrators, ""},
	"replay-delivery":          {administrators, ""},
	"replay-deliveries":        {administrators, `{"from":"2023-03-01T00:00:00Z"}`},
	"recover-events":           {administrators, `{"from":"2023-03-01T00:00:00Z","to":"2023-03-02T00:00:00Z"}`},
	"list-mails":               {administrators, ""},
	"list-dead-letters":        {administrators, ""},
	"replay-dead-letter":       {administrators, ""},
	"list-blocked-addresses":   {administrators, ""},
	"allow-address":            {administrators, ""},
	"list-trigger-templates":   {administrators, ""},
	"list-commands":            {administrators, ""},
	"acknowledge-command":      {administrators, ""},
	"list-triggers":            {administrators, ""},
	"create-trigger":           {administrators, aTrigger},
	"preview-unsaved-trigger":  {administrators, aTrigger},
	"get-trigger":              {administrators, ""},
	"update-trigger":           {administrators, `{"name":"Mine"}`},
	"delete-trigger":           {administrators, ""},
	"enable-trigger":           {administrators, ""},
	"disable-trigger":          {administrators, ""},
	"copy-trigger":             {administrators, ""},
	"preview-trigger":          {administrators, ""},
	"list-firings":             {administrators, ""},
	"get-trigger-count":        {administrators, ""},
}

const aTrigger = `{"name":"Mine","template_id":"user_created","actions":[{"id":"send_notification","params":{"integration_ids":["{mine}"]}}]}`

// marker is in all that the other tenant has.
const marker = "M4RKER-of-43"

// others is what tenant 43 has, by the places of paths.
func (r *rig) others(t *testing.T) map[string]string {
	t.Helper()
	mine := r.token
	defer func() { r.token = mine }()
	r.token = r.issue("43", access.Administrator)
	id := r.create(`{"system":"slack","name":"` + marker +
		`","events":[{"event":"system"}],"parameters":{"webhook_url":"https://hooks.slack.com/services/T/B/` + marker +
		`"}}`).body["id"].(string)
	i, err := r.db.Integrations.Get(t.Context(), "43", id)
	require.NoError(t, err)
	fanout := fanout.Fanout{Integrations: only{i}, Systems: r.config.Systems, Store: r.db.Deliveries,
		Logger: r.config.Log}
	_, err = fanout.Process(t.Context(), []delivery.Entry{
		{Receipt: "1", DetailType: "create_user", At: time.Now(),
			Detail: []byte(
				`{"version":1,"id":"e-43","tenant":"43","client_name":"Other","time":"2023-03-01T00:00:00Z","data":{"user":{"name":"` + marker + `","email":"a@example.com"}}}`)},
		{Receipt: "2", DetailType: "vuln", At: time.Now(),
			Detail: []byte(
				`{"version":1,"id":"bad-43","tenant":"43","time":"2023-03-01T00:00:00Z","data":{"vuln":{"threat":"` +
					marker + `"}}}`)},
		{Receipt: "3", DetailType: "vuln", At: time.Now(), Detail: []byte(`not JSON: ` + marker)},
	})
	require.NoError(t, err)
	found, err := r.db.Deliveries.List(t.Context(), delivery.Query{Tenant: "43", Integration: id, Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 1)
	made := r.call("POST", "/v1/triggers", strings.ReplaceAll(strings.ReplaceAll(aTrigger, "{mine}", id), `"Mine"`, `"`+
		marker+`"`))
	require.Equal(t, 201, made.status, made.raw)
	ordered := r.call("POST", "/v1/reports", `{"period":{"frequency":"daily","from":"2023-03-04"},"recipients":["`+
		marker+`@example.com"]}`)
	require.Equal(t, 202, ordered.status, ordered.raw)
	require.NoError(t, r.reports.MakeWaiting(t.Context()))
	rep, err := r.db.Reports.Get(t.Context(), "43", ordered.body["id"].(string))
	require.NoError(t, err)
	require.Equal(t, report.Ready, rep.State)
	address := strings.ToLower(marker) + "@example.com"
	_, err = r.config.SuppressionList.Suppress(t.Context(),
		mail.Suppression{Tenant: "43", Address: address, Why: mail.Bounced, At: time.Now()})
	require.NoError(t, err)
	who := profile.Person{Actor: activity.Actor{Tenant: "43", ClientName: "Other", Email: marker + "@example.com",
		Name: marker},
		Role: access.Administrator}
	require.NoError(t, r.config.Profiles.Know(t.Context(), who))
	known, err := r.config.Profiles.Read(t.Context(), who)
	require.NoError(t, err)
	r.call("GET", "/v1/profile/notifications", "")
	letters, err := r.db.Deliveries.DeadLetters(t.Context(), "43", "", 10)
	require.NoError(t, err)
	require.NotEmpty(t, letters)
	r.asked("43", "command-43")
	theirToken := r.call("POST", "/v1/tokens", `{"name":"`+marker+`","kind":"shared"}`)
	require.Equal(t, 201, theirToken.status, theirToken.raw)
	return map[string]string{"tokens": theirToken.body["id"].(string), "tenants": "44",
		"dead-letters": letters[0].ID, "commands": "command-43", "integrations": id, "events": "e-43",
		"delivery": found[0].ID, "triggers": made.body["id"].(string), "reports": rep.ID, "people": known.ID,
		"name": rep.Files[0].Name, "address": address}
}

// tokensOf signs claims as the identity provider does.
func tokensOf(t *testing.T) func(claims map[string]any) string {
	return func(claims map[string]any) string {
		all := map[string]any{"email": "ada@example.com"}
		maps.Copy(all, claims)
		return accesstest.New().Sign(t, all)
	}
}

// forEveryRole are the operations that a role which is not known may call: they say who one is, and sign out.
// list-tenants lists one's own.
var forEveryRole = []string{"get-session", "get-version", "end-session", "list-tenants"}

// noClaims are claims of nobody.
var noClaims = []map[string]any{
	{"tenant": "42", "role": []string{"admin"}}, {"tenant": "42", "role": map[string]string{"a": "admin"}},
	{"tenant": "42", "role": 1}, {"role": "admin"}, {"tenant": "", "role": "admin"},
	{"tenant": []string{"42"}, "role": "admin"}, {"tenant": "*", "role": "operator"},
	{"tenant": " nobody", "role": "admin"}, {"tenant": "42", "role": "admin", "exp": 1},
}

// TestOneAuthorisationWalk takes every operation of the API, by every role, for the tenant's own and another tenant's
// things, and compares with the table above. An operation without a line in it fails.
func TestOneAuthorisationWalk(t *testing.T) {
	r := start(t)
	r.config.MailLog = func(_ context.Context, tenant, _ string, _ int) ([]mails.Mail, error) {
		return []mails.Mail{{ID: "1", Subject: map[string]string{"42": "mine", "43": marker}[tenant]}}, nil
	}
	r.handler = console.New(r.config)
	theirs := r.others(t)
	own := r.slack("Mine")
	token := tokensOf(t)
	seen := map[string]bool{}
	for path, methods := range r.paths(t) {
		for method, o := range methods {
			line, ok := operations[o.OperationID]
			require.True(t, ok, "%s %s (%s) needs a line in the table of this test", method, path, o.OperationID)
			seen[o.OperationID] = true
			call := func(token string) answer {
				r.token = token
				return r.theirs(method, path, line.body, theirs, own)
			}
			for _, role := range append(strings.Fields(anybody), "", " admin", "administrator,deploy", "*") {
				a := call(token(map[string]any{"tenant": "42", "role": role}))
				allowed := contains(strings.Fields(line.roles), role) || contains(forEveryRole, o.OperationID)
				require.Equal(t, !allowed, a.status == 403, "%s as %q: %d %s", o.OperationID, role, a.status, a.raw)
				require.Less(t, a.status, 500, "%s as %q: %s", o.OperationID, role, a.raw)
				if role == "operator" && o.OperationID == "list-dead-letters" {
					continue // who reads what no tenant owns
				}
				require.NotContains(t, a.raw, marker, "%s as %q", o.OperationID, role)
				if allowed && (strings.Contains(path, "{") || strings.Contains(line.body, "{id}")) &&
					o.OperationID != "allow-address" && !strings.HasPrefix(path, "/v1/tenants/") &&
					// an operator mends for all tenants
					!(o.OperationID == "replay-dead-letter" && role == string(access.Operator)) {
					require.Equal(t, 404, a.status, "%s of another tenant as %q: %s", o.OperationID, role, a.raw)
				}
			}
			// A claim that is missing or of another type gives no right, and a token without a tenant none at all.
			want := map[bool]int{true: 200, false: 403}[contains(forEveryRole, o.OperationID)]
			require.Equal(t, want, call(token(map[string]any{"tenant": "42"})).status, o.OperationID)
			for _, claims := range noClaims {
				status := 401
				if _, text := claims["role"].(string); !text && claims["role"] != nil {
					status = want // it says who calls, and not what that person may do
				}
				require.Equal(t, status, call(token(claims)).status, "%s with %v", o.OperationID, claims)
			}
			require.Equal(t, 401, call("").status, o.OperationID)
		}
	}
	require.Len(t, seen, len(operations), "a line of the table is of no operation any more")
	r.untouched(t, theirs)
}

// documented is an operation in the document.
type documented struct {
	OperationID string `json:"operationId"`
	Responses   map[string]any
}

// paths are the operations of the document, by path and method.
func (r *rig) paths(t *testing.T) map[string]map[string]documented {
	t.Helper()
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(r.call("GET", "/openapi.json", "").raw), &document))
	out := map[string]map[string]documented{}
	for path, item := range document.Paths {
		if path == "/" {
			continue // PutEvents, which another listener answers
		}
		out[path] = map[string]documented{}
		for method, raw := range item {
			if method == "parameters" {
				require.Contains(t, string(raw), "#/components/parameters/tenant")
				continue
			}
			var o documented
			require.NoError(t, json.Unmarshal(raw, &o))
			out[path][method] = o
		}
	}
	return out
}

// theirs calls an operation on what another tenant has.
func (r *rig) theirs(method, path, body string, theirs map[string]string, own string, query ...string) answer {
	at := strings.NewReplacer("{delivery}", theirs["delivery"], "{name}", theirs["name"], "{tenant}", "45", "{address}",
		theirs["address"], "{id}", theirs[strings.Split(path, "/")[2]]).Replace(path)
	if len(query) > 0 {
		at += "?" + strings.Join(query, "&")
	}
	var headers []string
	if method == "patch" {
		headers = []string{"Content-Type", "application/merge-patch+json"}
	}
	return r.call(strings.ToUpper(method), at,
		strings.NewReplacer("{id}", theirs["integrations"], "{mine}", own).Replace(body), headers...)
}

// untouched: what 43 has is as it was, and 43 still reads it.
func (r *rig) untouched(t *testing.T, theirs map[string]string) {
	t.Helper()
	r.token = r.issue("43", access.Administrator)
	for _, path := range []string{
		"/v1/integrations/" + theirs["integrations"], "/v1/integrations/" + theirs["integrations"] + "/deliveries/" +
			theirs["delivery"], "/v1/triggers/" + theirs["triggers"],
		"/v1/reports/" + theirs["reports"], "/v1/reports/" + theirs["reports"] + "/mails", "/v1/people", "/v1/mail-log",
		"/v1/dead-letters", "/v1/tokens",
	} {
		a := r.call("GET", path, "")
		require.Equal(t, 200, a.status, path)
		require.Contains(t, a.raw, marker, path)
		require.NotContains(t, a.raw, "not JSON", "what no tenant owns is the operators'")
	}
	require.Contains(t, r.call("GET", "/v1/blocked-addresses", "").raw, theirs["address"],
		"a block of 43 is not 42's to lift")
	// A page of one tenant is none of another's.
	for range 2 {
		r.slack(marker)
	}
	next, _ := r.call("GET", "/v1/integrations?limit=1", "").body["next_cursor"].(string)
	require.NotEmpty(t, next)
	r.token = r.issue("42", access.Administrator)
	require.Equal(t, 400, r.call("GET", "/v1/integrations?limit=1&cursor="+next, "").status)
}

// TestWhatIsOpenToEverybody is every other route: none of them shows what a tenant has.
func TestWhatIsOpenToEverybody(t *testing.T) {
	r := start(t)
	r.others(t)
	r.token = ""
	for path, want := range map[string]int{
		"/": 200, "/docs": 200, "/docs/x/docs.js": 404, "/healthz": 200, "/openapi.json": 200,
		"/configuration.schema.json": 200, "/asyncapi.json": 200, "/docs/events": 200, "/docs/events/vuln": 200,
		"/docs/events/none": 404,
		"/openapi.yaml":     200, "/profile": 200,
		"/unsubscribe/none": 404, "/telegram/webhook": 404, "/v1": 404, "/v1/": 401, "/v1/none": 401,
		"/V1/integrations": 404, "//v1/integrations": 0, "/v1/../v1/integrations": 0, "/metrics": 404,
		"/sign-in/ways": 200, "/sign-in/provider": 404, "/sign-in/callback": 404,
		"/debug/pprof/": 404,
	} {
		for _, method := range []string{"GET", "POST"} {
			q := httptest.NewRequest(method, "http://tocsin.test/", nil)
			q.URL.Path = path
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, q)
			require.NotContains(t, w.Body.String(), marker, path)
			if method == "GET" && want != 0 {
				require.Equal(t, want, w.Code, "%s %s", method, path)
			}
			require.Less(t, w.Code, 500, path)
			require.NotEqual(t, 200, map[bool]int{true: w.Code}[want == 0],
				fmt.Sprintf("%s is answered as it stands", path))
		}
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
