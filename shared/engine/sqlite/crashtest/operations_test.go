package crashtest_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	driver "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"tocsin/shared/account"
	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/delivery"
	"tocsin/shared/destination"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/engine/sqlite/crashtest"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/event"
	"tocsin/shared/fanout"
	"tocsin/shared/health"
	"tocsin/shared/integration"
	"tocsin/shared/mail"
	"tocsin/shared/report"
	"tocsin/shared/report/calendar"
	"tocsin/shared/report/daily"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// pick is a number below n that the words decide.
func pick(n int, words ...string) int {
	h := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return int(binary.BigEndian.Uint32(h[:]) % uint32(n))
}

// draw is the next operation.
func (w *world) draw() operation {
	lane := lanes[w.r.IntN(len(lanes))]
	switch n := w.r.IntN(100); {
	case n < 20:
		return w.put()
	case n < 38:
		w.step(w.receive(1 + w.r.IntN(20)))
		return w.fanOut()
	case n < 52:
		lane.Retry = w.r.IntN(3) == 0
		return w.lease(lane, 1+w.r.IntN(12))
	case n < 66:
		some := slices.Clone(w.leased)
		w.r.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		return w.settle(some[:min(len(some), 1+w.r.IntN(10))], w.becomes)
	case n < 69:
		return w.replay(lane)
	case n < 72:
		return w.mute(lane)
	case n < 73:
		return w.prune()
	case n < 74:
		if w.r.IntN(2) == 0 {
			return w.erasePerson()
		}
		return w.erase()
	case n < 77:
		return w.maintain()
	case n < 85:
		return w.configure()
	}
	return w.note()
}

// The way of an event.

func (w *world) put() operation {
	var entries []delivery.Entry
	taken := map[string]time.Time{}
	for range 1 + w.r.IntN(5) {
		if len(w.kept) > 0 && w.r.IntN(6) == 0 { // a publisher repeats
			again := w.kept[w.r.IntN(len(w.kept))]
			entries = append(entries, delivery.Entry{DetailType: "create_user", At: w.now, Tenant: again.tenant,
				Detail: []byte(again.detail)})
			continue
		}
		w.events++
		owner, id := []string{"42", "42", "43", "44"}[w.r.IntN(4)], fmt.Sprintf("e%d", w.events)
		e := delivery.Entry{DetailType: "create_user", At: w.now, Tenant: owner}
		detail := fmt.Sprintf(`{"version":1,"id":%q,"tenant":%q,"time":"2023-03-01T12:00:00Z","data":`+
			`{"user":{"name":%q,"email":%q}}}`, id, owner, strings.Repeat("x", 1+w.r.IntN(2000)),
			[]string{"ada@example.com", "grace@example.com"}[w.events%2])
		if w.r.IntN(15) == 0 {
			detail = `{"version":1,"tenant":"42"}` // nobody can read it
		} else {
			taken[owner+" "+id], w.kept = w.now, append(w.kept, published{owner, detail})
		}
		e.Detail = []byte(detail)
		entries = append(entries, e)
	}
	return operation{name: fmt.Sprintf("put %d", len(entries)), run: func(db *sqlite.DB) (string, error) {
		return said(len(entries), db.Bus().Put(w.Context(), entries))
	}, done: func(string) {
		for key, at := range taken {
			w.taken[key] = at
		}
	}}
}

// receive takes the next entries, after those whose turn it is have moved up.
func (w *world) receive(limit int) operation {
	w.received = nil
	return operation{name: "receive", run: func(db *sqlite.DB) (string, error) {
		before, _, err := db.Bus().Deferred(w.Context())
		if err != nil {
			return "", err
		}
		entries, err := db.Bus().Receive(w.Context(), limit)
		if err != nil {
			return "", err
		}
		if db == w.subject {
			w.received = entries
		}
		after, _, err := db.Bus().Deferred(w.Context())
		switch {
		case err != nil:
			return "", err
		case db == w.subject && w.disk.Broken() && before > 0 && before == after:
			return "", errors.New("disk I/O error, perhaps: nothing moves up, and what is in line is received")
		case before > 0:
			w.seen.see("deferred")
		}
		if after < before {
			w.seen.see("moved up")
		}
		return said([]any{before - after, entries}, nil)
	}}
}

