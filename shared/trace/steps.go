package trace

// Attributes: those of OpenTelemetry's semantic conventions where there are some, and ours.
const (
	MessageID     = "messaging.message.id"          // an event's
	BatchCount    = "messaging.batch.message_count" // how many events travel together
	OperationType = "messaging.operation.type"      // receive, process or send
	ResponseCode  = "http.response.status_code"
	ResendCount   = "http.request.resend_count" // how many attempts were made before
	ErrorType     = "error.type"

	Tenant      = "tocsin.tenant"
	Refused     = "tocsin.entries.refused" // of a PutEvents call
	EventKind   = "tocsin.event.kind"
	System      = "tocsin.system"
	Integration = "tocsin.integration.id"
	Delivery    = "tocsin.delivery.id"
	State       = "tocsin.delivery.state" // after the attempt
	Digest      = "tocsin.delivery.digest"
	Trigger     = "tocsin.trigger.id"
	LeftOut     = "tocsin.links.left_out" // how many links a span has no room for
)

// Accepted is the span of an event's wait for fan-out; of is that of Tracer.Event.
func Accepted(of Context, tenant, id string) Context { return of.Child("accept", tenant, id) }

// FannedOut is the span of an event's fan-out.
func FannedOut(of Context, tenant, id string) Context { return of.Child("fan-out", tenant, id) }
