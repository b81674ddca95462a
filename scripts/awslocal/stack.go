package awslocal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"tocsin/shared/bus"
	"tocsin/shared/delivery"
	"tocsin/shared/trace"
)

// Options of a local stack.
type Options struct {
	Root      string // of the repository
	Binaries  string // where Build put the functions
	Allow     string // hosts that integrations may name although they are on loopback
	WaitMS    int    // how long a wait of the state machine lasts here
	Hidden    int    // seconds that a received message is hidden: the template's are minutes
	Log       io.Writer
	BatchSize int // of the events queue; 0 = the template's
	Window    time.Duration
	Env       map[string]string
	// KMS is the key service of another stack; "" = one of its own.
	KMS string
	// Parameters are values of the template's parameters, instead of their defaults.
	Parameters map[string]string
}

// Stack is template.yaml on local servers.
type Stack struct {
	Template  *Template
	DB        *dynamodb.Client
	SQS       *sqs.Client
	Functions map[string]*Function
	Queues    map[string]string // URLs by logical id
	Secrets   map[string]string // ARNs by logical id
	Prefix    string            // of table names

	Dynamo, Sending, Polling, StepFunctions, KMS, Bus, SES, Manager *Gate // Manager keeps secrets

	// Issuer signs the tokens of who calls the API.
	Issuer *Issuer

	// Empty counts the receives of the pollers that brought nothing.
	Empty atomic.Int64

	taskFault atomic.Pointer[func(state string) string]

	options Options
	closers []func()
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// Names of the functions, as in the logical ids.
var Names = []string{"Api", "Fanout", "Deliver", "Retry", "Count", "Report", "Feedback", "Erase"}

// Deploy makes the stack: tables, queues, functions, pollers, the bus with its rules, the state machine.
func Deploy(ctx context.Context, servers *Servers, o Options) (s *Stack, err error) {
	s = &Stack{options: o, Functions: map[string]*Function{}, Queues: map[string]string{}, Secrets: map[string]string{},
		Prefix: "t" + uuid.NewString()[:8] + "-"}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if o.Root, err = filepath.Abs(o.Root); err != nil {
		return s, err
	}
	s.options = o
	if s.Template, err = ReadTemplate(filepath.Join(o.Root, "template.yaml")); err != nil {
		return s, err
	}
	if s.Issuer, err = NewIssuer(); err != nil {
		return s, err
	}
	s.closers = append(s.closers, s.Issuer.Close)
	if err := s.connect(ctx, servers); err != nil {
		return s, err
	}
	if err := s.Template.CreateTables(ctx, s.DB, s.Prefix); err != nil {
		return s, err
	}
	if err := s.createQueues(ctx); err != nil {
		return s, err
	}
	if err := s.createSecrets(ctx, servers); err != nil {
		return s, err
	}
	if err := s.openStepFunctions(ctx, servers); err != nil {
		return s, err
	}
	if err := s.createFunctions(); err != nil {
		return s, err
	}
	return s, s.poll(ctx)
}

func (s *Stack) gate(target string) *Gate {
	g := NewGate(target)
	s.closers = append(s.closers, g.Close)
	return g
}

// functionKeys has the secret that every function is given, see createFunctions.
type functionKeys struct{}

func (functionKeys) Secret(context.Context, string) (name, secret string, err error) {
	return "functions", "local", nil
}

func (s *Stack) connect(ctx context.Context, servers *Servers) error {
	s.Dynamo, s.Sending, s.Polling, s.SES = s.gate(servers.Dynamo), s.gate(servers.SQS), s.gate(servers.SQS),
		s.gate(servers.SES)
	s.Manager = s.gate(servers.Moto)
	keys := s.options.KMS
	if keys == "" {
		kms, err := NewKMS()
		if err != nil {
			return err
		}
		own := httptest.NewServer(kms)
		s.closers = append(s.closers, own.Close)
		keys = own.URL
	}
	events := httptest.NewServer(bus.Handler(bus.Config{
		Store: router{s}, Name: "tocsin", Now: time.Now, NewID: uuid.NewString, Log: slog.New(slog.DiscardHandler),
		Publishers: functionKeys{},
		Tracer:     trace.New(&trace.Config{ParentBased: true}, nil, slog.New(slog.DiscardHandler)),
	}))
	s.closers = append(s.closers, events.Close)
	s.KMS, s.Bus = s.gate(keys), s.gate(events.URL)
	dynamo, err := Config(ctx, s.Dynamo.URL)
	if err != nil {
		return err
	}
	queues, err := Config(ctx, servers.SQS)
	if err != nil {
		return err
	}
	s.DB, s.SQS = dynamodb.NewFromConfig(dynamo), sqs.NewFromConfig(queues)
	return nil
}

// createQueues makes the queues; those that others name as their dead-letter queue first.
func (s *Stack) createQueues(ctx context.Context) error {
	for _, withRedrive := range []bool{false, true} {
		for id, r := range s.Template.Resources {
			redrive := At(r.Properties, "RedrivePolicy")
			if r.Type != "AWS::SQS::Queue" || (redrive != nil) != withRedrive {
				continue
			}
			attributes := map[string]string{"VisibilityTimeout": strconv.Itoa(s.options.Hidden)}
			if redrive != nil {
				arn, err := s.arn(ctx, Target(At(redrive, "deadLetterTargetArn")))
				if err != nil {
					return err
				}
				attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, arn,
					Number(At(redrive, "maxReceiveCount")))
			}
			name := s.Prefix + id
			if At(r.Properties, "FifoQueue") == true {
				name += ".fifo" // as CloudFormation names it
				attributes["FifoQueue"] = "true"
			}
			out, err := s.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
			if err != nil {
				return fmt.Errorf("create the queue %s: %w", id, err)
			}
			s.Queues[id] = *out.QueueUrl
		}
	}
	return nil
}