// fanOut takes up what was received.
func (w *world) fanOut() operation {
	now, entries := w.now, w.received
	w.received = nil
	var taken []fanout.Accepted
	return operation{name: "fan out", run: func(db *sqlite.DB) (string, error) {
		if len(entries) == 0 {
			return "none", nil
		}
		in, err := w.intake(db, entries, now)
		if err != nil {
			return "", err
		}
		taken = in.Accepted
		return said(in, db.Deliveries().Accept(w.Context(), in))
	}, done: func(string) {
		for _, a := range taken {
			w.inOrder(a.Event)
		}
	}}
}

// inOrder checks that the events of a tenant are taken up in the order in which they were acknowledged.
func (w *world) inOrder(e event.Event) {
	at, acknowledged := w.taken[e.Tenant+" "+e.ID]
	if !acknowledged || at.Before(w.pruned) { // it may be known no more, and come again
		return
	}
	var n int
	if _, err := fmt.Sscanf(e.ID, "e%d", &n); err != nil {
		w.fail("event %s: %v", e.ID, err)
	}
	if n <= w.reached[e.Tenant] {
		w.fail("event %s of tenant %s is taken up after e%d", e.ID, e.Tenant, w.reached[e.Tenant])
	}
	w.reached[e.Tenant] = n
}

// intake is what fan-out makes of entries, in a plain way: the rules of fan-out are not what is tried here.
func (w *world) intake(db *sqlite.DB, entries []delivery.Entry, now time.Time) (in fanout.Intake, err error) {
	var valid []fanout.Accepted
	here := map[string]bool{}
	for _, entry := range entries {
		e, err := event.Parse(entry.DetailType, entry.Detail)
		if err != nil {
			in.Rejected = append(in.Rejected, fanout.Rejected{Entry: entry, Tenant: "42", Reason: err.Error()})
			continue
		}
		if a := (fanout.Accepted{Entry: entry, Event: e}); here[e.Tenant+" "+e.ID] {
			in.Repeated = append(in.Repeated, a)
		} else {
			here[e.Tenant+" "+e.ID], valid = true, append(valid, a)
		}
	}
	standing, err := db.Deliveries().Begin(w.Context(), valid)
	if err != nil {
		return in, err
	}
	together := map[string]*delivery.Delivery{}
	var order []string
	for n, a := range valid {
		if standing[n] == fanout.Known {
			in.Repeated = append(in.Repeated, a)
			continue
		}
		in.Accepted = append(in.Accepted, a)
		in.Records = append(in.Records, daily.Entry{Tenant: a.Event.Tenant, Day: calendar.Day(now.Format("2006-01-02")),
			Counts: []daily.Count{{Dimension: daily.Total, N: 1}}})
		if pick(8, a.Event.ID, "command") == 0 {
			in.Commands = append(in.Commands, command.Command{ID: a.Event.ID, Tenant: a.Event.Tenant,
				Kind: event.IPDenylistRequested, At: now, Data: event.CommandData{TriggerID: "t", IP: "203.0.113.7"}})
		}
		if pick(8, a.Event.ID, "trigger") == 0 {
			in.Triggers.Publish = append(in.Triggers.Publish, event.Event{ID: "of-" + a.Event.ID,
				Tenant: a.Event.Tenant, Kind: event.CreateUser, Time: now, Data: []byte(`{"user":{"name":"T"}}`)})
		}
		for _, lane := range receivers(a.Event.Tenant + " " + a.Event.ID) {
			way := pick(6, a.Event.ID, lane.Integration, "way")
			key := fmt.Sprint(lane, way)
			d := together[key]
			if d == nil {
				h := sha256.Sum256([]byte(key + a.Event.ID))
				d = &delivery.Delivery{ID: delivery.DerivedID(a.Entry.At, h[:]), Tenant: lane.Tenant,
					Integration: lane.Integration, State: delivery.Pending, CreatedAt: a.Entry.At,
					Kinds: []event.Kind{event.CreateUser}}
				w.goes(d, way, now)
				together[key], order = d, append(order, key)
			}
			d.Events, d.Count = append(d.Events, a.Event), d.Count+1
		}
	}
	for _, key := range order {
		in.Deliveries = append(in.Deliveries, *together[key])
	}
	return in, nil
}

