package memory_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/enginetest/erasuretest"
	"tocsin/shared/engine/memory"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/mail"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/sending/reference"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// fill makes one of each kind.
func fill(t *testing.T, e *memory.Engine, of string) {
	ctx, at := t.Context(), enginetest.At
	ok := func(err error) { require.NoError(t, err) }
	ok(e.Integrations().Create(ctx, enginetest.Sample(of, "i"), enginetest.Record(of, event.CreateUser)))
	ok(e.Triggers().Seed(ctx, of, []trigger.Trigger{{ID: "t", Tenant: of, Name: "T", Revision: 1, Epoch: 1}},
		enginetest.Entry(of)))
	ok(e.Tenants().Link(ctx, tenant.Link{Technical: of, Tenant: "other"}))
	ok(e.Tenants().Link(ctx, tenant.Link{Technical: "other", Tenant: of}))
	ok(e.People().Save(ctx, enginetest.Person(of, "p", 1)))
	ok(e.Tokens().Create(ctx, token.Token{ID: "t", Tenant: of, Kind: token.Personal, Digest: token.Digest(of),
		Revision: 1}))
	_, err := e.SuppressionList().Suppress(ctx, mail.Suppression{Tenant: of, Address: "a@" + of, At: at})
	ok(err)
	ok(e.Reports().SaveSettings(ctx, report.Settings{Tenant: of, Zone: "UTC", Revision: 1}, enginetest.Entry(of)))
	ok(e.Reports().Save(ctx, report.Report{ID: "r", Tenant: of, State: report.Ready, CreatedAt: at,
		Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")},
		[]report.File{{Name: "r.csv", Type: "text/csv", Data: []byte("of " + of)}}))
	entry := func(id string) delivery.Entry {
		return delivery.Entry{DetailType: "create_user", At: at, Detail: fmt.Appendf(nil, `{"version":1,"id":%q,`+
			`"tenant":%q,"time":"2023-03-01T12:00:00Z","data":{"user":{"name":"of %s"}}}`, id, of, of)}
	}
	ok(e.Bus().Put(ctx, []delivery.Entry{entry("a")}))
	received := left(t, e)
	last := received[len(received)-1]
	parsed, err := event.Parse(last.DetailType, last.Detail)
	ok(err)
	in := fanout.Intake{Accepted: []fanout.Accepted{{Entry: last, Event: parsed}},
		Rejected: []fanout.Rejected{{Entry: delivery.Entry{DetailType: "odd"}, Tenant: of, Reason: "no id"}},
		Records:  []daily.Entry{{Tenant: of, Day: "2023-03-01"}},
		Commands: []command.Command{{ID: "c", Tenant: of, Kind: event.IPDenylistRequested, At: at}},
		Triggers: trigger.Outcome{States: []trigger.State{{Tenant: of, Trigger: "t", Body: []byte(of)}},
			Firings: []trigger.Firings{{Tenant: of, Trigger: "t", Place: "p"}}}}
	for n := range 2 {
		in.Deliveries = append(in.Deliveries, delivery.Delivery{ID: fmt.Sprint("d", n), Tenant: of, Integration: "i",
			State: delivery.Pending, Count: 1, Events: []event.Event{parsed}})
	}
	ok(e.Deliveries().Accept(ctx, in))
	_, _, err = e.Deliveries().Claim(ctx, "batch of "+of, in.Deliveries[:1])
	ok(err)
	_, err = e.Commands().MarkOverdue(ctx, command.Command{ID: "c", Tenant: of, Kind: event.IPDenylistRequested,
		At: at}, enginetest.Note(of, event.CreateUser), at.Add(time.Hour))
	ok(err)
	ok(e.Counters().Add(ctx, []health.Count{{Tenant: of, Integration: "i", Window: 1, At: at, Attempts: 1}}))
	_, err = e.References().Swap(ctx, delivery.Lane{Tenant: of, Integration: "i"}, "vuln:1", 0,
		reference.Reference{ID: of, Expires: at.Add(time.Hour)})
	ok(err)
	ok(e.Bus().Put(ctx, []delivery.Entry{entry("b")}))
}

// ownRows are the rows of each field of an engine, whichever it has.
func ownRows(e *memory.Engine) map[string][]string {
	out := map[string][]string{}
	all := reflect.ValueOf(e).Elem()
	for n := range all.NumField() {
		name, field := all.Type().Field(n).Name, all.Field(n)
		if field.Kind() == reflect.Pointer && field.Elem().Kind() == reflect.Struct {
			field = field.Elem().FieldByName("all") // a store of its own
		}
		show := func(v reflect.Value) string {
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			if v.Kind() != reflect.Struct {
				return fmt.Sprintf("%+v", v)
			}
			text := fmt.Sprintf("%+v", v)
			for i := range v.NumField() {
				if f := v.Field(i); f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8 {
					text += " " + string(f.Bytes())
				}
			}
			return text
		}
		switch field.Kind() {
		case reflect.Map:
			for _, key := range field.MapKeys() {
				out[name] = append(out[name], show(key)+" "+show(field.MapIndex(key)))
			}
		case reflect.Slice:
			for i := range field.Len() {
				out[name] = append(out[name], show(field.Index(i)))
			}
		}
	}
	return out
}

func TestErasure(t *testing.T) {
	open := func(*testing.T) erasuretest.Engine {
		e := open()
		return erasuretest.Engine{Store: e.Erasure(), Source: e.Erasure(), Jobs: e.Erasures(), Log: e.ActivityLog(),
			Stores: erasuretest.Stores{Integrations: e.Integrations(), Triggers: e.Triggers(), People: e.People(),
				Tokens: e.Tokens(), Suppressions: e.SuppressionList(), Reports: e.Reports(), Deliveries: e.Deliveries(),
				Arrive: func(t *testing.T, entries []delivery.Entry) []delivery.Entry {
					before := len(left(t, e))
					require.NoError(t, e.Bus().Put(t.Context(), entries))
					return left(t, e)[before:]
				}},
			Fill: func(t *testing.T, of string) { fill(t, e, of) }, Rows: func(*testing.T) map[string][]string {
				return ownRows(e)
			}, Unnamed: []string{"erasures"}}
	}
	erasuretest.Erasure(t, open)
	erasuretest.People(t, open)
}
