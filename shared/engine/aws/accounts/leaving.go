package accounts

import (
	"encoding/json"
	"fmt"
	"strings"

	"tocsin/shared/engine/aws/table"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

// OwnersOf are the tenants of a row: of a link both. finders are the keys of the rows that find it, which are removed
// before it. Others have none: what was used once, and finders that expire, name no tenant.
func OwnersOf(row table.Item) (tenants []string, finders []table.Item, err error) {
	pk, raw := table.TextOf(row, "pk"), table.BlobOf(row, "body")
	prefix := func(p string) bool { return strings.HasPrefix(pk, p) }
	switch {
	case prefix(sessionPrefix):
		var v session.Session
		if err = json.Unmarshal(raw, &v); err == nil {
			for _, of := range findersOf(v) {
				finders = append(finders, key(of, pk))
			}
			tenants = []string{v.Tenant}
		}
	case prefix(linkedPrefix):
		var l tenant.Link
		err = json.Unmarshal(raw, &l)
		tenants = []string{l.Technical, l.Tenant}
	case prefix(ofTenantPrefix):
		tenants = []string{strings.TrimPrefix(pk, ofTenantPrefix)}
	case prefix(tokenPrefix):
		var t token.Token
		if err = json.Unmarshal(raw, &t); err == nil {
			list := listed(t)
			finders = []table.Item{key(list.PK, list.SK)}
			if !t.ExpiresAt.IsZero() {
				when := expiring(t)
				finders = append(finders, key(when.PK, when.SK))
			}
			tenants = []string{t.Tenant}
		}
	case prefix(personPrefix):
		of, _, _ := strings.Cut(strings.TrimPrefix(pk, personPrefix), "\n")
		tenants = []string{of}
	}
	if err != nil {
		err = fmt.Errorf("the row %q is damaged: %w", strings.SplitN(pk, " ", 2)[0], err)
	}
	return tenants, finders, err
}