// goes says when a delivery goes.
func (w *world) goes(d *delivery.Delivery, way int, now time.Time) {
	switch way {
	case 0:
		d.Due = now.Truncate(10 * time.Minute).Add(10 * time.Minute)
		w.seen.see("windowed")
	case 1:
		d.Due, d.Digest = now.Truncate(5*time.Minute).Add(5*time.Minute), "group/50"
	case 2, 3:
		d.Due = now.Add(20 * time.Minute)
		d.Held = &delivery.Held{By: "quiet", Until: d.Due, Merge: way == 2}
		w.seen.see("held")
	}
}

func (w *world) lease(lane delivery.Lane, limit int) operation {
	now := w.now
	return operation{name: fmt.Sprint("lease ", lane), several: true, run: func(db *sqlite.DB) (string, error) {
		out, err := db.Deliveries().Lease(w.Context(), lane, limit, now, now, now.Add(10*time.Minute))
		w.last = out
		return said(out, err)
	}, done: func(string) {
		for _, d := range w.last {
			if w.settled[lane.Integration+d.ID] {
				w.fail("delivery %s was settled, and is handed out again", d.ID)
			}
			w.leased = append(w.leased, d)
		}
	}}
}

// becomes is what comes of an attempt.
func (w *world) becomes(n int, d delivery.Delivery) string {
	switch way := pick(10, d.ID, fmt.Sprint(d.Failures, n)); {
	case way < 5:
		return "arrives"
	case way < 8:
		return "fails"
	case way == 8:
		return "waits"
	}
	return "dies"
}

func (w *world) settle(some []delivery.Delivery, becomes func(int, delivery.Delivery) string) operation {
	out := make([]delivery.Delivery, 0, len(some))
	for n, d := range some {
		switch becomes(n, d) {
		case "arrives":
			d = attempted(d, w.now, true)
			d.State, d.Due, d.Reason = delivery.Delivered, time.Time{}, ""
			w.seen.see("sent")
		case "fails":
			d = attempted(d, w.now, false)
			d.Failures++
			d.State, d.Due = delivery.Retrying, w.now.Add(time.Duration(d.Failures)*time.Minute)
		case "waits":
			d.State, d.Due, d.Reason = delivery.Pending, time.Time{}, "spared"
		default:
			d = attempted(d, w.now, false).Kill("gave up")
			w.seen.see("died")
			if d.Integration == "j" && d.From == nil && d.Fallback == nil {
				d = w.fallsBack(d)
			}
		}
		out = append(out, d)
	}
	return operation{name: fmt.Sprintf("settle %d", len(out)), run: func(db *sqlite.DB) (string, error) {
		if len(out) == 0 {
			return "", nil
		}
		err := db.Deliveries().Settle(w.Context(), slices.Clone(out))
		var ended *delivery.NotWaitingError
		if errors.As(err, &ended) { // it had ended under another lease
			return said(ended.IDs, nil)
		}
		return said(len(out), err)
	}, done: func(string) {
		for _, d := range out {
			if d.State == delivery.Delivered || d.State == delivery.Dead {
				w.settled[d.Integration+d.ID] = true
				for _, e := range d.Events {
					w.ended[d.Integration+" "+e.Tenant+" "+e.ID] = true
				}
			}
			w.leased = slices.DeleteFunc(w.leased, func(l delivery.Delivery) bool {
				return l.ID == d.ID && l.Integration == d.Integration && l.Tenant == d.Tenant
			})
		}
	}}
}