func (s *Stack) arn(ctx context.Context, id string) (string, error) {
	url := s.Queues[id]
	out, err := s.SQS.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil {
		return "", fmt.Errorf("read the ARN of %s: %w", id, err)
	}
	return out.Attributes["QueueArn"], nil
}

// Depth is how many messages a queue holds, hidden ones included.
func (s *Stack) Depth(ctx context.Context, id string) (int, error) {
	url := s.Queues[id]
	out, err := s.SQS.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		return 0, err
	}
	seen, err := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	hidden, err2 := strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"])
	return seen + hidden, errors.Join(err, err2)
}

// PublicURL is the API's address in the links of mails.
const PublicURL = "https://api.example.com"

// resolve is what a reference of the template stands for here.
func (s *Stack) resolve(v any) string {
	id := Target(v)
	switch s.Template.Resources[id].Type {
	case "AWS::DynamoDB::Table":
		return s.Prefix + id
	case "AWS::SQS::Queue":
		return s.Queues[id]
	case "AWS::Events::EventBus":
		return "tocsin"
	case "AWS::KMS::Key":
		return "arn:aws:kms:" + region + ":000000000000:key/" + id
	case "AWS::SecretsManager::Secret":
		return s.Secrets[id]
	}
	if _, ok := s.Template.Parameters[id]; ok {
		return s.parameter(id)
	}
	if branch := At(v, "Fn::If"); branch != nil {
		n := 2
		if s.holds(Text(At(branch, 0))) {
			n = 1
		}
		if text, ok := At(branch, n).(string); ok {
			return text
		}
		return s.resolve(At(branch, n))
	}
	sub := Text(At(v, "Fn::Sub"))
	switch {
	case strings.HasPrefix(sub, "{"): // JSON with parameters in it
		return parameterName.ReplaceAllStringFunc(sub, func(name string) string {
			return s.parameter(strings.Trim(name, "${}"))
		})
	case strings.HasPrefix(sub, "Tocsin/"):
		return "Tocsin/local"
	case strings.HasSuffix(sub, ":root"):
		return "arn:aws:iam::000000000000:root"
	case strings.Contains(sub, ":stateMachine:"):
		return "arn:aws:states:" + region + ":000000000000:stateMachine:retry"
	case strings.Contains(sub, ".execute-api."):
		return PublicURL
	}
	return id
}

var parameterName = regexp.MustCompile(`\$\{\w+\}`)

