package event

import (
	"bytes"
	"encoding/json"

	"tocsin/shared/jsonscan"
)

// TenantOf reads which tenant an entry's detail names, by one look at it: "" when it names none that there can be. ok
// is false when the detail is no JSON object at all. Nothing else of the event is judged. The tenant may share the
// memory of the detail.
func TenantOf(detail string) (tenant string, ok bool) {
	if tenant, ok = scanTenant(detail); ok {
		return tenant, true
	}
	raw := []byte(detail)
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	if len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(raw) {
		return "", false
	}
	var named struct {
		Tenant json.RawMessage `json:"tenant"`
	}
	if err := json.Unmarshal(raw, &named); err != nil || json.Unmarshal(named.Tenant, &tenant) != nil {
		return "", true // it is kept as a dead letter
	}
	return KnownTenant(tenant), true
}

// scanTenant reads a detail of the usual form; ok is false for any other.
func scanTenant(detail string) (tenant string, ok bool) {
	s := jsonscan.Scanner{Text: detail}
	if !s.Enter('{') {
		return "", false
	}
	var seen uint32
	for {
		name, more := s.Name()
		if !more {
			break
		}
		if name != "tenant" {
			s.Other(name)
			continue
		}
		s.Once(&seen, 0)
		tenant = s.String()
	}
	if !s.End() {
		return "", false
	}
	return KnownTenant(tenant), true
}
