package integrations

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/console/rest"
	"tocsin/shared/integration"
	"tocsin/shared/messagetemplate"
	"tocsin/shared/sending"
	"tocsin/shared/step"
)

// TestView is the outcome of a test.
type TestView struct {
	Delivered bool              `json:"delivered" doc:"every message arrived"`
	Messages  []TestMessageView `json:"messages" doc:"in the order sent; the test ends with the first that fails"`
}

// TestMessageView is one test message and what the system answered.
type TestMessageView struct {
	Summary   string `json:"summary" example:"[Test message] [Acme] New vulnerability detected"`
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status,omitempty" doc:"absent when there was no answer, or a mail was not sent" example:"200"`
	Reason    string `json:"reason,omitempty" worded:"true" doc:"why it did not arrive and what to do" example:"connection refused: nothing listens at hooks.example.com:443, or a firewall turns us away"`
	Answer    string `json:"answer,omitempty" doc:"the start of a failure's answer, secrets masked"`
	TookMS    int64  `json:"took_ms" example:"120"`
}

// TestLine is a line of a test that is told as it runs: a step, or the last one.
type TestLine struct {
	Step   *TestStepView `json:"step,omitempty"`
	Result *TestView     `json:"result,omitempty" doc:"in the last line"`
	Error  *rest.Problem `json:"error,omitempty" doc:"in the last line: the test broke off"`
}

// TestStepView is a step that ended.
type TestStepView struct {
	Kind    step.Kind `json:"kind" enum:"begun,credential,name,address,connected,certificate,tls,reused,sent,answered,ended" doc:"credential: a short-lived one was got; name: found in DNS; address: one that may be sent to; connected; certificate: the client certificate was shown; tls: secured, with a good certificate; reused: a connection of before; sent; answered; begun and ended are those of a message"`
	Failed  bool      `json:"failed,omitempty" doc:"it ended without that"`
	Message int       `json:"message" doc:"of the test, counted from 1"`
	Of      int       `json:"of" doc:"how many messages the test has"`
	Summary string    `json:"summary" example:"[Test message] [Acme] New vulnerability detected"`
	AfterMS int64     `json:"after_ms" doc:"since the message was begun" example:"45"`
}

// JSONLines is the media type of a test that is told as it runs.
const JSONLines = "application/x-ndjson"

type testInput struct {
	ID    string `path:"id"`
	Steps bool   `query:"steps" doc:"answer each step as it ends, as lines of JSON"`
}

type unsavedInput struct {
	Steps bool `query:"steps" doc:"answer each step as it ends, as lines of JSON"`
	Body  struct {
		System      string               `json:"system,omitempty" example:"slack"`
		Integration string               `json:"integration,omitempty" doc:"the id of a saved integration whose secrets the masks stand for"`
		Parameters  json.RawMessage      `json:"parameters"`
		Template    *MessageTemplateView `json:"message_template,omitempty" doc:"its title and text of messages; those that are saved play no part"`
	}
}

// stepWords say what a client can count on.
const stepWords = "With `steps` the answer is JSON lines: each step as it ends (name found, address allowed, " +
	"connected, secured, sent, answered), with its time, and the result in the last line. Where an API gateway " +
	"keeps an answer until it is whole, as that of an AWS deployment does, the lines come together when the test is " +
	"over. "

// tests are the test button: saved, and of what is typed in a form.
func (s *API) tests(api huma.API) {
	content := func() map[string]*huma.Response {
		schema := func(of reflect.Type) *huma.MediaType {
			return &huma.MediaType{Schema: api.OpenAPI().Components.Schemas.Schema(of, true, "")}
		}
		return map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": schema(reflect.TypeFor[TestView]()), JSONLines: schema(reflect.TypeFor[TestLine]()),
		}}}
	}
	tags := []string{"Integrations"}
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "test-integration", Method: http.MethodPost, Path: "/v1/integrations/{id}/test", Tags: tags,
		Errors: []int{404, 429}, Responses: content(),
		Summary: "Test a saved integration", Description: "Sends test messages now and answers what the system said. " +
			"A test is not retried and does not count for the health of the integration. " + stepWords +
			rest.QuotaWords,
	}), func(ctx context.Context, in *testInput) (*huma.StreamResponse, error) {
		i, err := s.Integrations.Get(ctx, rest.Principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, s.Answer(ctx, err)
		}
		opened, err := s.Integrations.Open(ctx, i)
		return s.test(ctx, opened, err, in.Steps)
	})
	huma.Register(api, rest.Operation(access.Administer, huma.Operation{
		OperationID: "test-parameters", Method: http.MethodPost, Path: "/v1/integrations/test", Tags: tags,
		Errors: []int{400, 404, 413, 415, 422, 429}, Responses: content(),
		Summary: "Test parameters that are not saved", Description: "For the test button of a form. With the id of a " +
			"saved integration, masks stand for its secrets, unless the other parameters would send them to another " +
			"receiver than the saved one: then 422 names those to enter again. " + stepWords + rest.QuotaWords,
	}), func(ctx context.Context, in *unsavedInput) (*huma.StreamResponse, error) {
		opened, err := s.Integrations.OpenUnsaved(ctx, rest.Principal(ctx).Tenant, in.Body.Integration, in.Body.System,
			in.Body.Parameters)
		opened.MessageTemplate = in.Body.Template.source()
		_, problems := messagetemplate.Compile(opened.MessageTemplate)
		problems = append(problems, integration.CheckTemplated(opened.System, opened.MessageTemplate)...)
		if err == nil && len(problems) > 0 {
			err = problems
		}
		return s.test(ctx, opened, err, in.Steps)
	})
}