// parameter is the value of a parameter here.
func (s *Stack) parameter(name string) string {
	if v, ok := s.options.Parameters[name]; ok {
		return v
	}
	if name == "TokenIssuer" {
		return s.Issuer.URL
	}
	if v := s.Template.Parameters[name].Default; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// holds evaluates a condition of the template, of those that ask whether a parameter is not one text.
func (s *Stack) holds(condition string) bool {
	equal := At(s.Template.Conditions[condition], "Fn::Not", 0, "Fn::Equals")
	name := Target(At(equal, 0))
	if join := At(equal, 0, "Fn::Join", 1); join != nil {
		name = Target(join)
	}
	if name == "" {
		panic("the local stack knows no such condition as " + condition)
	}
	return s.parameter(name) != fmt.Sprint(At(equal, 1))
}

// createSecrets puts the secrets of the template into Secrets Manager, each with what its parameter says or with one
// that is made.
func (s *Stack) createSecrets(ctx context.Context, servers *Servers) error {
	c, err := Config(ctx, servers.Moto)
	if err != nil {
		return err
	}
	manager := secretsmanager.NewFromConfig(c)
	for id, r := range s.Template.Resources {
		if r.Type != "AWS::SecretsManager::Secret" || r.Condition != "" && !s.holds(r.Condition) {
			continue
		}
		value := "made by Secrets Manager"
		if from := At(r.Properties, "SecretString"); from != nil {
			value = s.resolve(from)
		}
		out, err := manager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: awssdk.String(s.Prefix + id),
			SecretString: &value})
		if err != nil {
			return fmt.Errorf("create the secret %s: %w", id, err)
		}
		s.Secrets[id] = *out.ARN
	}
	return nil
}

func (s *Stack) createFunctions() error {
	for _, name := range Names {
		variables, err := s.Template.Environment(name+"Function", s.resolve)
		if err != nil {
			return err
		}
		variables["TOCSIN_ALLOW"] = s.options.Allow
		for k, v := range s.options.Env {
			variables[k] = v
		}
		for k, v := range map[string]string{
			"AWS_REGION": region, "AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": "local",
			"PATH":                      os.Getenv("PATH"),
			"AWS_ENDPOINT_URL_DYNAMODB": s.Dynamo.URL, "AWS_ENDPOINT_URL_SQS": s.Sending.URL,
			"AWS_ENDPOINT_URL_SFN": s.StepFunctions.URL,
			"AWS_ENDPOINT_URL_KMS": s.KMS.URL, "AWS_ENDPOINT_URL_EVENTBRIDGE": s.Bus.URL,
			"AWS_ENDPOINT_URL_SESV2": s.SES.URL, "AWS_ENDPOINT_URL_SECRETS_MANAGER": s.Manager.URL,
		} {
			variables[k] = v
		}
		var env []string
		for k, v := range variables {
			env = append(env, k+"="+v)
		}
		slices.Sort(env)
		f := &Function{
			Bootstrap: filepath.Join(s.options.Binaries, strings.ToLower(name), "bootstrap"), Env: env,
			Log: s.options.Log,
			Timeout: time.Duration(Number(At(s.Template.Resources[name+"Function"].Properties,
				"Timeout"))) * time.Second,
		}
		s.Functions[name] = f
		s.closers = append(s.closers, f.Close)
	}
	return nil
}

// Resume reads the queues of a stack that was deployed with Paused=yes, as another deployment with Paused=no does.
func (s *Stack) Resume(ctx context.Context) error {
	s.options.Parameters["Paused"] = "no"
	return s.poll(ctx)
}

// pollers is how many invocations of a function run at once here.
const pollers = 3

func (s *Stack) poll(ctx context.Context) error {
	// Only the pollers go through this gate: their calls are billed like those of the functions.
	c, err := Config(ctx, s.Polling.URL)
	if err != nil {
		return err
	}
	client := sqs.NewFromConfig(c)
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, name := range Names {
		sources, _ := At(s.Template.Resources[name+"Function"].Properties, "Events").(map[string]any)
		for _, e := range sources {
			if Text(At(e, "Type")) != "SQS" {
				continue
			}
			source := At(e, "Properties")
			if enabled := At(source, "Enabled", "Fn::If"); !s.holds(Text(At(enabled, 0))) {
				continue
			}
			p := &Poller{
				SQS: client, Queue: s.Queues[Target(At(source, "Queue"))], Function: s.Functions[name],
				BatchSize: Number(At(source, "BatchSize")),
				Window:    time.Duration(Number(At(source, "MaximumBatchingWindowInSeconds"))) * time.Second,
				Log:       slog.New(slog.NewJSONHandler(s.options.Log, nil)), Empty: &s.Empty,
			}
			if Target(At(source, "Queue")) == "EventsQueue" && s.options.BatchSize > 0 {
				p.BatchSize, p.Window = s.options.BatchSize, s.options.Window
			}
			for range pollers {
				s.work.Go(func() { p.Run(ctx) })
			}
		}
	}
	return nil
}

