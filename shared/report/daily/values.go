package daily

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"tocsin/shared/event"
	"tocsin/shared/report/calendar"
)

// Words of the values of Surface and of APIChange.
const (
	SurfaceNew, SurfaceGone         = "new", "gone"
	SurfaceIP                       = "ip"
	SurfaceDomain, SurfaceService   = "domain", "service"
	APIAdded, APIChanged, APIUnused = "added", "changed", "unused"
	None                            = "-"
)

// surfaceValue is an object of the perimeter: what happened, what it is, and its name.
func surfaceValue(o event.ScopeObject) string {
	what, kind, name := SurfaceNew, SurfaceIP, cmp.Or(o.Entity.IP, o.Entity.Domain, o.Entity.Name, None)
	if a := strings.ToLower(o.Action); strings.HasPrefix(a, "del") || strings.HasPrefix(a, "rem") {
		what = SurfaceGone
	}
	switch {
	case o.Entity.Port != 0:
		kind, name = SurfaceService, name+":"+strconv.Itoa(o.Entity.Port)
	case o.Entity.IP == "":
		kind = SurfaceDomain
	}
	return what + " " + kind + " " + name
}

// apiValue is a change of an endpoint: the hour, what happened, the method, the host and the path.
func apiValue(d event.EndpointData, at time.Time) string {
	change := APIAdded
	if word := d.Change(); word == APIChanged || word == APIUnused {
		change = word
	}
	return strings.Join([]string{string(calendar.HourOf(at)), change, word(d.HTTPMethod), word(d.Site()),
		d.EndpointPath}, " ")
}

// word is a text without spaces.
func word(s string) string { return cmp.Or(strings.Join(strings.Fields(s), ""), None) }