// test sends, and answers the outcome, or each step as it ends.
func (s *API) test(ctx context.Context, opened integration.Opened, err error, told bool) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	if told {
		return &huma.StreamResponse{Body: func(c huma.Context) { s.stream(ctx, c, opened) }}, nil
	}
	v, err := s.run(ctx, opened, nil)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/json")
		c.SetStatus(http.StatusOK)
		_ = json.NewEncoder(c.BodyWriter()).Encode(rest.Worded(c, v)) // the caller has gone away if this fails
	}}, nil
}

// mostSteps is more than any test has: what does not fit is not told, so that no caller who does not read keeps a
// connection to a system waiting.
const mostSteps = 1024

// stream writes the steps as they end. The status waits for the first one, so that a test that does not begin is
// answered as a problem.
func (s *API) stream(ctx context.Context, c huma.Context, opened integration.Opened) {
	lines, written := make(chan TestLine, mostSteps), make(chan struct{})
	begun := false
	go func() {
		defer close(written)
		for l := range lines {
			if !begun {
				begun = true
				c.SetHeader("Content-Type", JSONLines)
				c.SetHeader("X-Accel-Buffering", "no") // nginx holds answers back
				c.SetStatus(http.StatusOK)
			}
			if json.NewEncoder(c.BodyWriter()).Encode(rest.Worded(c, l)) == nil {
				flush(c)
			}
		}
	}()
	var v *TestView
	var err error
	func() {
		defer func() {
			close(lines)
			<-written
		}()
		v, err = s.run(ctx, opened, func(t sending.TestStep) {
			select {
			case lines <- TestLine{Step: &TestStepView{Kind: t.Kind, Failed: t.Failed, Message: t.Message + 1,
				Of: t.Of, Summary: t.Summary, AfterMS: t.After.Milliseconds()}}:
			default:
			}
		})
		if err == nil {
			lines <- TestLine{Result: v}
		}
	}()
	if err != nil && !begun {
		rest.Refuse(c, err)
	} else if err != nil {
		_ = json.NewEncoder(c.BodyWriter()).Encode(rest.Worded(c, TestLine{Error: rest.ProblemOf(err)}))
	}
}

func flush(c huma.Context) {
	if w, ok := c.BodyWriter().(http.ResponseWriter); ok {
		_ = http.NewResponseController(w).Flush() // a writer that can not keeps the lines until the end
	}
}

// run sends the messages of a test. The error is for the caller.
func (s *API) run(ctx context.Context, opened integration.Opened, tell func(sending.TestStep)) (*TestView, error) {
	result, err := s.Tester.Test(ctx, opened, rest.Person(ctx), s.NewID(), tell)
	s.used(ctx, "test sent", opened, strings.Join(result.Hosts, " "))
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	v := testView(result)
	outcome := "delivered"
	if !v.Delivered {
		outcome = "failed"
	}
	e := activity.Entry{Object: s.Integrations.Object(opened.System.Name), ObjectID: opened.Of,
		ObjectName: opened.System.Title, Action: activity.Test,
		Changes: []activity.Change{{Field: "outcome", After: outcome}}}
	if opened.Saved != nil {
		e.ObjectName = opened.Saved.Name
	}
	s.Record(ctx, e)
	return &v, nil
}

func testView(r sending.TestResult) TestView {
	v := TestView{Delivered: len(r.Messages) > 0, Messages: []TestMessageView{}}
	for _, m := range r.Messages {
		v.Delivered = v.Delivered && m.Delivered
		v.Messages = append(v.Messages, TestMessageView{
			Summary: m.Summary, Delivered: m.Delivered, Status: m.Status, Reason: m.Reason, Answer: m.Answer,
			TookMS: m.Took.Milliseconds(),
		})
	}
	return v
}