// Close ends everything that the stack started.
func (s *Stack) Close() {
	if s.stop != nil {
		s.stop()
	}
	for _, f := range s.Functions {
		f.Close()
	}
	s.work.Wait()
	for _, c := range slices.Backward(s.closers) {
		c()
	}
}

// router is the bus's rules: an entry goes to the queue of each rule whose pattern it matches.
type router struct{ s *Stack }

func (r router) Put(ctx context.Context, entries []delivery.Entry) error {
	for _, rule := range r.s.Template.Resources {
		if rule.Type != "AWS::Events::Rule" || Target(At(rule.Properties, "EventBusName")) == "" {
			continue // another service's events come over the account's own bus
		}
		target := At(rule.Properties, "Targets", 0)
		// by queue; of at most ten entries, as PutEvents takes
		batches := map[string][]types.SendMessageBatchRequestEntry{}
		for n, e := range entries {
			if !Matches(At(rule.Properties, "EventPattern"), e.DetailType, e.Detail) {
				continue
			}
			body, err := json.Marshal(map[string]any{
				"version": "0", "id": uuid.NewString(), "detail-type": e.DetailType, "source": "upstream",
				"account": "000000000000",
				"time":    e.At.UTC().Format(time.RFC3339), "region": region, "resources": []string{},
				"detail": json.RawMessage(e.Detail),
			})
			if err != nil {
				return err
			}
			queue := Target(At(target, "Arn"))
			if At(target, "SqsParameters", "MessageGroupId") == "$.detail.tenant" && !group(e.Detail) {
				queue = Target(At(target, "DeadLetterConfig", "Arn"))
			}
			message := types.SendMessageBatchRequestEntry{Id: awssdk.String(strconv.Itoa(n)),
				MessageBody: awssdk.String(string(body))}
			if header := e.Trace.XRay(); header != "" { // X-Ray, Developer Guide, "Amazon EventBridge and AWS X-Ray"
				message.MessageAttributes = map[string]types.MessageAttributeValue{
					traceHeader: {DataType: awssdk.String("String"), StringValue: &header}}
			}
			batches[queue] = append(batches[queue], message)
		}
		for queue, batch := range batches {
			url := r.s.Queues[queue]
			out, err := r.s.SQS.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: batch})
			if err != nil {
				return err
			}
			if len(out.Failed) > 0 {
				return errors.New("the queue refused " + awssdk.ToString(out.Failed[0].Message))
			}
		}
	}
	return nil
}

