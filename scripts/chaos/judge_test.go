//go:build awslocal

package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tocsin/shared/delivery"
	"tocsin/shared/event"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
)

// judge says what is wrong after the storm.
func (w *world) judge(ctx context.Context) (wrong []string) {
	for _, t := range w.plan.tenants {
		lanes := map[*receiver]lane{}
		for n, r := range t.receivers {
			l, bad := w.judgeLane(ctx, t, r, n == 0)
			lanes[r], wrong = l, append(wrong, bad...)
			wrong = append(wrong, judgeReceived(r)...)
		}
		wrong = append(wrong, w.judgeFallbacks(t, lanes)...)
		wrong = append(wrong, w.judgeRecord(ctx, t)...)
		wrong = append(wrong, w.judgeTriggers(t)...)
	}
	return append(wrong, w.judgeRejected(ctx)...)
}

// judgeLane: each event is in one delivery, and that is delivered, or dead with a reason.
func (w *world) judgeLane(ctx context.Context, t tenant, r *receiver, noticed bool) (l lane, wrong []string) {
	log := w.tool.Deliveries()
	list, err := log.List(ctx, delivery.Query{Tenant: t.id, Integration: r.id, Limit: 1000})
	if err != nil {
		return l, []string{err.Error()}
	}
	l = lane{own: map[string][]string{}, fallen: map[string][]delivery.Delivery{}}
	in := map[string][]string{} // deliveries by event
	for _, d := range list {
		full, err := log.Get(ctx, t.id, r.id, d.ID)
		if err != nil {
			return l, append(wrong, err.Error())
		}
		l.all = append(l.all, full)
		if full.From != nil {
			w.cover.fallen(full, r.system == "slack")
		}
		if r.system == "slack" {
			w.cover.tell(d)
		}
		if len(full.Events) != d.Count {
			wrong = append(wrong, fmt.Sprintf("delivery %s of %s holds %d events and says %d", d.ID, r.name,
				len(full.Events), d.Count))
		}
		for _, e := range full.Events {
			if full.From != nil {
				l.fallen[e.ID] = append(l.fallen[e.ID], full)
				continue
			}
			in[e.ID], l.own[e.ID] = append(in[e.ID], d.ID), append(l.own[e.ID], d.ID)
		}
		if d.State == delivery.Dead && full.Reason == "" {
			wrong = append(wrong, fmt.Sprintf("delivery %s of %s is dead without a reason", d.ID, r.name))
		}
		if d.State == delivery.Delivered && !r.took(d.ID) {
			wrong = append(wrong, fmt.Sprintf("delivery %s is delivered, and %s never saw it", d.ID, r.name))
		}
	}
	for _, v := range w.plan.events {
		if kind, _ := r.takes(); v.event.Tenant != t.id || v.kind != kind {
			continue
		}
		switch got := in[v.event.ID]; {
		case len(got) == 0 && !r.off:
			wrong = append(wrong, fmt.Sprintf("event %s is in no delivery to %s", v.event.ID, r.name))
		case len(got) > 1:
			wrong = append(wrong, fmt.Sprintf("event %s is in deliveries %v to %s", v.event.ID, got, r.name))
		}
		delete(in, v.event.ID)
	}
	for id, got := range in {
		switch {
		case !noticed || !strings.HasPrefix(id, "trigger:"):
			wrong = append(wrong, fmt.Sprintf("event %s is in deliveries %v to %s, which does not take it", id, got,
				r.name))
		case len(got) > 1:
			wrong = append(wrong, fmt.Sprintf("notice %s is in deliveries %v to %s", id, got, r.name))
		}
	}
	return l, wrong
}

// took reports whether it took a request of the delivery. A file's address does not hold the id, nor does a message.
func (r *receiver) took(id string) bool {
	return r.system == "minio" || r.system == "slack" && len(r.got) > 0 ||
		slices.ContainsFunc(r.got, func(t taken) bool { return strings.HasPrefix(t.id, id) })
}

// judgeReceived: a delivery's content is the same each time, and no event comes under two ids, nor twice in one.
func judgeReceived(r *receiver) (wrong []string) {
	content := map[string][]string{}
	under := map[string]string{}
	if r.system == "slack" {
		return nil // its address is the same for all
	}
	for _, t := range r.got {
		if was, ok := content[t.id]; ok && !slices.Equal(was, t.marks) {
			wrong = append(wrong, fmt.Sprintf("%s saw %s with %v and with %v", r.name, t.id, was, t.marks))
		}
		content[t.id] = t.marks
		for n, m := range t.marks {
			as := fmt.Sprint(m, t.fell)
			if id, ok := under[as]; ok && id != t.id {
				wrong = append(wrong, fmt.Sprintf("%s saw %s under %s and under %s", r.name, m, id, t.id))
			}
			under[as] = t.id
			if slices.Contains(t.marks[:n], m) {
				wrong = append(wrong, fmt.Sprintf("%s saw %s twice in %s", r.name, m, t.id))
			}
		}
	}
	return wrong
}

