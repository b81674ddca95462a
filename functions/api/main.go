// Command api is the Console API behind an HTTP API of API Gateway.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/oklog/ulid/v2"

	"tocsin/functions/stack"
	"tocsin/shared/access"
	"tocsin/shared/console"
	"tocsin/shared/engine/aws/handlers"
	"tocsin/shared/engine/aws/metrics"
	"tocsin/shared/fanout"
	"tocsin/shared/httpserver"
	"tocsin/shared/integration"
	"tocsin/shared/ready"
	"tocsin/shared/report"
	"tocsin/shared/trigger/notified"
	"tocsin/shared/worker/pace"
)

func main() { stack.Start(handler) }

func handler(s *stack.Stack) stack.Handler[json.RawMessage, events.APIGatewayV2HTTPResponse] {
	store := s.Integrations()
	service := s.Service(store)
	sender := s.Sender()
	relay := s.Relay()
	sender.Adapter, sender.MailQuota, sender.References = service, relay, s.References()
	jobs, orders, triggers := s.Jobs(), s.Orders(), s.Triggers()
	deliveries, dead := s.Deliveries(), s.DeadLetters()
	recovery := &fanout.Recovery{Fanout: &fanout.Fanout{Systems: s.Systems, Logger: s.Log}, Journal: deliveries,
		Now: time.Now}
	sessions, provider := s.SignIn()
	orders.MailQuota, service.Backlog, service.Missed = relay, deliveries, recovery
	held := s.Releaser(store)
	service.Held, orders.Held, service.Triggers = held, held, notified.By{Store: triggers}
	leaving := s.Leaving()
	leaving.Integrations = service
	handler := console.New(console.Config{
		Ready: ready.New(ready.Clock(time.Now), ready.Check{Name: "table", Probe: func(ctx context.Context) error {
			if _, err := store.Get(ctx, "readyz", "readyz"); err != nil && !errors.Is(err, integration.ErrNotFound) {
				s.Log.Error("the table can not be read", "error", err.Error())
				return errors.New("the table of integrations can not be read")
			}
			return nil
		}}),
		Tokens: s.Tokens(), TokenHeader: s.TokenHeader(), TokenRequests: s.TokenRequests(), Tenants: s.Tenants(),
		Requests: s.Requests(), MailQuota: relay, Platform: sender.Platform.Name, Integrations: service,
		Systems: s.Systems, Deliveries: stack.NewHistory(deliveries, dead), DeadLetters: dead,
		Health: s.Monitor(service), Holds: pace.Holds{Store: s.Paces(), Now: time.Now},
		Tester: sender, Telegram: s.Telegram(service), Sessions: sessions, Provider: provider,
		Authenticator: access.Chain{s.APITokens(), provider, access.StrangeBearer{}, sessions}, Recorder: s.Recorder(),
		Erasures: leaving, Activity: s.ActivityLog(), Now: time.Now,
		NewID: func() string { return ulid.Make().String() }, Log: s.Log,
		Recovery: recovery, EgressAddresses: s.EgressAddresses(),
		Triggers: s.TriggerService(triggers, store), Commands: triggers.Commands(), NoPages: s.NoPages(),
		Profiles: s.Profiles(), SuppressionList: s.SuppressionList(), Unsubscriptions: s.Unsubscriptions(),
		Reports: orders, Ordered: func(ctx context.Context, r report.Report) {
			if err := jobs.Order(ctx, r.Tenant, r.ID); err != nil {
				s.Log.Error("report on demand: the schedule takes it up", "error", err.Error())
			}
		},
	})
	return metrics.Of(s.Meter("api"), handlers.API(httpserver.CrossOrigin(handler, s.Origins())))
}
