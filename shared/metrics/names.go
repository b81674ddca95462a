package metrics

// system is the label of what integrations and their deliveries are of.
var system = Label{Name: "system"}

// The causes of an attempt that failed.
const (
	CauseNoAnswer     = "no_answer"     // no name, no connection, no TLS, or nothing in time
	CauseServerError  = "server_error"  // 5xx
	CauseRateLimited  = "rate_limited"  // 429, or the system's own word for it
	CauseUnauthorized = "unauthorized"  // 401, 403
	CauseGone         = "gone"          // what was sent to does not exist any more
	CauseRefused      = "refused"       // another 4xx
	CauseRedirected   = "redirected"    // 3xx: redirects are not followed
	CauseNotConfirmed = "not_confirmed" // 2xx without the words that confirm
	CauseOwn          = "own"           // the system was asked nothing: it waits for something of our own
	CauseDeployment   = "deployment"    // a fault of the deployment: its proxy, its mail server, what it lacks
)

// Why a delivery is dead.
const (
	EndedTries = "tries" // its waits are used up, or no later attempt could do better
	EndedOff   = "off"   // its integration is disabled or gone
)

var cause = Label{"cause", []string{CauseNoAnswer, CauseServerError, CauseRateLimited, CauseUnauthorized, CauseGone,
	CauseRefused, CauseRedirected, CauseNotConfirmed, CauseOwn, CauseDeployment}}

// The states of an integration.
const (
	StateEnabled  = "enabled"
	StateFailing  = "failing"
	StateBroken   = "broken"   // disabled because it kept failing
	StateDisabled = "disabled" // by a person
)

// Places of the pool: what bounds the requests in flight.
const (
	PlacesWorking = "working"
	PlacesFailing = "failing"
	PlacesMail    = "mail"
)

var places = Label{"places", []string{PlacesWorking, PlacesFailing, PlacesMail}}

// The way of an event.
var (
	Accepted = &Metric{Name: "tocsin_events_accepted_total", Kind: Counter, AWS: true,
		Help: "Events that fan-out took for the first time."}
	Repeated = &Metric{Name: "tocsin_events_repeated_total", Kind: Counter, AWS: true,
		Help: "Entries of the bus whose event was known already."}
	Rejected = &Metric{Name: "tocsin_events_rejected_total", Kind: Counter, AWS: true,
		Help: "Entries of the bus that held no valid event; they are kept as dead letters."}
	LeftOut = &Metric{Name: "tocsin_events_left_out_total", Kind: Counter, AWS: true,
		Help: "Events that an integration subscribes to and did not get, by its filters or its quiet hours."}
	Throttled = &Metric{Name: "tocsin_events_throttled_total", Kind: Counter,
		Help: "Entries that were answered ThrottlingException, each time: their tenant publishes more than it may."}
	FannedOut = &Metric{Name: "tocsin_deliveries_created_total", Kind: Counter, Labels: []Label{system}, AWS: true,
		Help: "Deliveries that fan-out made."}
	Delivered = &Metric{Name: "tocsin_deliveries_delivered_total", Kind: Counter, Labels: []Label{system}, AWS: true,
		Help: "Deliveries that arrived."}
	Dead = &Metric{Name: "tocsin_deliveries_dead_total", Kind: Counter, AWS: true,
		Labels: []Label{system, {"reason", []string{EndedTries, EndedOff}}},
		Help:   "Deliveries that ended without arriving: after all tries, or because the integration is off."}
	Attempts = &Metric{Name: "tocsin_attempts_total", Kind: Counter, Labels: []Label{system}, AWS: true,
		Help: "Attempts at deliveries."}
	Failed = &Metric{Name: "tocsin_attempts_failed_total", Kind: Counter, Labels: []Label{system, cause}, AWS: true,
		Help: "Attempts that failed, by cause."}
	AttemptTime = &Metric{Name: "tocsin_attempt_duration_seconds", Kind: Histogram, Unit: "seconds", AWS: true,
		Labels: []Label{system},
		Help:   "How long an attempt took."}
	Latency = &Metric{Name: "tocsin_delivery_latency_seconds", Kind: Histogram, Unit: "seconds", AWS: true,
		Labels: []Label{system},
		Help: "From the arrival of a delivery's oldest event to the answer that confirmed it, with batch windows " +
			"and retries. What was held, and what arrived before and was sent once more, is not in it."}
)

// What waits. It is counted in the background, at most every ten seconds.
var (
	Inbox = &Metric{Name: "tocsin_inbox_events", Kind: Gauge,
		Help: "Events that wait for fan-out."}
	InboxAge = &Metric{Name: "tocsin_inbox_oldest_seconds", Kind: Gauge, Unit: "seconds",
		Help: "How long the oldest of them has waited."}
	Waiting = &Metric{Name: "tocsin_deliveries_waiting", Kind: Gauge, Labels: []Label{system},
		Help: "Deliveries that wait to be sent, or are being sent; without those that are held."}
	Overdue = &Metric{Name: "tocsin_deliveries_overdue_seconds", Kind: Gauge, Unit: "seconds", Labels: []Label{system},
		Help: "How long ago the next request of the delivery that waits longest was due; 0 when none is overdue."}
	Held = &Metric{Name: "tocsin_deliveries_held", Kind: Gauge, Labels: []Label{system},
		Help: "Deliveries that quiet hours, a mute or the minute of a fallback hold."}
	Integrations = &Metric{Name: "tocsin_integrations", Kind: Gauge,
		Labels: []Label{system, {"state", []string{StateEnabled, StateFailing, StateBroken, StateDisabled}}},
		Help:   "Integrations by state; broken: disabled because it kept failing."}
	SampleAge = &Metric{Name: "tocsin_backlog_sample_age_seconds", Kind: Gauge, Unit: "seconds",
		Help: "How old the figures of what waits are; before the first count, how long ago the program began to count."}
	SampleTime = &Metric{Name: "tocsin_backlog_sample_duration_seconds", Kind: Gauge, Unit: "seconds",
		Help: "How long it took to count what waits."}
)

