package trigger

import (
	"time"

	"tocsin/shared/filter"
)

// Ids of a new account's triggers: the same for every tenant, and first in a list.
const (
	defaultGrouping = "0-group-hits"
	defaultPayloads = "0-graylist-payloads"
)

// isDefault reports whether the id is one of a new account's triggers.
func isDefault(id string) bool { return id == defaultGrouping || id == defaultPayloads }

// Defaults are the triggers of a new account (product facts, 4.8). They may be edited, disabled, deleted and copied, as
// in the period that we build; none sends a notification. The one about weak JWTs is left out: see Templates.
func Defaults(tenant, client string, now time.Time) []Trigger {
	common := Trigger{Tenant: tenant, ClientName: client, Default: true, Revision: 1, Epoch: 1, CreatedAt: now.UTC(),
		UpdatedAt: now.UTC(), UpdatedBy: BySystem}
	payloads, grouping := common, common
	payloads.ID, payloads.Name, payloads.Template = defaultPayloads,
		"Graylist IPs with high count of malicious payloads", Payloads
	payloads.Threshold = &Threshold{Period: 3600, Count: 3}
	payloads.Filters = []filter.Filter{{ID: filter.ByType, Operator: filter.NotEqual,
		Values: []filter.Value{"brute", "dirbust", "overlimit_res", "data_bomb", "vpatch"}}}
	payloads.Actions = []Action{{ID: Graylist, LockTime: 3600}}
	grouping.ID, grouping.Name, grouping.Template = defaultGrouping, "Group hits from the same IP into one attack",
		HitsFromIP
	grouping.Threshold = &Threshold{Period: 900, Count: 50}
	grouping.Actions = []Action{{ID: Group}}
	return []Trigger{payloads, grouping}
}
