package stack

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	awserasure "tocsin/shared/engine/aws/erasure"
	"tocsin/shared/erasure"
)

// settle is over the time that what is on its way takes: a message is delayed for 15 minutes at most (SQS,
// "DelaySeconds"), and the function that has it works for five.
const settle = 20 * time.Minute

// Leaving exports tenants, and takes orders to erase them.
func (s *Stack) Leaving() *erasure.Service {
	store := s.leaving()
	return &erasure.Service{Source: store, Jobs: &awserasure.Jobs{DB: s.db, Table: store.Tables.Accounts,
		Activity: store.Tables.Activity}, Log: s.ActivityLog(), Now: time.Now, NewID: newID, Logger: s.Log}
}

// Erasing erases them.
func (s *Stack) Erasing() *erasure.Service {
	service, store := s.Leaving(), s.leaving()
	store.SQS, store.DeadLetters = sqs.NewFromConfig(s.sdk), map[string]string{}
	for _, name := range []string{"EVENTS", "DELIVERIES", "RETRIES", "COUNTING", "REPORTS", "MAIL_FEEDBACK",
		"INVOCATIONS"} {
		store.DeadLetters[name] = s.env.need("TOCSIN_DEAD_LETTERS_" + name)
	}
	service.Store = store
	service.Settle = time.Duration(s.env.number("TOCSIN_ERASURE_SETTLE_SECONDS", int(settle/time.Second))) * time.Second
	return service
}

func (s *Stack) leaving() *awserasure.Store {
	need := func(name string) string { return s.env.need("TOCSIN_TABLE_" + name) }
	return &awserasure.Store{DB: s.db, Now: time.Now, Log: s.Log, Tables: awserasure.Tables{
		Integrations: need("INTEGRATIONS"), Triggers: need("TRIGGERS"), People: need("PEOPLE"),
		Reports: need("REPORTS"), Accounts: need("ACCOUNTS"), Outbox: need("OUTBOX"),
		Batches: need("BATCHES"), Deliveries: need("DELIVERIES"),
		Intakes: need("INTAKES"), Events: need("EVENTS"), EventLog: need("EVENT_LOG"),
		DeadLetters: need("DEAD_LETTERS"), Counters: need("COUNTERS"), Paces: need("PACES"),
		DailyTotals: need("DAILY_TOTALS"), Activity: need("ACTIVITY"),
	}}
}
