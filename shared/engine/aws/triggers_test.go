package aws_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"tocsin/shared/delivery"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/engine/aws"
	"tocsin/shared/engine/enginetest"
)

func TestTriggers(t *testing.T) {
	enginetest.Triggers(t, func(t *testing.T) enginetest.TriggerEngine {
		w := open(t)
		p := &published{}
		store := w.integrations(p)
		d := w.deliveries()
		d.Triggers = &aws.Triggers{DB: w.db, Table: w.prefix + "TriggersTable", Announcements: store.Announcements(), Now: time.Now}
		return enginetest.TriggerEngine{
			Log:   enginetest.Log{Log: d, Take: func(_ *testing.T, entries []delivery.Entry) []delivery.Entry { return delivered(entries) }, Ready: w.ready(d)},
			Store: d.Triggers, Integrations: store, Systems: catalogue.Default(), Workers: 8, Items: aws.BatchItems,
			Left: func(t *testing.T) []delivery.Entry {
				p.mu.Lock()
				defer p.mu.Unlock()
				var out []delivery.Entry
				for _, e := range p.events {
					detail, err := e.Encode()
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, delivery.Entry{DetailType: string(e.Kind), Detail: detail, At: e.Time})
				}
				p.events = nil
				return delivered(out)
			},
		}
	})
}

// delivered gives entries the receipts of a queue.
func delivered(entries []delivery.Entry) []delivery.Entry {
	out := make([]delivery.Entry, len(entries))
	for n, e := range entries {
		e.Receipt = uuid.NewString()
		out[n] = e
	}
	return out
}
