package trace

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"
)

// Config says where spans go and which traces are recorded.
type Config struct {
	Endpoint string            // of OTLP over HTTP, with its path
	Headers  map[string]string // of each request, such as an API key
	Timeout  time.Duration     // of a request
	Every    time.Duration     // how often what waits is sent
	// Ratio of the traces that begin here, or that nobody decided about, which are recorded.
	Ratio float64
	// ParentBased: who began a trace decides about it.
	ParentBased bool
	Resource    []Attribute // what all spans are of
	// Warning is of a variable whose value is not used; "" = none.
	Warning string
}

// defaultRatio is one in a hundred: OpenTelemetry's own default, all, is much where a thousand events come in a second.
const defaultRatio = 0.01

// FromEnvironment reads the variables that OpenTelemetry names (its specification, "Environment Variable Specification"
// and "OpenTelemetry Protocol Exporter"). It returns nil without an endpoint: then nothing is recorded. service is the
// name of this program, more is what its spans have besides.
func FromEnvironment(getenv func(string) string, service string, more ...Attribute) (*Config, error) {
	e := environment{get: getenv}
	c := &Config{Timeout: e.milliseconds("TIMEOUT", 10*time.Second), Every: 5 * time.Second, Headers: e.headers()}
	switch disabled := getenv("OTEL_SDK_DISABLED"); {
	case strings.EqualFold(disabled, "true"):
		return nil, nil
	case disabled != "" && !strings.EqualFold(disabled, "false"):
		c.Warning = fmt.Sprintf("OTEL_SDK_DISABLED is %q, which is taken for false: only true turns traces off",
			disabled)
	}
	if !e.endpoint(c) {
		return nil, nil
	}
	switch exporter := getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return nil, nil
	default:
		e.fail("OTEL_TRACES_EXPORTER", "is %q: only otlp and none are there", exporter)
	}
	if variable, protocol := e.traces("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		e.fail(variable, "is %q: only http/protobuf is there", protocol)
	}
	e.sampler(c)
	if ms := getenv("OTEL_BSP_SCHEDULE_DELAY"); ms != "" {
		c.Every = e.duration("OTEL_BSP_SCHEDULE_DELAY", ms)
	}
	c.Resource = e.resource(service, more)
	if e.err != nil {
		return nil, e.err
	}
	return c, nil
}

type environment struct {
	get func(string) string
	err error
}

func (e *environment) fail(name, format string, args ...any) {
	e.err = errors.Join(e.err, errors.New(name+" "+fmt.Sprintf(format, args...)))
}

// traces is a variable of the exporter: that of traces, or else that of all signals.
func (e *environment) traces(name string) (variable, value string) {
	for _, variable = range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value = e.get(variable); value != "" {
			break
		}
	}
	return variable, value
}

// endpoint reads where the receiver is, if anywhere. That of all signals is completed with the path of traces.
func (e *environment) endpoint(c *Config) bool {
	variable, value := e.traces("ENDPOINT")
	if value == "" {
		return false
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		e.fail(variable, "must be an http or https address, such as http://localhost:4318")
		return true
	}
	if e.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		u = u.JoinPath("v1/traces")
	}
	c.Endpoint = u.String()
	return true
}

func (e *environment) milliseconds(name string, otherwise time.Duration) time.Duration {
	if variable, v := e.traces(name); v != "" {
		return e.duration(variable, v)
	}
	return otherwise
}

func (e *environment) duration(name, v string) time.Duration {
	ms, err := strconv.Atoi(v)
	if err != nil || ms <= 0 || ms > 3600_000 {
		e.fail(name, "must be a number of milliseconds, from 1 to 3600000")
	}
	return time.Duration(ms) * time.Millisecond
}

// sampler reads which traces are recorded.
func (e *environment) sampler(c *Config) {
	name := cmp.Or(e.get("OTEL_TRACES_SAMPLER"), "parentbased_traceidratio")
	kind, based := strings.CutPrefix(name, "parentbased_")
	c.ParentBased = based
	switch kind {
	case "always_on":
		c.Ratio = 1
	case "always_off":
		c.Ratio = 0
	case "traceidratio":
		c.Ratio = defaultRatio
		if v := e.get("OTEL_TRACES_SAMPLER_ARG"); v != "" {
			ratio, err := strconv.ParseFloat(v, 64)
			if err != nil || !(ratio >= 0 && ratio <= 1) {
				e.fail("OTEL_TRACES_SAMPLER_ARG", "must be a ratio from 0 to 1, such as 0.01")
				return
			}
			c.Ratio = ratio
		}
	default:
		e.fail("OTEL_TRACES_SAMPLER", "is %q: there are always_on, always_off and traceidratio, each also with "+
			"parentbased_ before it", name)
	}
}

// list reads names with values, as W3C's Baggage writes them: name=value, parted by commas, percent-encoded. Nothing of
// a value is in the error: it can be a secret.
func (e *environment) list(variable, text string) (names, values []string) {
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		value, err := url.PathUnescape(value)
		if !ok || err != nil || name == "" {
			e.fail(variable, "must be name=value, several parted by commas, percent-encoded")
			return nil, nil
		}
		names, values = append(names, name), append(values, value)
	}
	return names, values
}

func (e *environment) headers() map[string]string {
	variable, list := e.traces("HEADERS")
	names, values := e.list(variable, list)
	out := make(map[string]string, len(names))
	for n, name := range names {
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			e.fail(variable, "names a header with a character that no header's name has: header %d of %d", n+1,
				len(names))
		case !httpguts.ValidHeaderFieldValue(values[n]):
			e.fail(variable, "gives the header %s a value with a control character", name)
		}
		out[name] = values[n]
	}
	return out
}

// resource reads what all spans are of. OTLP's texts are UTF-8 (protocol buffers, "Scalar Value Types"): a receiver
// refuses every span of a resource with another.
func (e *environment) resource(service string, more []Attribute) []Attribute {
	const variable = "OTEL_RESOURCE_ATTRIBUTES"
	if named := e.get("OTEL_SERVICE_NAME"); !utf8.ValidString(named) {
		e.fail("OTEL_SERVICE_NAME", "is %q, which is not UTF-8", named)
	}
	all := []Attribute{{"service.name", cmp.Or(e.get("OTEL_SERVICE_NAME"), service)}}
	set := map[string]bool{}
	names, values := e.list(variable, e.get(variable))
	for n, name := range names {
		if !utf8.ValidString(name) {
			e.fail(variable, "names the attribute %q, which is not UTF-8", name)
		}
		if !utf8.ValidString(values[n]) {
			e.fail(variable, "gives the attribute %q a value that is not UTF-8", name)
		}
		if name == "service.name" {
			if e.get("OTEL_SERVICE_NAME") == "" {
				all[0].Value = values[n]
			}
			continue
		}
		set[name] = true
		all = append(all, Attribute{name, values[n]})
	}
	for _, a := range more {
		if !set[a.Name] {
			all = append(all, a)
		}
	}
	return append(all, Attribute{"telemetry.sdk.name", "tocsin"}, Attribute{"telemetry.sdk.language", "go"})
}

// New makes a Tracer that sends by the client; nil where there is no configuration. Run or Flush has it send.
func New(c *Config, client *http.Client, log *slog.Logger) *Tracer {
	if c == nil {
		return nil
	}
	if c.Warning != "" {
		log.Warn(c.Warning)
	}
	return &Tracer{config: *c, client: client, log: log, full: make(chan struct{}, 1)}
}