func attempted(d delivery.Delivery, now time.Time, arrived bool) delivery.Delivery {
	a := delivery.Attempt{At: now, Took: time.Millisecond, Status: 200, Delivered: true}
	if !arrived {
		a.Status, a.Delivered, a.Reason = 503, false, "answered 503"
	}
	d.Attempts = append(slices.Clone(d.Attempts), a)
	return d
}

func (w *world) fallsBack(d delivery.Delivery) delivery.Delivery {
	w.seen.see("fell back")
	made := delivery.Delivery{ID: delivery.FallbackID(d, "k"), Tenant: d.Tenant, Integration: "k",
		State: delivery.Pending, CreatedAt: d.CreatedAt, Kinds: d.Kinds, Count: d.Count, Events: d.Events,
		From: &delivery.From{Integration: "j", Name: "J", Delivery: d.ID, Reason: "gave up"}}
	d.Fallback = &delivery.Fallback{Integration: "k", Delivery: made.ID, Made: &made}
	return d
}

func (w *world) replay(lane delivery.Lane) operation {
	w.seen.see("replayed")
	q := delivery.Replay{Tenant: lane.Tenant, Integration: lane.Integration, Limit: 1 + w.r.IntN(5),
		States: []delivery.State{delivery.Dead, delivery.Delivered}[:1+w.r.IntN(2)]}
	for key := range w.settled { // of any of them it may be done, and nobody told
		if strings.HasPrefix(key, lane.Integration) {
			delete(w.settled, key)
		}
	}
	return operation{name: "replay", run: func(db *sqlite.DB) (string, error) {
		n, after, err := db.Deliveries().Replay(w.Context(), q)
		return said([]any{n, after}, err)
	}}
}

func (w *world) mute(lane delivery.Lane) operation {
	w.muted[lane.Integration] = w.now.Add(time.Duration(w.r.IntN(90)) * time.Minute)
	if w.r.IntN(3) == 0 {
		delete(w.muted, lane.Integration)
	}
	return w.reconsider(lane)
}

func (w *world) reconsider(lane delivery.Lane) operation {
	now := w.now
	return operation{name: "reconsider", run: func(db *sqlite.DB) (string, error) {
		return "", db.Deliveries().Reconsider(w.Context(), lane.Tenant, lane.Integration, now)
	}}
}

func (w *world) prune() operation {
	now, keep := w.now, time.Duration(20+w.r.IntN(60))*time.Minute
	if before := now.Add(-keep); before.After(w.pruned) {
		w.pruned = before
	}
	w.seen.see("pruned")
	w.leased = nil // as if they were given up
	return operation{name: "prune", several: true, run: func(db *sqlite.DB) (string, error) {
		_, err := db.Prune(w.Context(), now, keep)
		return "", err
	}}
}

// erase lets tenant 43 leave; it may come again.
func (w *world) erase() operation {
	w.seen.see("erased")
	w.leased = nil
	maps.DeleteFunc(w.taken, func(key string, _ time.Time) bool { return strings.HasPrefix(key, "43 ") })
	maps.DeleteFunc(w.settled, func(key string, _ bool) bool { return strings.HasPrefix(key, "i") }) // 43 has an i too
	return operation{name: "erase", several: true, run: func(db *sqlite.DB) (string, error) {
		if _, _, err := db.Erasure().Erase(w.Context(), "43", ""); err != nil {
			return "", err
		}
		return "", w.restart(db) // a number of an event that nobody passed is given again then
	}}
}

// erasePerson lets one person of tenant 42 leave, who may come again.
func (w *world) erasePerson() operation {
	w.seen.see("a person was erased")
	who := pseudonym.Writer{Names: pseudonym.NamesOf([]string{"ada@example.com"}), Pseudonym: "erased person 1",
		Called: []string{"Ada Lovelace"}}
	return operation{name: "erase a person", several: true, run: func(db *sqlite.DB) (string, error) {
		_, _, err := db.Erasure().ErasePerson(w.Context(), "42", who, "")
		return "", err
	}}
}

