package stack

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/sync/errgroup"

	"tocsin/shared/engine/aws/keys"
)

// Handler does one invocation.
type Handler[In, Out any] = func(context.Context, In) (Out, error)

// Start serves invocations with the handler that build makes of the environment. It reads the function's secrets before
// the first, and again when they are older than secretsGood: a value that was rotated makes a new handler.
func Start[In, Out any](build func(*Stack) Handler[In, Out]) {
	f := &function[In, Out]{build: build, getenv: os.Getenv, now: time.Now}
	if err := f.open(context.Background()); err != nil {
		fail(err)
	}
	lambda.Start(f.handle)
}

// secretsGood is how long values of secrets are used before they are read again, and secretsAgain how long after a
// reading that failed the next is tried.
const secretsGood, secretsAgain = 5 * time.Minute, time.Minute

type function[In, Out any] struct {
	build  func(*Stack) Handler[In, Out]
	getenv func(string) string
	now    func() time.Time

	mu    sync.Mutex
	stack *Stack
	serve Handler[In, Out]
	stale time.Time // when the secrets are to be read again
}

func (f *function[In, Out]) open(ctx context.Context) error {
	s, err := Open(ctx, f.getenv)
	if err != nil {
		return err
	}
	values, err := s.readSecrets(ctx)
	if err != nil {
		return err
	}
	return f.use(s, values)
}

// use makes the handler.
func (f *function[In, Out]) use(s *Stack, values secretValues) error {
	if err := s.give(values); err != nil {
		return err
	}
	serve := f.build(s)
	if err := s.Check(); err != nil {
		return err
	}
	f.stack, f.serve, f.stale = s, serve, f.now().Add(secretsGood)
	return nil
}

func (f *function[In, Out]) handle(ctx context.Context, in In) (Out, error) {
	serve, s := f.current(ctx)
	defer s.flush(ctx)
	return serve(ctx, in)
}

// current is the handler with secrets that are not stale, and the stack that it is of. One that can not be read or used
// leaves what is in use: the function works on with what it has.
func (f *function[In, Out]) current(ctx context.Context) (Handler[In, Out], *Stack) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if now.Before(f.stale) {
		return f.serve, f.stack
	}
	f.stale = now.Add(secretsGood)
	values, err := f.stack.readSecrets(ctx)
	if err == nil && !reflect.DeepEqual(values, f.stack.secrets) {
		var s *Stack
		if s, err = Open(ctx, f.getenv); err == nil {
			err = f.use(s, values)
		}
	}
	if err != nil {
		f.stale = now.Add(secretsAgain)
		f.stack.Log.Error("take up new secrets: those in use stay", "error", err.Error())
	}
	return f.serve, f.stack
}

// secretValues are the function's secrets; those that the template does not give it are empty.
type secretValues struct {
	telegram    string
	proxy       string
	signIn      string   // JSON of signIn
	unsubscribe []string // the newest signs
	traces      string   // headers of requests to the receiver of spans
}

// readSecrets reads all at once. A function that is given none makes no call.
func (s *Stack) readSecrets(ctx context.Context) (secretValues, error) {
	manager := keys.Secrets{Manager: secretsmanager.NewFromConfig(s.sdk)}
	var v secretValues
	calls, ctx := errgroup.WithContext(ctx)
	for variable, into := range map[string]*string{"TOCSIN_SECRET_TELEGRAM": &v.telegram,
		"TOCSIN_SECRET_PROXY": &v.proxy, "TOCSIN_SECRET_SIGN_IN": &v.signIn} {
		if id := s.env.get(variable); id != "" {
			calls.Go(func() (err error) {
				*into, err = manager.Current(ctx, id)
				return err
			})
		}
	}
	if id := s.env.get("TOCSIN_SECRET_UNSUBSCRIBE"); id != "" {
		calls.Go(func() (err error) {
			v.unsubscribe, err = manager.Versions(ctx, id)
			return err
		})
	}
	if id := s.env.get("TOCSIN_SECRET_TRACES"); id != "" {
		calls.Go(func() error {
			v.traces = s.readHeaders(ctx, manager, id)
			return nil
		})
	}
	err := calls.Wait()
	return v, err
}

// fail ends a function that can not start; Lambda reports it.
func fail(err error) {
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Error("the function can not start", "error", err.Error())
	os.Exit(1)
}