// judgeRecord: the day totals are those of the distinct hits.
func (w *world) judgeRecord(ctx context.Context, t tenant) (wrong []string) {
	var all []event.Event
	for _, v := range w.plan.events {
		if v.event.Tenant == t.id && (v.kind == hit || v.kind == finding) {
			e := v.event
			e.Time = w.began.Add(v.at[0])
			if v.kind == hit {
				e.Data = fmt.Appendf(nil, string(e.Data), e.Time.Unix())
			}
			all = append(all, e)
		}
	}
	recorder := &daily.Recorder{Zone: report.ZoneOf(w.tool.Reports()), Now: time.Now}
	records, err := recorder.Records(ctx, all)
	if err != nil {
		return []string{err.Error()}
	}
	want := map[string]int64{}
	for _, r := range records {
		for _, c := range r.Counts {
			want[fmt.Sprint(r.Day, " ", c.Dimension, " ", c.Value)] += c.N
		}
	}
	got := map[string]int64{}
	first, last := calendar.Day(w.began.AddDate(0, 0, -2).Format(time.DateOnly)), calendar.Day(time.Now().AddDate(0, 0,
		2).Format(time.DateOnly))
	err = w.tool.DailyTotals().Counts(ctx, t.id, first, last, func(d calendar.Day, c daily.Count) error {
		got[fmt.Sprint(d, " ", c.Dimension, " ", c.Value)] += c.N
		return nil
	})
	if err != nil {
		return []string{err.Error()}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			wrong = append(wrong, fmt.Sprintf("the record of tenant %s says %d for %q, right is %d", t.id, got[k], k,
				want[k]))
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			wrong = append(wrong, fmt.Sprintf("the record of tenant %s has %q: %d", t.id, k, got[k]))
		}
	}
	return wrong
}

// judgeTriggers: a threshold of all hits but one is passed once, one of all hits never, and each user is told of once.
func (w *world) judgeTriggers(t tenant) (wrong []string) {
	fired := map[string]int{}
	for id := range w.fired(t.id) {
		fired[triggerOf(id)]++
	}
	want := map[string]int{"all": 1, "more": 0, "user": t.users}
	if t.hits < 2 {
		want["all"] = 0
	}
	for name, n := range want {
		if fired[name] != n {
			wrong = append(wrong, fmt.Sprintf("trigger %q of tenant %s fired %d times, right is %d (%d hits)", name,
				t.id,
				fired[name], n, t.hits))
		}
	}
	return wrong
}

// triggerOf is the trigger that published an event of an id.
func triggerOf(id string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(id, "trigger:"), ":")
	return name
}

// judgeRejected: what is no event is kept with its reason.
func (w *world) judgeRejected(ctx context.Context) (wrong []string) {
	for _, t := range w.plan.tenants {
		want := 0
		for _, v := range w.plan.events {
			if v.event.Tenant == t.id && v.kind == "bad" {
				want++
			}
		}
		list, err := w.tool.DeadLetters().DeadLetters(ctx, t.id, "", 1000)
		if err != nil {
			return append(wrong, err.Error())
		}
		if len(list) < want {
			wrong = append(wrong, fmt.Sprintf("tenant %s has %d dead letters of %d", t.id, len(list), want))
		}
	}
	return wrong
}

// outbox lists what is in the outboxes still.
func (w *world) outbox(ctx context.Context) (out []string) {
	scan := func(table string, is func(row map[string]types.AttributeValue) bool) {
		pages := dynamodb.NewScanPaginator(w.tool.DB,
			&dynamodb.ScanInput{TableName: awssdk.String(w.cloud.Prefix + table), ConsistentRead: awssdk.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				out = append(out, err.Error())
				return
			}
			for _, row := range page.Items {
				if is(row) {
					out = append(out, fmt.Sprintf("%s has a row %v", table, keysOf(row)))
				}
			}
		}
	}
	scan("IntegrationsTable", func(row map[string]types.AttributeValue) bool {
		s, ok := row["tenant"].(*types.AttributeValueMemberS)
		return ok && strings.HasPrefix(s.Value, " announcements")
	})
	if _, ok := template.Resources["OutboxTable"]; ok {
		scan("OutboxTable", func(row map[string]types.AttributeValue) bool {
			s, ok := row["shard"].(*types.AttributeValueMemberS)
			return !ok || !strings.HasPrefix(s.Value, "span ") // a span's row says that it has its message; it expires
		})
	}
	return out
}

func keysOf(row map[string]types.AttributeValue) map[string]string {
	out := map[string]string{}
	for k, v := range row {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			out[k] = s.Value
		}
	}
	return out
}

// fired are the ids of the events that triggers published for a tenant.
func (w *world) fired(tenant string) map[string]bool {
	out := map[string]bool{}
	for _, e := range w.cloud.Published() {
		if e.Tenant == tenant && strings.HasPrefix(e.ID, "trigger:") {
			out[e.ID] = true
		}
	}
	return out
}
