package event

// DigestData is the data of ScheduledDigest.
type DigestData struct {
	Digest      Type   `json:"digest" required:"true" enum:"daily_security_issues,daily_critical_security_issues,aasm_report,api_discovery_hourly_changes_report,api_discovery_daily_changes_report"`
	Integration string `json:"integration" required:"true"` // who receives it
	// From and To are the first and the last day, as 2023-03-05; of hours their beginning and end, in RFC 3339.
	From string `json:"from" required:"true"`
	To   string `json:"to" required:"true"`
	Zone string `json:"zone"` // IANA name: days are cut in it
	// Totals are numbers in the order of a message; Lines some of what they count, More how many it does not list.
	Totals []DigestTotal `json:"totals"`
	Lines  []DigestLine  `json:"lines"`
	More   int64         `json:"more"`
}

// DigestTotal is how many there are of something.
type DigestTotal struct {
	Name string `json:"name"` // in English
	N    int64  `json:"n"`
}

// DigestLine is one of what a digest counts.
type DigestLine struct {
	Label string `json:"label"` // in English: a risk, or what changed
	Text  string `json:"text"`
}

func (d DigestData) check() error {
	switch {
	case !d.Digest.Digest():
		return invalid("data.digest", "must be the event type of a digest, is %q", clip(string(d.Digest)))
	case d.Integration == "":
		return invalid("data.integration", "is missing")
	case d.From == "":
		return invalid("data.from", "is missing")
	case d.To == "":
		return invalid("data.to", "is missing")
	}
	return nil
}
