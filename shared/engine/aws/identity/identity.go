// Package identity is the deployment's own identity at AWS, with which it assumes the roles of customers: on AWS that
// of the function's role, on one machine what the SDK's default chain finds there (variables, shared files, SSO, a
// container's or a machine's role).
package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"tocsin/shared/destination/s3"
)

// Of is the identity of a configuration whose account is known.
type Of struct {
	In          s3.Account
	Credentials awssdk.CredentialsProvider
}

// Account is the one given.
func (o *Of) Account() (s3.Account, bool) { return o.In, true }

// Prepare does nothing.
func (*Of) Prepare(context.Context) {}

// Keys are those that are good now.
func (o *Of) Keys(ctx context.Context) (s3.Keys, error) { return keys(ctx, o.Credentials) }

func keys(ctx context.Context, from awssdk.CredentialsProvider) (s3.Keys, error) {
	c, err := from.Retrieve(ctx)
	return s3.Keys{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Session: c.SessionToken}, err
}

// How long a look takes at most, how long Prepare waits for one, and how long what it found is taken as it is. A
// machine that is none of AWS's has no metadata service: its look ends after a second or two.
const (
	lookFor   = 8 * time.Second
	waitFor   = 2 * time.Second
	foundFor  = time.Hour
	noneFor   = time.Minute
	otherwise = "us-east-1" // the region of STS where the configuration names none
)

// ErrNone: there are no credentials of AWS here.
var ErrNone = errors.New("no AWS credentials were found")

// Found is what the SDK's default chain finds. Only Prepare and Keys have it looked for: when somebody opens the
// Console, or a role is to be assumed. An old answer stands while a new one is looked for. It is safe for concurrent
// use.
type Found struct {
	Load func(context.Context) (awssdk.Config, error) // reads the configuration
	STS  []func(*sts.Options)                         // for the one call that is made: who am I
	Now  func() time.Time
	Log  *slog.Logger

	mu      sync.Mutex
	state   state
	looking chan struct{} // closed when the look that is on its way ends; nil = there is none
}

// state is what a look came to.
type state struct {
	at      time.Time // when it began; zero: nobody has looked
	account s3.Account
	from    awssdk.CredentialsProvider
}

func (s state) known() bool { return !s.at.IsZero() }

func (s state) old(now time.Time) bool {
	good := noneFor
	if s.account.ID != "" {
		good = foundFor
	}
	return !s.known() || now.Sub(s.at) >= good || now.Before(s.at)
}

// Proxy is the way of a request, as http.Transport has it; nil = directly.
type Proxy func(*http.Request) (*url.URL, error)

// Default reads what the SDK reads by default. Where it has to ask for credentials it goes by the proxy, not by one of
// the environment.
func Default(log *slog.Logger, proxy Proxy) func(ctx context.Context) (awssdk.Config, error) {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = proxy })
	return func(ctx context.Context) (awssdk.Config, error) {
		return config.LoadDefaultConfig(ctx, config.WithLogger(Logger(log)), config.WithHTTPClient(client))
	}
}

// Logger takes what the SDK has to tell, as debug. Without one the SDK writes lines of its own form to standard error.
func Logger(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(class logging.Classification, format string, of ...any) {
		log.Debug("the AWS SDK says", "class", string(class), "what", fmt.Sprintf(format, of...))
	})
}

// Account is what the last look found. It begins none: it is asked at every start, and for every event.
func (f *Found) Account() (s3.Account, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state.account, f.state.known()
}

// Prepare looks when the last look is long ago, and waits for it while there is no account.
func (f *Found) Prepare(ctx context.Context) {
	now, done := f.look()
	if now.account.ID != "" || done == nil {
		return
	}
	wait := time.NewTimer(waitFor)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// Keys are good ones now. Error: ErrNone, or why those that there are could not be had.
func (f *Found) Keys(ctx context.Context) (s3.Keys, error) {
	now, done := f.look()
	if now.account.ID == "" && done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return s3.Keys{}, ctx.Err()
		}
		now, _ = f.look()
	}
	if now.account.ID == "" {
		return s3.Keys{}, ErrNone
	}
	return keys(ctx, now.from)
}

// look returns what is known, and begins to look when that is old. done is closed when a look that is on its way ends.
func (f *Found) look() (now state, done <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if began := f.Now(); f.looking == nil && f.state.old(began) {
		end := make(chan struct{})
		f.looking = end
		go func() {
			defer close(end)
			ctx, cancel := context.WithTimeout(context.Background(), lookFor)
			defer cancel()
			found, err := f.find(ctx)
			f.note(began, found, err)
		}()
	}
	return f.state, f.looking
}

// find asks the chain for credentials, and STS whose they are.
func (f *Found) find(ctx context.Context) (state, error) {
	c, err := f.Load(ctx)
	if err != nil || c.Credentials == nil {
		return state{}, err
	}
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return state{}, nil //nolint:nilerr // that there are none is no error here
	}
	if c.Region == "" {
		c.Region = otherwise
	}
	who, err := sts.NewFromConfig(c, f.STS...).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return state{}, err
	}
	a, err := arn.Parse(awssdk.ToString(who.Arn))
	if err != nil {
		return state{}, err
	}
	return state{account: s3.Account{ID: awssdk.ToString(who.Account), Partition: a.Partition}, from: c.Credentials},
		nil
}

// note takes in what a look came to. When STS could not be asked, what was known before stands.
func (f *Found) note(began time.Time, found state, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looking = nil
	var refused smithy.APIError
	if err != nil && !errors.As(err, &refused) && f.state.account.ID != "" {
		found = f.state
	}
	if found.account != f.state.account || err != nil && !f.state.known() {
		f.say(found, err)
	}
	found.at = began
	f.state = found
}

func (f *Found) say(found state, err error) {
	switch {
	case err != nil:
		f.Log.Warn("AWS credentials can not be used: roles of customers (Amazon S3) can not be assumed", "error",
			err.Error())
	case found.account.ID != "":
		f.Log.Info("AWS credentials were found: roles of customers (Amazon S3) can be assumed", "account",
			found.account.ID)
	default:
		f.Log.Warn("there are no AWS credentials any more: roles of customers (Amazon S3) can not be assumed")
	}
}
