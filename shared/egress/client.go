package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tocsin/shared/destination"
	"tocsin/shared/step"
)

// Limits of an answer, in bytes.
const (
	keptBody   = 4 << 10  // for judging and for the log, unless the request asks for more
	readBody   = 64 << 10 // read so that the connection can serve again; a longer answer closes it
	maxHeaders = 64 << 10
)

// Mailer sends one mail and returns what the mail service answered, whatever that is. The error, a sentence for an
// administrator, is that there was no answer.
type Mailer interface {
	Send(ctx context.Context, m destination.Mail) (destination.Response, error)
}

// Options of a Client.
type Options struct {
	Mailer    Mailer                                                       // nil: mail is not configured
	UserAgent string                                                       // "" = Tocsin/1
	Lookup    func(ctx context.Context, host string) ([]netip.Addr, error) // nil = the system's resolver
	Proxy     *Proxy                                                       // nil: straight to the systems
}

// Client sends requests within a Policy. It is safe for concurrent use.
type Client struct {
	policy  Policy
	options Options

	// For tests; New sets them.
	now                func() time.Time
	pingAfter, pingFor time.Duration
	longest            int64 // see http1

	mu    sync.Mutex
	pools *simplelru.LRU[destination.Transport, *pool] // by setting
	apart *simplelru.LRU[place, *apart]                // the order is that of their making: they are read by Peek
	// By address.
	routes *simplelru.LRU[string, *route]
}

// New makes a Client.
func New(p Policy, o Options) *Client {
	if o.UserAgent == "" {
		o.UserAgent = "Tocsin/1"
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return lookup(ctx, host, net.DefaultResolver.LookupNetIP)
		}
	}
	c := &Client{policy: p, options: o, now: time.Now, pingAfter: pingAfter, pingFor: pingFor,
		longest: maxDirect}
	// The errors are for bounds under 1.
	c.pools, _ = simplelru.NewLRU(maxPools, func(_ destination.Transport, p *pool) { p.close() })
	c.apart, _ = simplelru.NewLRU(maxApart, func(_ place, a *apart) { a.close() })
	c.routes, _ = simplelru.NewLRU[string, *route](maxRoutes, nil)
	return c
}

// Do sends one request and returns the answer, whatever its status. The error is a *Failure, or the context's own
// when that ended.
func (c *Client) Do(ctx context.Context, r destination.Request) (response destination.Response, err error) {
	if r.Mail != nil {
		response, err = c.mail(ctx, *r.Mail)
	} else {
		x, _ := exchanges.Get().(*exchange)
		x.client, x.request, x.caller, x.heard = c, r, ctx, step.Heard(ctx)
		response, err = c.do(x)
		x.close()
	}
	if err != nil {
		tellFailed(ctx, err)
	}
	return response, err
}

func tellFailed(ctx context.Context, err error) {
	var failed *Failure
	if errors.As(err, &failed) {
		step.Failed(ctx, failed.Kind.step())
	}
}

func (c *Client) do(x *exchange) (response destination.Response, err error) {
	if x.at, err = c.route(x.request.URL); err != nil {
		return response, &Failure{Kind: Forbidden, Reason: "the address " + err.Error(), Ours: c.policy.Local}
	}
	at := place{setting: setting(x.request.Transport), host: x.at.url.Host}
	through, err := c.connections(at)
	if err != nil {
		return response, err
	}
	x.open, x.timeout = deadlines(x.request.Transport)
	x.start = time.Now()
	x.end = x.start.Add(x.open + x.timeout)
	if x.request.Once {
		// A connection that had served may be closed by now, so that nobody knows what it carried.
		response, err = x.do(through.once)
	} else {
		response, err = through.kept.exchange(x)
	}
	if err != nil && x.lost(err) {
		response, err = x.do(through.once)
	}
	if (err != nil || response.Broken) && x.late() && (x.reused || x.shared) {
		c.leave(at, through)
	}
	if err == nil && response.Status == http.StatusProxyAuthRequired && x.at.url.Scheme == "http" &&
		c.options.Proxy.leadsTo(x.at.address) {
		err = &proxyError{proxy: c.options.Proxy.address, status: response.Status} // it is the proxy that asks
	}
	if cause := x.caller.Err(); cause != nil && response.Broken {
		return destination.Response{}, cause
	}
	if err != nil {
		return destination.Response{}, x.explain(x.caller, err, at.host)
	}
	return response, nil
}

// route finds or makes what an address says. The error is for an administrator.
func (c *Client) route(address string) (*route, error) {
	c.mu.Lock()
	known, ok := c.routes.Get(address)
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	u, err := c.policy.parse(address)
	if err != nil {
		return nil, err
	}
	made := newRoute(u, c.options.Proxy)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routes.Add(address, made)
	return made, nil
}

func (c *Client) mail(ctx context.Context, m destination.Mail) (destination.Response, error) {
	if c.options.Mailer == nil {
		return destination.Response{}, &Failure{Kind: Mail, Ours: true,
			Reason: "this deployment sends no mail: ask its operator to configure a mail server"}
	}
	answer, err := c.options.Mailer.Send(ctx, m)
	if err != nil {
		if cause := ctx.Err(); cause != nil {
			return destination.Response{}, cause
		}
		return destination.Response{}, &Failure{Kind: Mail, Reason: err.Error()}
	}
	if answer.Status != destination.MailNotSent {
		step.Done(ctx, step.Answered)
	}
	return answer, nil // also when ctx has ended meanwhile: what was taken was taken
}

// The statuses of mails.
const (
	MailAccepted = destination.MailAccepted
	MailNotSent  = destination.MailNotSent
)

func deadlines(t destination.Transport) (open, timeout time.Duration) {
	if open = t.OpenTimeout; open <= 0 {
		open = destination.DefaultOpenTimeout
	}
	if timeout = t.Timeout; timeout <= 0 {
		timeout = destination.DefaultTimeout
	}
	return open, timeout
}
