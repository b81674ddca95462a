// Package sentinel sends events to a custom table of Azure Monitor Logs, which is what Microsoft Sentinel reads,
// through the Logs Ingestion API (product facts, section 8). The older form (Data Collector API, a workspace's key) is
// not built: Microsoft ends that API on 2026-07-01.
package sentinel

import (
	"embed"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/destination/oauth"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// Limits. Azure Monitor, "Service limits", "Logs Ingestion API": 1 MB for a call as it is before compression, 64 KB for
// a value.
const (
	maxBytes  = 1_000_000
	maxEvents = 500
	maxValue  = 64_000
	textLimit = 32_000 // of Summary and Description: RawData has the rest
)

// version of the API. Azure Monitor, "Logs Ingestion API in Azure Monitor", "REST API call".
const version = "2023-01-01"

//go:embed setup*.md icon.svg *.json
var files embed.FS

// Parameters of an integration.
type Parameters struct {
	Tenant   string `json:"tenant_id" receiver:"true" jsonschema:"required,title=Directory (tenant) ID,format=uuid" jsonschema_description:"From Microsoft Entra ID: App registrations, your application, Overview."`
	Client   string `json:"client_id" jsonschema:"required,title=Application (client) ID,format=uuid" jsonschema_description:"On the same page."`
	Secret   string `json:"client_secret" jsonschema:"required,title=Client secret,minLength=8,maxLength=256,writeOnly=true" jsonschema_description:"The value (not the ID) of a secret under Certificates & secrets. Secrets expire: enter the new one before."`
	Endpoint string `json:"endpoint" jsonschema:"required,title=Logs ingestion endpoint,format=uri,minLength=1,maxLength=1024" jsonschema_description:"Of the data collection rule or endpoint, such as https://my-rule-a1b2.westeurope-1.ingest.monitor.azure.com."`
	Rule     string `json:"dcr_immutable_id" jsonschema:"required,title=DCR immutable ID,pattern=^dcr-[0-9a-f]{32}$" jsonschema_description:"Of the data collection rule: Overview, JSON View, immutableId (dcr- and 32 digits)."`
	Stream   string `json:"stream_name" jsonschema:"required,title=Stream name,pattern=^Custom-[A-Za-z0-9_]{1\\,100}_CL$,maxLength=128" jsonschema_description:"Of the rule's stream declaration, such as Custom-Tocsin_CL."`
}

var host = regexp.MustCompile(`\.ingest\.monitor\.azure\.(com|us|cn)$`)

// Check finds what the schema can not say.
func (p *Parameters) Check() []destination.FieldProblem {
	u, err := url.Parse(p.Endpoint)
	if err != nil || strings.Trim(u.Path, "/") != "" || destination.BaseProblem(p.Endpoint) != "" {
		return []destination.FieldProblem{{Field: "endpoint",
			Reason: "must be the address alone, without a path: https://….ingest.monitor.azure.com"}}
	}
	return nil
}

// Addresses has the address checked that the tenant's ID is a part of.
func (p *Parameters) Addresses() map[string]string {
	return map[string]string{"tenant_id": p.authorizer().URL}
}

// cloud is an Azure cloud: who gives tokens, and for what. Microsoft, "National clouds"; the audience ends in a slash,
// hence two of them (Azure Monitor, "Logs Ingestion API", samples).
type cloud struct{ login, scope string }

var clouds = map[string]cloud{
	"com": {"https://login.microsoftonline.com", "https://monitor.azure.com//.default"},
	"us":  {"https://login.microsoftonline.us", "https://monitor.azure.us//.default"},
	"cn":  {"https://login.partner.microsoftonline.cn", "https://monitor.azure.cn//.default"},
}

// cloud goes by the endpoint's name; one of a private name is in the public cloud.
func (p *Parameters) cloud() cloud {
	u, err := url.Parse(p.Endpoint)
	if err == nil {
		if m := host.FindStringSubmatch(strings.ToLower(u.Hostname())); m != nil {
			return clouds[m[1]]
		}
	}
	return clouds["com"]
}

func (p *Parameters) authorizer() oauth.ClientCredentials {
	c := p.cloud()
	return oauth.ClientCredentials{
		URL: destination.URL(c.login, p.Tenant, "oauth2", "v2.0", "token"),
		Form: oauth.Form("grant_type", "client_credentials", "client_id", p.Client, "client_secret", p.Secret, "scope",
			c.scope),
		Who:   "Microsoft Entra ID",
		Mend:  "check the tenant ID, the client ID and the client secret (its value, not its ID; it may have expired)",
		Mends: mends,
	}
}

// mends say what to do about a code. Microsoft, "Microsoft Entra authentication and authorization error codes".
var mends = map[string]string{
	"AADSTS7000222": "the client secret has expired: make a new one and enter its value",
	"AADSTS7000215": "the client secret is not right: enter its value, not its ID",
	"AADSTS700016":  "the tenant has no such application: check the client ID and the tenant ID",
	"AADSTS7000112": "the application is disabled: an administrator of the tenant must enable it",
	"AADSTS90002":   noTenant,
	"AADSTS900023":  noTenant,
	"AADSTS53003": "a Conditional Access policy blocks the application: an administrator of the tenant must let our " +
		"addresses in",
}

const noTenant = "there is no such tenant: check the tenant ID"

func (p *Parameters) url() string {
	return destination.URL(p.Endpoint, "dataCollectionRules", p.Rule, "streams", p.Stream) + "?api-version=" + version
}

// Destination is Microsoft Sentinel.
type Destination struct{ system destination.System }

// New makes the destination.
func New() Destination {
	return Destination{destination.System{
		Name: "sentinel", Title: "Microsoft Sentinel", Group: destination.SIEM, Class: notification.Advanced,
		Events: event.Advanced(), Parameters: destination.ParametersOf[Parameters](),
		Folder: destination.ReadFolder(files),
		Batch:  destination.Batch{Count: maxEvents, Bytes: maxBytes},
	}}
}

// System describes Microsoft Sentinel.
func (d Destination) System() destination.System { return d.system }

// row is a row of the table: the columns of the facts.
type row struct {
	TimeGenerated string
	Vendor        string
	EventType     string
	Severity      string
	ClientName    string
	Summary       string
	Description   string
	RequestID     string `json:"RequestId"`
	RemoteAddr    string
	URL           string `json:"Url"`
	RawData       string
}

// severities are those of the facts: there is no critical.
var severities = map[notification.Severity]string{
	notification.Critical: "high", notification.High: "high", notification.Medium: "medium", notification.Low: "low",
	notification.Info: "info",
}

// Encode writes arrays of rows.
func (Destination) Encode(t destination.Target, ns []notification.Notification) ([]destination.Request, error) {
	p := t.Parameters.(*Parameters)
	rows := make([][]byte, len(ns))
	for i, n := range ns {
		raw, err := ijson.Marshal(render(n))
		if err != nil {
			return nil, err
		}
		rows[i] = raw
	}
	limit := destination.Batch{Count: maxEvents, Bytes: maxBytes - len("[]")}
	return destination.Batched(rows, limit, func(part [][]byte) destination.Request {
		q := destination.Post(p.url(), destination.JoinArray(part), "X-Ms-Client-Request-Id", t.Delivery).Gzip()
		q.Authorizer = p.authorizer()
		return q
	}), nil
}

func render(n notification.Notification) row {
	r := row{
		TimeGenerated: n.Event.Time.UTC().Format(time.RFC3339Nano), Vendor: n.Platform.Name,
		EventType: string(n.Event.Kind),
		Severity:  severities[n.Severity()], ClientName: n.Client(),
		Summary: fit(n.Summary(), textLimit), Description: fit(n.PlainText(), textLimit),
	}
	r.RequestID, r.RemoteAddr, r.URL = where(n)
	r.RawData = raw(n)
	return r
}

// fit keeps a column's text within its limit in bytes.
func fit(s string, limit int) string {
	return cut.Bytes(strings.ToValidUTF8(s, "�"), limit)
}

// raw is the whole event as JSON, cut so that the limit holds for its text in UTF-8.
func raw(n notification.Notification) string {
	return string(ijson.Fit(n.Envelope(), maxValue))
}

// hit are the members of a hit that have columns.
type hit struct {
	RequestID string `json:"request_id"`
}

// columnLimit is in bytes; the longest URL that servers take is shorter.
const columnLimit = 8_000

// where fills the columns of the request: of a hit, or of the place where a finding is.
func where(n notification.Notification) (request, address, link string) {
	switch n.Event.Kind {
	case event.NewHits:
		var d struct{ Hit hit }
		_ = json.Unmarshal(n.Event.Data, &d) // the id alone: of another type it stays out
		h := event.Data[event.HitData](n.Event).Hit
		return fit(d.Hit.RequestID, columnLimit), fit(h.Source(), columnLimit), fit(h.Site()+h.Path, columnLimit)
	case event.Vuln:
		v := event.Data[event.VulnData](n.Event).Vuln
		return "", "", fit(text(v.Domain)+text(v.Path), columnLimit)
	case event.SecurityIssue:
		i := event.Data[event.IssueData](n.Event).Issue
		return "", "", fit(text(i.Host)+text(i.Path), columnLimit)
	case event.IPBlocked:
		return "", fit(event.Data[event.BlockedData](n.Event).IP, columnLimit), ""
	}
	return "", "", ""
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// reasons explain statuses. Azure Monitor, "Logs Ingestion API", "Troubleshoot".
var reasons = map[int]string{
	400: "the rows do not match the stream's declaration: its columns must be those of the set-up page",
	401: "the access token was not accepted: the application must belong to the tenant of the rule",
	403: "the application may not write through this rule: give it the role Monitoring Metrics Publisher on the " +
		"rule; it can take 10 minutes until that works",
	404: "there is no such rule or stream at this endpoint: check the DCR immutable ID, the stream name and the " +
		"endpoint",
	413: "Azure found the request too large",
	429: "the rule's limit of requests or data for a minute is reached",
}

// Judge takes 204 for a success, and reads Azure's own words otherwise. Azure Monitor, "Logs Ingestion API in Azure
// Monitor", "REST API call": a successful call answers 204 No Content.
func (Destination) Judge(r destination.Response) destination.Verdict {
	if destination.Success(r.Status) {
		return destination.Proved(r, r.Status == http.StatusNoContent, "Azure answers 204 No Content")
	}
	var a struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(r.Body, &a) // without words the status speaks
	v := destination.JudgeSaid(r, reasons, destination.Said(a.Error.Code, a.Error.Message))
	v.Stale = r.Status == http.StatusUnauthorized
	return destination.WithoutCompression(r, v)
}