// maintain is what the file is for whoever runs it.
func (w *world) maintain() operation {
	switch w.r.IntN(4) {
	case 0:
		return operation{name: "compact", several: true, run: func(db *sqlite.DB) (string, error) {
			return "", db.Compact(w.Context())
		}}
	case 1:
		return operation{name: "restart", several: true, run: func(db *sqlite.DB) (string, error) {
			return "", w.restart(db)
		}}
	}
	mode := []string{"PASSIVE", "RESTART", "TRUNCATE"}[w.r.IntN(3)]
	return operation{name: "checkpoint", several: true, run: func(db *sqlite.DB) (string, error) {
		return "", checkpoint(w.pathOf(db), mode)
	}}
}

func (w *world) pathOf(db *sqlite.DB) string {
	if db == w.reference {
		return w.twin
	}
	return w.path
}

// restart closes an engine and opens it again.
func (w *world) restart(db *sqlite.DB) error {
	w.leased = nil
	if w.doubtful != nil && db == w.subject { // a start reads what is there, whatever was answered
		w.disk.Stop(crashtest.Kill)
		return db.Close()
	}
	err := db.Close()
	again, opened := sqlite.Open(w.Context(), w.pathOf(db), w.options(db))
	if opened != nil && !w.disk.Over() { // while its disk is full or fails it need not start
		w.disk.Repair()
		again, opened = sqlite.Open(w.Context(), w.pathOf(db), w.options(db))
	}
	if opened != nil {
		return errors.Join(err, opened)
	}
	if db == w.reference {
		w.reference = again
	} else {
		w.subject = again
	}
	w.hold()
	return nil
}

