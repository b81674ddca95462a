package minio

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tocsin/shared/destination/s3"
	"tocsin/shared/event"
	"tocsin/shared/ijson"
	"tocsin/shared/notification"
)

// The class as the product facts have it (section 8): Network Activity, 3001. OCSF's own number of that class is 4001;
// the platform's documented one is what its customers' queries name. An event's type is class * 100 + activity.
const (
	class        = 3001
	className    = "Network Activity"
	category     = 4 // Network Activity
	activity     = 6 // Traffic
	activityName = "Traffic"
)

// schemaVersion of OCSF that the members are of.
const schemaVersion = "1.1.0"

// severities of OCSF ("severity_id").
var severities = map[notification.Severity]int{
	notification.Info: 1, notification.Low: 2, notification.Medium: 3, notification.High: 4, notification.Critical: 5,
}

type ocsf struct {
	ClassUID     int         `json:"class_uid"`
	ClassName    string      `json:"class_name"`
	CategoryUID  int         `json:"category_uid"`
	CategoryName string      `json:"category_name"`
	ActivityID   int         `json:"activity_id"`
	ActivityName string      `json:"activity_name"`
	TypeUID      int         `json:"type_uid"`
	SeverityID   int         `json:"severity_id"`
	Severity     string      `json:"severity"`
	Time         int64       `json:"time"` // Unix milliseconds
	Message      string      `json:"message"`
	Source       endpoint    `json:"src_endpoint"`
	Request      httpRequest `json:"http_request"`
	Response     *response   `json:"http_response,omitempty"` // the code is required in it
	Metadata     metadata    `json:"metadata"`
	Extensions   extensions  `json:"extensions"`
}

type endpoint struct {
	IP       string    `json:"ip,omitempty"`
	Location *location `json:"location,omitempty"`
}

type location struct {
	Country string `json:"country"`
}

type httpRequest struct {
	Method string  `json:"http_method,omitempty"`
	UID    string  `json:"uid,omitempty"`
	URL    address `json:"url"`
}

type address struct {
	Hostname string `json:"hostname,omitempty"`
	Path     string `json:"path,omitempty"`
}

type response struct {
	Code int `json:"code"`
}

type metadata struct {
	Version string  `json:"version"`
	UID     string  `json:"uid"`
	Product product `json:"product"`
	Tenant  string  `json:"tenant_uid"`
}

type product struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

// extensions are the members of the record that OCSF has no place for.
type extensions struct {
	Datacenter    string          `json:"datacenter"`
	Tor           string          `json:"tor"`
	ApplicationID []int64         `json:"application_id"`
	Protocol      string          `json:"protocol"`
	AttackType    string          `json:"attack_type"`
	BlockStatus   string          `json:"block_status"`
	Payload       []string        `json:"payload"`
	Point         []string        `json:"point"`
	Tags          json.RawMessage `json:"tags"`
}

// events writes hits as OCSF events.
func events(ns []notification.Notification) ([][]byte, error) {
	var out [][]byte
	for _, n := range ns {
		if n.Event.Kind != event.NewHits {
			continue
		}
		raw, err := ijson.Marshal(eventOf(n))
		if err != nil {
			return nil, fmt.Errorf("write the OCSF event of hit %s: %w", n.Event.ID, err)
		}
		out = append(out, raw)
	}
	return out, nil
}

func eventOf(n notification.Notification) ocsf {
	r, s := s3.RecordOf(n), n.Severity()
	seconds, _ := strconv.ParseInt(r.Time, 10, 64) // RecordOf wrote it
	e := ocsf{
		ClassUID: class, ClassName: className, CategoryUID: category, CategoryName: className, ActivityID: activity,
		ActivityName: activityName,
		TypeUID:      class*100 + activity, SeverityID: severities[s], Severity: strings.ToUpper(s.String()[:1]) +
			s.String()[1:], Time: seconds * 1000,
		Message: n.Summary(), Source: endpoint{IP: r.IP},
		Request: httpRequest{Method: r.Method, UID: r.RequestID, URL: address{r.Domain, r.URI}},
		Metadata: metadata{Version: schemaVersion, UID: n.Event.ID, Product: product{n.Platform.Name, n.Platform.Name},
			Tenant: n.Event.Tenant},
		Extensions: extensions{
			Datacenter: r.Datacenter, Tor: r.Tor, ApplicationID: r.ApplicationID, Protocol: r.Protocol,
			AttackType:  r.AttackType,
			BlockStatus: r.BlockStatus, Payload: r.Payload, Point: r.Point, Tags: r.Tags,
		},
	}
	if r.RemoteCountry != "" {
		e.Source.Location = &location{r.RemoteCountry}
	}
	if r.StatusCode != 0 {
		e.Response = &response{r.StatusCode}
	}
	return e
}
