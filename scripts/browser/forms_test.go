package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

type field struct{ label, value string }

// forms are the fields that each system needs, by its name. RECEIVER stands for the address of one on this machine;
// where it is there the test button must succeed.
var forms = map[string][]field{
	"email":           {{"Email addresses", "first@example.com, second@example.com"}},
	"slack":           {{"Webhook URL", "RECEIVER/services/T0/B0/x"}},
	"telegram":        {},
	"ms_teams":        {{"Webhook URL", "RECEIVER/workflows/1"}},
	"insight_connect": {{"API URL", "RECEIVER/v1/triggers"}, {"API key", "0123456789abcdef"}},
	"opsgenie":        {{"API key", "0123456789abcdef"}},
	"pager_duty":      {{"Integration Key", "0123456789abcdef0123456789abcdef"}},
	"jira": {{"Host URL", "https://acme.example.com/"}, {"User e-mail", "ada@example.com"},
		{"Token", "0123456789"}, {"Project", "SEC"}, {"Issue type", "Bug"}},
	"servicenow": {{"Instance name", "acme"}, {"User name", "tocsin"}, {"Password", "a secret"},
		{"OAuth client ID", "client"}, {"OAuth client secret", "a secret"}},
	"sumo_logic": {{"HTTP Source Address (URL)", "RECEIVER/receiver/v1/http/x"}},
	"sentinel": {{"Directory (tenant) ID", "11111111-2222-3333-4444-555555555555"},
		{"Application (client) ID", "11111111-2222-3333-4444-555555555555"}, {"Client secret", "0123456789"},
		{"Logs ingestion endpoint", "https://rule.example.com"},
		{"DCR immutable ID", "dcr-0123456789abcdef0123456789abcdef"}, {"Stream name", "Custom-Tocsin_CL"}},
	"splunk":   {{"HEC URI", "RECEIVER"}, {"HEC token", "11111111-2222-3333-4444-555555555555"}},
	"data_dog": {{"API key", "0123456789abcdef0123456789abcdef"}},
	"fluentd":  {{"Fluentd URL", "RECEIVER/tocsin"}},
	"logstash": {{"Logstash URL", "RECEIVER/"}},
	"s3": {{"AWS region", "eu-west-1"}, {"S3 bucket", "acme-hits"}, {"Access key ID", "AKIAEXAMPLE"},
		{"Secret access key", "0123456789"}},
	"minio": {{"API endpoint", "https://minio.example.com"}, {"Bucket", "hits"}, {"Access key", "tocsin"},
		{"Secret key", "0123456789"}},
	"web_hooks": {{"Webhook URL", "RECEIVER/hook"}},
}

// systemsOf reads the catalogue: names that can be added, with their titles.
func systemsOf(t *testing.T, b *tab) map[string]string {
	t.Helper()
	var answer struct {
		Groups []struct {
			Systems []struct {
				Name, Title         string
				Available, Personal bool
			}
		}
	}
	require.NoError(t, b.p.Call("GET", "/v1/systems", nil, &answer))
	out := map[string]string{}
	for _, g := range answer.Groups {
		for _, s := range g.Systems {
			if s.Available && !s.Personal {
				out[s.Name] = s.Title
			}
		}
	}
	return out
}

func TestEachSystemIsAddedThroughItsForm(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusOK, `{"text":"Success","code":0}`)
	p := program(t, "-allow", at.Host)
	b := open(t, p, desk, "/")
	titles := systemsOf(t, b)
	for name := range titles {
		require.Contains(t, forms, name, "a system of the catalogue has no form here")
	}
	b.click("Personal email")
	b.sees("admin@example.com")
	for name, fields := range forms {
		if name == "slack" {
			at.answers(http.StatusOK, "ok")
		}
		b.follow("/add")
		b.sees("Choose a system.")
		b.click(titles[name])
		b.sees("Add " + titles[name] + " integration")
		received := len(at.got())
		tests := false
		for _, f := range fields {
			value := strings.ReplaceAll(f.value, "RECEIVER", at.URL)
			tests = tests || value != f.value
			b.fill(f.label, value)
		}
		if tests {
			b.click("Test integration")
			b.sees("test messages arrived.")
			require.Greater(t, len(at.got()), received, name)
			require.Contains(t, strings.Join(at.got()[received:], ""), "[Test message]", name)
		}
		b.act("clickIn", "form", "Add integration")
		b.sees("Added.")
	}
	var answer struct {
		Items []struct{ System, Name string }
	}
	require.NoError(t, p.Call("GET", "/v1/integrations?limit=100", nil, &answer))
	added := map[string]bool{}
	for _, i := range answer.Items {
		added[i.System] = true
		require.Contains(t, i.Name, "by Local Administrator")
	}
	for name := range titles {
		require.True(t, added[name], name)
	}
	b.follow("/")
	b.act("settled")
	b.sees("All 18")
	b.seesNot("Add Slack integration")
}

func TestATestThatFailsSaysWhatToMend(t *testing.T) {
	t.Parallel()
	at := receive(t)
	at.answers(http.StatusNotFound, "no_service")
	b := open(t, program(t, "-allow", at.Host), desk, "/add/slack")
	b.fill("Webhook URL", at.URL+"/services/T0/B0/x")
	b.click("Test integration")
	b.sees("The test failed.")
	b.sees("answered 404 after")
	b.sees("ms")
	b.sees("no_service")
	b.sees("make a new one and enter its URL")
	b.picture("test-failed")
	at.answers(http.StatusOK, "ok")
	b.click("Test integration")
	b.sees("test messages arrived.")
	b.seesNot("The test failed.")
	at.CloseClientConnections()
	at.Close()
	b.click("Test integration")
	b.sees("The test failed.")
	b.seesNot("answered 404")
}

func TestWhatIsTypedIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	b := open(t, program(t), desk, "/add/pager_duty")
	b.fill("Integration Key", "abc")
	b.sees("Exactly 32 characters are needed; there are 3.")
	b.fill("Integration Key", strings.Repeat("a", 32))
	b.seesNot("Exactly 32 characters")
	b.act("leaves", false)
	b.follow("/add/sentinel")
	b.act("asked", 1)
	b.act("at", "/add/pager_duty")
	b.act("leaves", true)
	b.follow("/add/sentinel")
	b.sees("Add Microsoft Sentinel integration")
	b.fill("Directory (tenant) ID", "not a uuid")
	b.sees("Enter a UUID")
	b.act("clickIn", "form", "Add integration")
	b.sees("Fill this in.")
	b.act("at", "/add/sentinel")
	b.follow("/add/email")
	b.fill("Email addresses", "ada@example.com, not-an-address")
	b.sees("not-an-address is not an e-mail address.")
	// What only the API can know is shown at the field.
	b.follow("/add/web_hooks")
	b.fill("Webhook URL", "http://example.com/hook")
	b.expect("422")
	b.act("clickIn", "form", "Add integration")
	b.sees("Some fields need your attention.")
	b.sees("https")
}

func TestTheLevelsOfVulnerabilitiesHaveAParent(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	b := open(t, p, desk, "/add/slack")
	b.act("ticked", "Vulnerabilities detected", "yes")
	b.act("tick", "Low", false)
	b.act("ticked", "Vulnerabilities detected", "partly")
	b.act("tick", "Vulnerabilities detected", true)
	b.act("ticked", "Low", "yes")
	b.act("tick", "Vulnerabilities detected", false)
	b.act("ticked", "High", "no")
	b.act("tick", "High", true)
	b.fill("Webhook URL", at.URL+"/x")
	b.act("clickIn", "form", "Add integration")
	b.sees("Added.")
	b.click("Integrations")
	b.sees("Vulnerabilities: High")
}

func TestSettingsAreChangedAndSecretsKept(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/integrations/"+id)
	b.sees("kept secret")
	require.NotContains(t, b.text(), at.URL)
	b.fill("Name", "Ops channel, renamed")
	b.click("Test integration")
	b.sees("test messages arrived.")
	b.click("Save")
	b.sees("Saved.")
	b.sees("Ops channel, renamed")
	b.click("Replace")
	b.fill("Webhook URL", at.URL+"/new")
	b.click("Save")
	b.seesNot("Show what I type")
	b.do(chromedp.Navigate(p.URL + "/integrations/" + id))
	b.sees("kept secret")
	b.click("Test integration")
	b.sees("test messages arrived.")
	// Somebody else changes it while it is open.
	require.NoError(t, p.Call("PATCH", "/v1/integrations/"+id, map[string]any{"name": "By somebody else"}, nil))
	b.fill("Name", "Too late")
	b.expect("412")
	b.click("Save")
	b.sees("Somebody else has changed this integration meanwhile.")
	b.click("Load it again")
	b.sees("By somebody else")
}

func TestDeleteAsksAndSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	at := receive(t)
	p := program(t, "-allow", at.Host)
	id := slack(t, p, at, "Ops channel")
	b := open(t, p, desk, "/integrations/"+id)
	b.click("Delete")
	b.sees("Delete “Ops channel”?")
	b.sees("all its settings, secrets included")
	b.sees("0 deliveries on their way, and 0 dead")
	b.picture("delete")
	b.click("Cancel")
	b.seesNot("Delete “Ops channel”?")
	b.click("Disable")
	b.sees("Disable “Ops channel”?")
	b.sees("No delivery waits to be sent.")
	b.picture("disable")
	b.click("Disable integration")
	b.sees("Disabled by admin@example.com")
	require.NoError(t, p.Call("POST", "/v1/integrations/"+id+"/enable", nil, nil))
	require.NoError(t, p.Call("POST", "/v1/triggers", trigger("SQLi burst", id), nil))
	b.do(chromedp.Reload())
	b.seesNot("Disabled by")
	b.click("Delete")
	b.sees("1 trigger notifies through it: “SQLi burst”.")
	b.click("Delete integration")
	b.act("at", "/")
	b.sees("Add Slack integration")
	b.expect("404")
	b.follow("/integrations/" + id)
	b.sees("This integration does not exist, or was deleted.")
}

func TestTheLanguageOfWhatIsSentIsChosenWhereItIsSent(t *testing.T) {
	t.Parallel()
	const field = "Language of what is sent"
	at := receive(t)
	p := program(t, "-allow", at.Host)
	channel, hook := slack(t, p, at, "Ops channel"), webhook(t, p, at.URL+"/hook", "SOC webhook")
	b := open(t, p, desk, "/integrations/"+channel)
	for _, place := range []struct{ page, api string }{
		{"/integrations/" + channel, "/v1/integrations/" + channel}, {"/profile", "/v1/profile/notifications"},
		{"/reports", "/v1/report-settings"},
	} {
		b.follow(place.page)
		b.act("settled")
		for _, language := range []string{"ja", ""} {
			b.fill(field, language)
			b.act("clickIn", ".page", "Save")
			b.sees("Saved.")
			eventually(t, "the language of "+place.page+" is kept", func() (bool, error) {
				var kept struct{ Language string }
				err := p.Call("GET", place.api, nil, &kept)
				return kept.Language == language, err
			})
		}
	}
	b.follow("/integrations/" + hook)
	b.sees("SOC webhook")
	b.seesNot(field) // machines get the same in every language
}