// checkpoint moves the log into the file, as the writer does when its log is 16 MiB long.
func checkpoint(path, mode string) error {
	conn, err := driver.OpenConn(path, driver.OpenReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint("+mode+")", nil), conn.Close())
}

// What administrators change.

func (w *world) configure() operation {
	owner, id := []string{"42", "43"}[w.r.IntN(2)], []string{"i", "j", "k"}[w.r.IntN(3)]
	record, now := enginetest.Record(owner, event.CreateUser), w.now
	w.events++
	record.Event.ID, record.Event.Time = fmt.Sprintf("note-%d", w.events), now
	record.Event.Data, record.Entry = []byte(`{"user":{"name":"Ada"}}`), w.entry(owner)
	switch w.r.IntN(6) {
	case 0:
		return operation{name: "delete an integration", run: func(db *sqlite.DB) (string, error) {
			i, err := db.Integrations().Get(w.Context(), owner, id)
			if err != nil {
				return "", err
			}
			return "", db.Integrations().Delete(w.Context(), owner, id, i.Revision, record)
		}}
	case 1:
		return operation{name: "triggers", run: func(db *sqlite.DB) (string, error) {
			t := trigger.Trigger{ID: record.Entry.ID, Tenant: owner, Name: "Watch", Revision: 1, Epoch: 1,
				CreatedAt: now, UpdatedAt: now}
			return "", db.Triggers().Create(w.Context(), t, nil, record)
		}}
	case 2:
		return operation{name: "mark", run: func(db *sqlite.DB) (string, error) {
			return "", db.Integrations().Mark(w.Context(), owner, id, 1, &integration.Failing{Since: now}, record)
		}}
	}
	return operation{name: "save an integration", run: func(db *sqlite.DB) (string, error) {
		i, err := db.Integrations().Get(w.Context(), owner, id)
		if errors.Is(err, integration.ErrNotFound) {
			i = enginetest.Sample(owner, id)
			i.Subscriptions = append(i.Subscriptions, integration.Subscription{Event: event.ReportDaily})
			return "", db.Integrations().Create(w.Context(), i, record)
		}
		if err != nil {
			return "", err
		}
		i.Revision, i.Name, i.UpdatedAt = i.Revision+1, record.Entry.ID, now
		return "", db.Integrations().Update(w.Context(), i, record)
	}}
}

// entry is one of the activity log, under an id that the seed decides.
func (w *world) entry(of string) activity.Entry {
	w.events++
	e := enginetest.Entry(of)
	e.ID = fmt.Sprintf("entry-%d", w.events)
	return e
}

// note is what is written beside.
func (w *world) note() operation {
	all := []func() operation{w.noteReport, w.noteSchedule, w.noteToken, w.noteSession, w.notePerson, w.noteMail,
		w.noteCount, w.noteReference, w.noteCommand, w.noteResend, w.noteLink}
	return all[w.r.IntN(len(all))]()
}

func (w *world) noteReport() operation {
	id, entry, now := fmt.Sprintf("r%d", w.r.IntN(6)), w.entry("42"), w.now
	state := []report.State{report.Waiting, report.Ready, report.Failed}[w.r.IntN(3)]
	size := w.r.IntN(20_000)
	return operation{name: "save a report", run: func(db *sqlite.DB) (string, error) {
		v := report.Report{ID: id, Tenant: "42", State: state, CreatedAt: now, Format: report.PDF,
			Period: calendar.Containing(calendar.Weekly, "2023-03-01", "UTC")}
		return "", db.Reports().Save(w.Context(), v, []report.File{{Name: "r.pdf", Type: "application/pdf",
			Data: make([]byte, size)}}, entry)
	}}
}

func (w *world) noteSchedule() operation {
	entry, now, hour := w.entry("42"), w.now, w.r.IntN(24)
	if w.r.IntN(2) == 0 {
		return operation{name: "save settings", run: func(db *sqlite.DB) (string, error) {
			v, err := db.Reports().Settings(w.Context(), "42")
			if err != nil {
				return "", err
			}
			v.Tenant, v.Hour, v.Revision = "42", &hour, v.Revision+1
			return "", db.Reports().SaveSettings(w.Context(), v, entry)
		}}
	}
	return operation{name: "reschedule", run: func(db *sqlite.DB) (string, error) {
		due, err := db.Reports().Due(w.Context(), now, 10)
		if err != nil {
			return "", err
		}
		var moves []report.Move
		for _, s := range due {
			m := report.Move{Subscription: s, Next: now.Add(24 * time.Hour)}
			m.Done = calendar.Day(now.Format("2006-01-02"))
			moves = append(moves, m)
		}
		return said(due, db.Reports().Reschedule(w.Context(), moves))
	}}
}

func (w *world) noteToken() operation {
	id, entry, now := fmt.Sprintf("t%d", w.r.IntN(5)), w.entry("42"), w.now
	return operation{name: "token", run: func(db *sqlite.DB) (string, error) {
		v, err := db.Tokens().Get(w.Context(), "42", id)
		if errors.Is(err, token.ErrNotFound) {
			v = token.Token{ID: id, Tenant: "42", Name: id, Kind: token.Personal, Digest: token.Digest(id),
				CreatedAt: now, Revision: 1}
			return "", db.Tokens().Create(w.Context(), v, entry)
		}
		if err != nil {
			return "", err
		}
		v.Revision, v.Name = v.Revision+1, entry.ID
		return "", db.Tokens().Save(w.Context(), v, entry)
	}}
}

func (w *world) noteSession() operation {
	digest, now, end := session.Digest(fmt.Sprint(w.r.IntN(5))), w.now, w.r.IntN(3)
	return operation{name: "session", run: func(db *sqlite.DB) (string, error) {
		switch end {
		case 0:
			n, err := db.Sessions().DeleteOf(w.Context(), "42", "u1")
			return said(n, err)
		case 1:
			return "", db.Sessions().Extend(w.Context(), digest, now.Add(time.Hour))
		}
		return "", db.Sessions().Create(w.Context(), session.Session{Digest: digest, Tenant: "42", Subject: "u1",
			Method: session.ByProvider, Began: now, IdleEnd: now.Add(time.Hour), End: now.Add(12 * time.Hour)})
	}}
}

func (w *world) notePerson() operation {
	id, entry, gone := fmt.Sprintf("p%d", w.r.IntN(4)), w.entry("42"), w.r.IntN(4) == 0
	return operation{name: "person", run: func(db *sqlite.DB) (string, error) {
		if gone {
			return "", db.People().Delete(w.Context(), "42", id)
		}
		old, err := db.People().Get(w.Context(), "42", id)
		if err != nil {
			old.Revision = 0
		}
		return "", db.People().Save(w.Context(), enginetest.Person("42", id, old.Revision+1), entry)
	}}
}

func (w *world) noteMail() operation {
	address, entry, now, way := fmt.Sprintf("a%d@example.com", w.r.IntN(4)), w.entry("42"), w.now, w.r.IntN(3)
	return operation{name: "mail", run: func(db *sqlite.DB) (string, error) {
		switch way {
		case 0:
			added, err := db.SuppressionList().Suppress(w.Context(), mail.Suppression{Tenant: "42", Address: address,
				At: now})
			return said(added, err)
		case 1:
			return "", db.SuppressionList().Allow(w.Context(), "42", address, entry)
		}
		return "", db.MailLog().Keep(w.Context(), destination.Mail{Tenant: "42", To: address, Subject: "s"}, now)
	}}
}

func (w *world) noteCount() operation {
	counts := []health.Count{{Tenant: "42", Integration: "i", Window: 1, At: w.now, Attempts: 1 + w.r.IntN(5)}}
	return operation{name: "count", run: func(db *sqlite.DB) (string, error) {
		return "", db.Counters().Add(w.Context(), counts)
	}}
}

func (w *world) noteReference() operation {
	object, now := fmt.Sprintf("vuln:%d", w.r.IntN(5)), w.now
	return operation{name: "reference", run: func(db *sqlite.DB) (string, error) {
		s := db.ReferencesAt(func() time.Time { return now })
		old, version, err := s.Reference(w.Context(), lanes[0], object)
		if err != nil {
			return "", err
		}
		old.ID, old.Expires = now.String(), now.Add(time.Hour)
		next, err := s.Swap(w.Context(), lanes[0], object, version, old)
		return said(next, err)
	}}
}

func (w *world) noteCommand() operation {
	entry := w.entry("42")
	return operation{name: "acknowledge", run: func(db *sqlite.DB) (string, error) {
		list, err := db.Commands().List(w.Context(), command.Query{Tenant: "42", Limit: 1})
		if err != nil || len(list) == 0 {
			return "", err
		}
		return said(db.Commands().Acknowledge(w.Context(), list[0].ID, command.Outcome{State: command.Acknowledged},
			entry))
	}}
}

func (w *world) noteResend() operation {
	now := w.now
	return operation{name: "resend", run: func(db *sqlite.DB) (string, error) {
		list, err := db.Deliveries().DeadLetters(w.Context(), "42", "", 1)
		if err != nil || len(list) == 0 {
			return "", err
		}
		return said(db.Deliveries().Resend(w.Context(), "42", list[0].ID, now))
	}}
}

func (w *world) noteLink() operation {
	to, entry, now, way := fmt.Sprintf("%d", 50+w.r.IntN(4)), w.entry("42"), w.now, w.r.IntN(4)
	return operation{name: "link", run: func(db *sqlite.DB) (string, error) {
		switch way {
		case 0:
			return "", db.Tenants().Unlink(w.Context(), "42", to, entry)
		case 1:
			return "", db.ActivityLog().Append(w.Context(), entry)
		case 2:
			one, err := db.Accounts().Get(w.Context(), "42", to+"@example.com")
			if err != nil && !errors.Is(err, account.ErrUnknown) {
				return "", err
			}
			one.Tenant, one.Email, one.Revision = "42", to+"@example.com", one.Revision+1
			return "", db.Accounts().Save(w.Context(), one, []activity.Entry{entry}...)
		}
		return "", db.Tenants().Link(w.Context(), tenant.Link{Technical: "42", Tenant: to, LinkedAt: now}, entry)
	}}
}