// The machine below.
var (
	Ready = &Metric{Name: "tocsin_ready", Kind: Gauge,
		Help: "1 when /readyz answers that the program is ready, 0 when it is not."}
	Lanes = &Metric{Name: "tocsin_pool_lanes", Kind: Gauge,
		Help: "Lanes that the pool knows: the first attempts, or the retries, of one integration."}
	LanesRunning = &Metric{Name: "tocsin_pool_lanes_running", Kind: Gauge,
		Help: "Lanes that are being sent."}
	InFlight = &Metric{Name: "tocsin_pool_requests_in_flight", Kind: Gauge, Labels: []Label{places},
		Help: "Deliveries that are being sent, by the places that they take."}
	InFlightMost = &Metric{Name: "tocsin_pool_requests_in_flight_limit", Kind: Gauge, Labels: []Label{places},
		Help: "How many may be sent at a time."}
	Outcomes = &Metric{Name: "tocsin_pool_outcomes_waiting", Kind: Gauge,
		Help: "Outcomes of attempts that wait to be written."}
	CommitTime = &Metric{Name: "tocsin_writer_commit_duration_seconds", Kind: Histogram, Unit: "seconds",
		Help: "How long the writer of the state file took for a transaction."}
	CommitGroup = &Metric{Name: "tocsin_writer_group_operations", Kind: Histogram,
		Help: "Operations that shared a transaction."}
	CommitFailed = &Metric{Name: "tocsin_writer_failed_commits_total", Kind: Counter,
		Help: "Transactions that were undone as a whole: a full or broken disk."}
	WriterWaiting = &Metric{Name: "tocsin_writer_operations_waiting", Kind: Gauge,
		Help: "Operations that wait for the writer."}
	ReadersBusy = &Metric{Name: "tocsin_state_readers_busy", Kind: Gauge,
		Help: "Connections that read the state file at the moment."}
	Readers = &Metric{Name: "tocsin_state_readers", Kind: Gauge,
		Help: "Connections that can."}
	StateSize = &Metric{Name: "tocsin_state_file_bytes", Kind: Gauge, Unit: "bytes",
		Help: "Size of the state file."}
	WALSize = &Metric{Name: "tocsin_state_wal_bytes", Kind: Gauge, Unit: "bytes",
		Help: "Size of the state file's write-ahead log."}
	DiskFree = &Metric{Name: "tocsin_state_disk_free_bytes", Kind: Gauge, Unit: "bytes",
		Help: "What is free on the disk of the state file, for this user. Not on Windows."}
	Build = &Metric{Name: "tocsin_build_info", Kind: Gauge,
		Labels: []Label{{Name: "version"}, {Name: "commit"}, {Name: "go_version"}},
		Help:   "Always 1; the labels say which build runs."}
)

// The process, under the names that all programs use.
var (
	CPU = &Metric{Name: "process_cpu_seconds_total", Kind: Counter, Unit: "seconds",
		Help: "Time of the processor that the process used. On Linux."}
	Resident = &Metric{Name: "process_resident_memory_bytes", Kind: Gauge, Unit: "bytes",
		Help: "Memory of the process that is resident. On Linux."}
	OpenFiles = &Metric{Name: "process_open_fds", Kind: Gauge,
		Help: "Files and connections that the process has open. On Linux."}
	MaxFiles = &Metric{Name: "process_max_fds", Kind: Gauge,
		Help: "How many it may have open. On Linux."}
	StartTime = &Metric{Name: "process_start_time_seconds", Kind: Gauge, Unit: "seconds",
		Help: "When the program was started, in seconds since 1970."}
	Goroutines = &Metric{Name: "go_goroutines", Kind: Gauge,
		Help: "Goroutines that exist."}
	Heap = &Metric{Name: "go_memstats_heap_alloc_bytes", Kind: Gauge, Unit: "bytes",
		Help: "Bytes of the heap that are in use."}
	Collections = &Metric{Name: "go_gc_cycles_total", Kind: Counter,
		Help: "Garbage collections."}
)

// All lists every metric, in the order in which they are shown.
func All() []*Metric {
	return []*Metric{
		Accepted, Repeated, Rejected, LeftOut, Throttled, FannedOut, Delivered, Dead, Attempts, Failed,
		AttemptTime, Latency,
		Inbox, InboxAge, Waiting, Overdue, Held, Integrations, SampleAge, SampleTime,
		Ready, Lanes, LanesRunning, InFlight, InFlightMost, Outcomes, CommitTime, CommitGroup, CommitFailed,
		WriterWaiting, ReadersBusy, Readers, StateSize, WALSize, DiskFree, Build,
		CPU, Resident, OpenFiles, MaxFiles, StartTime, Goroutines, Heap, Collections,
	}
}