// group reports whether SQS takes the event's tenant as a message group (API reference, SendMessage: up to 128 letters,
// digits and punctuation of ASCII). EventBridge hands an event over to the target's dead-letter queue when it does not.
func group(detail []byte) bool {
	var d struct{ Tenant any }
	if err := json.Unmarshal(detail, &d); err != nil {
		return false
	}
	tenant, ok := d.Tenant.(string)
	return ok && tenant != "" && len(tenant) <= 128 &&
		strings.IndexFunc(tenant, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Matches is the part of event patterns that the template uses: for detail-type a list of values, or anything-but such
// a list, and whether the detail has a tenant.
func Matches(pattern any, kind string, detail []byte) bool {
	if exists := At(pattern, "detail", "tenant", 0, "exists"); exists != nil {
		var members map[string]json.RawMessage
		_ = json.Unmarshal(detail, &members) // the bus has checked that it is an object
		tenant, has := members["tenant"]
		// only a leaf exists (EventBridge, "exists matching")
		has = has && !strings.HasPrefix(strings.TrimSpace(string(tenant)), "{")
		if has != exists {
			return false
		}
	}
	list, named := At(pattern, "detail-type").([]any)
	for _, p := range list {
		if Text(p) == kind {
			return true
		}
		if not, ok := At(p, "anything-but").([]any); ok && !slices.Contains(not, any(kind)) {
			return true
		}
	}
	return !named
}

// openStepFunctions starts the interpreter with the definition of the template, and answers its tasks.
func (s *Stack) openStepFunctions(ctx context.Context, servers *Servers) error {
	definition, err := s.Template.Definition(s.options.Root, map[string]string{
		"RetryFunctionArn": "arn:aws:lambda:" + region + ":000000000000:function:retry", "Partition": "aws",
		"DeadLetterQueueUrl": s.Queues["RetryDeadLetters"],
	})
	if err != nil {
		return err
	}
	tasks := httptest.NewServer(http.HandlerFunc(s.task))
	s.closers = append(s.closers, tasks.Close)
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "tocsin-retry-*.json")
	if err != nil {
		return err
	}
	_, err = file.WriteString(definition)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	c := exec.Command(servers.Node(), filepath.Join(s.options.Root, "scripts", "awslocal", "stepfunctions.mjs"),
		file.Name(), ports[0], tasks.URL, strconv.Itoa(s.options.WaitMS))
	c.Dir, c.Stdout, c.Stderr = servers.Modules, s.options.Log, s.options.Log
	if err := c.Start(); err != nil {
		return fmt.Errorf("start the interpreter: %w", err)
	}
	s.closers = append(s.closers, func() {
		_ = c.Process.Kill()
		_ = c.Wait() // killed: the error says just that
		_ = os.Remove(file.Name())
	})
	s.StepFunctions = s.gate(address(ports[0]))
	return listening(ctx, address(ports[0]))
}

// Definition is the state machine with its substitutions.
func (t *Template) Definition(root string, substitutions map[string]string) (string, error) {
	for _, r := range t.Resources {
		if r.Type != "AWS::Serverless::StateMachine" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(root, Text(At(r.Properties, "DefinitionUri"))))
		if err != nil {
			return "", err
		}
		wanted, _ := At(r.Properties, "DefinitionSubstitutions").(map[string]any)
		text := string(raw)
		for name := range wanted {
			text = strings.ReplaceAll(text, "${"+name+"}", substitutions[name])
		}
		if strings.Contains(text, "${") {
			return "", errors.New("the definition has a substitution that the template does not make")
		}
		return text, nil
	}
	return "", errors.New("the template has no state machine")
}

// task does what a Task state of the definition does.
func (s *Stack) task(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	state, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	var answer []byte
	if fault := s.taskFault.Load(); fault != nil && err == nil {
		if name := (*fault)(state); name != "" {
			err = &FunctionError{`{"errorType":"` + name + `"}`}
		}
	}
	switch {
	case err != nil:
	case state == "Attempt":
		answer, err = s.Functions["Retry"].Invoke(r.Context(), body)
	case state == "Dead letter":
		var in struct {
			QueueURL    string `json:"QueueUrl"`
			MessageBody json.RawMessage
		}
		if err = json.Unmarshal(body, &in); err == nil {
			_, err = s.SQS.SendMessage(r.Context(),
				&sqs.SendMessageInput{QueueUrl: &in.QueueURL, MessageBody: awssdk.String(string(in.MessageBody))})
			answer = []byte(`{}`)
		}
	default:
		err = errors.New("no such state: " + state)
	}
	if err != nil {
		w.Header().Set("X-Error-Type", errorType(err))
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

// errorType is the name of a task's error, as Step Functions gives it (developer guide, "Handling errors").
func errorType(err error) string {
	var failed *FunctionError
	var said struct{ ErrorType string }
	if errors.As(err, &failed) && json.Unmarshal([]byte(failed.Payload), &said) == nil && said.ErrorType != "" {
		return said.ErrorType
	}
	return "Lambda.Unknown"
}

// TaskFaults sets what makes tasks of the state machine fail before they begin: the name of the error, "" for none. nil
// = nothing.
func (s *Stack) TaskFaults(fault func(state string) string) {
	if fault == nil {
		s.taskFault.Store(nil)
		return
	}
	s.taskFault.Store(&fault)
}

// Execution is one that the interpreter ran.
type Execution struct {
	Name        string
	Status      string
	Waits       []int // seconds
	Transitions int
	Error       string
}

// Executions lists those so far.
func (s *Stack) Executions(ctx context.Context) ([]Execution, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.StepFunctions.target+"/", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var out []Execution
	return out, json.NewDecoder(answer.Body).Decode(&out)
}
