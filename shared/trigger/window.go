package trigger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"tocsin/shared/trace"
)

// Limits of a state.
const (
	// steps bounds how finely a window is divided, and with it what it keeps: times are kept to the millisecond where
	// the threshold lets fewer events than this into a window, and else to that part of the period, by which a window
	// is then short at the most.
	steps          = 2048
	stepsPerSource = 512
	// MaxState bounds a state in bytes: every batch of events reads and writes it. A trigger that counts by source
	// forgets the source that was quiet longest when there are more than fit: some 700 that send more than 3 payloads
	// at the same time.
	MaxState = 40 << 10
	// MaxLargeState bounds that of a trigger which tells thousands of things apart for each source: two sources with
	// 10,000 payloads each, or more with fewer. DynamoDB takes 400 KB a row.
	MaxLargeState = 300 << 10
	// entryBytes is what an entry with a key takes: 8 of a digest, a number, and the time since the entry before.
	entryBytes = 13
)

// window is a sliding one. It fires when more than `most` entries lie in the span that ends with the newest of them. It
// does not fire again before a whole span has passed.
//
// It keeps the newest most+1 only: with these in the span there are too many, whatever came before. So it is small, and
// exact in whatever order events come, but for those that are older than a span when they come: it leaves them out.
type window struct {
	entries []entry // by time
	sum     int64   // of their n
	spans   int     // of their links, kept ones
	fired   int64   // the time, none = never

	looks int              // for keys
	at    map[uint64]int64 // when entries with keys were; nil = they are looked through
}

// entry is something at a time, in steps: `n` of it, or one that `key` tells from others.
type entry struct {
	at  int64
	n   int64
	key uint64
	by  *trace.Links // the events whose traces are recorded; nil = none
}

const none = -1 << 62

// ruler measures time in steps.
type ruler struct {
	step  time.Duration
	span  int64 // steps
	most  int64
	bytes int // bound of a state
}

// newRuler is that of a threshold. What is told apart is kept thing by thing, up to one more than the threshold, so
// that it needs no steps: it is exact to the millisecond.
func newRuler(th Threshold, rule *ThresholdRule) ruler {
	limit := int64(steps)
	if rule.PerSource {
		limit = stepsPerSource
	}
	period := time.Duration(th.Period) * time.Second
	r := ruler{step: time.Millisecond, most: th.Count, bytes: MaxState}
	if rule.Distinct {
		r.bytes = min(max(MaxState, 2*entryBytes*int(th.Count+1)), MaxLargeState)
	} else if th.Count >= limit {
		r.step = max(r.step, (period+time.Duration(limit)-1)/time.Duration(limit))
	}
	r.span = max(1, int64(period/r.step))
	return r
}

func (r ruler) at(t time.Time) int64 { return t.UnixNano() / int64(r.step) }

func (r ruler) time(at int64) time.Time { return time.Unix(0, at*int64(r.step)).UTC() }

func (w *window) newest() int64 {
	if len(w.entries) == 0 {
		return none
	}
	return w.entries[len(w.entries)-1].at
}

// add counts n at a time, key 0, or something once that key names. changed says whether it matters, fires what follows.
func (w *window) add(r ruler, at, n int64, key uint64) (changed, fires bool) {
	if at <= w.newest()-r.span {
		return false, false // older than the window
	}
	if key != 0 {
		if k := w.find(key); k >= 0 {
			if w.entries[k].at >= at {
				return false, false // the newest of them counts
			}
			w.sum, w.spans = w.sum-w.entries[k].n, w.spans-w.entries[k].links()
			w.entries = slices.Delete(w.entries, k, k+1)
		}
	}
	k := len(w.entries)
	for k > 0 && w.entries[k-1].at > at {
		k--
	}
	if key == 0 && k > 0 && w.entries[k-1].at == at {
		w.entries[k-1].n += n
	} else {
		w.entries = slices.Insert(w.entries, k, entry{at: at, n: n, key: key})
	}
	if w.sum += n; w.at != nil && key != 0 {
		w.at[key] = at
	}
	w.trim(r)
	return true, w.check(r)
}

// An index of the keys is made when so many were looked for among so many entries: to make it takes as long as some
// forty looks.
const indexLooks, indexEntries = 32, 256

// find finds the entry with a key, -1 = there is none.
func (w *window) find(key uint64) int {
	if w.at == nil && len(w.entries) > indexEntries {
		if w.looks++; w.looks > indexLooks {
			w.at = make(map[uint64]int64, len(w.entries)+1)
			for _, e := range w.entries {
				w.at[e.key] = e.at
			}
		}
	}
	if w.at == nil {
		return slices.IndexFunc(w.entries, func(e entry) bool { return e.key == key })
	}
	at, ok := w.at[key]
	if !ok {
		return -1
	}
	k, _ := slices.BinarySearchFunc(w.entries, at, func(e entry, at int64) int { return cmp.Compare(e.at, at) })
	for w.entries[k].key != key {
		k++
	}
	return k
}

func (w *window) total() int64 { return w.sum }

// trim drops what can not matter any more.
func (w *window) trim(r ruler) {
	drop, total := 0, w.sum
	for oldest := w.newest() - r.span; drop < len(w.entries)-1; drop++ {
		e := w.entries[drop]
		if e.at > oldest && total-e.n <= r.most {
			break
		}
		total, w.spans = total-e.n, w.spans-e.links()
		if w.at != nil {
			delete(w.at, e.key)
		}
	}
	w.entries, w.sum = w.entries[drop:], total
}

func (w *window) check(r ruler) bool {
	if w.total() <= r.most || w.fired != none && w.newest() < w.fired+r.span {
		return false
	}
	w.fired = w.newest()
	return true
}

// idle reports whether the window is as good as a new one for whatever may still come, which is newer than now-span.
func (w *window) idle(r ruler, now int64) bool {
	return w.newest() <= now-2*r.span && (w.fired == none || w.fired <= now-2*r.span)
}

// state is the decoded body of a State.
type state struct {
	epoch   int64
	fired   int64 // Unix milliseconds when it fired last, 0 = never; for people
	skipped int64 // the same of when it left an event out
	windows []source
	index   map[uint64]int
	last    int   // the place of the window that was asked for last
	newest  int64 // of all windows
}

// add counts for a source. What is older than the span that ends with the newest of all sources is too late to matter.
func (s *state) add(r ruler, source uint64, at, n int64, key uint64) (changed, fires bool) {
	if s.index == nil {
		s.newest = none
		for _, w := range s.windows {
			s.newest = max(s.newest, w.window.newest())
		}
	}
	if at <= s.newest-r.span {
		return false, false
	}
	w := s.window(source)
	s.newest = max(s.newest, at)
	return w.add(r, at, n, key)
}

// source is the window of an address, or the only one, with the key 0.
type source struct {
	key  uint64
	addr netip.Addr // the zero Addr = it is not known
	window
}

func (s *state) window(key uint64) *window {
	if s.index == nil {
		s.index = make(map[uint64]int, len(s.windows)+1)
		for n, w := range s.windows {
			s.index[w.key] = n
		}
	}
	if s.last < len(s.windows) && s.windows[s.last].key == key {
		return &s.windows[s.last].window
	}
	n, ok := s.index[key]
	if s.last = n; !ok {
		n = len(s.windows)
		s.index[key], s.last = n, n
		s.windows = append(s.windows, source{key: key, window: window{fired: none}})
	}
	return &s.windows[n].window
}

// Formats of a state: the second has the time of skipped after that of fired, the third the address of each source,
// too, after its key: its length in bytes and itself. The fourth has links of entries, and is written where there are
// some.
const stateFormat, stateSkipped, stateAddresses, stateLinks = 1, 2, 3, 4

// encode writes a state whose newest time is now, without what is idle; it forgets sources until the rest fits.
func (s *state) encode(r ruler) []byte {
	now := int64(none)
	for _, w := range s.windows {
		now = max(now, w.window.newest())
	}
	s.windows = slices.DeleteFunc(s.windows, func(w source) bool { return w.idle(r, now) })
	slices.SortFunc(s.windows, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.window.newest(), b.window.newest()), cmp.Compare(a.key, b.key))
	})
	s.index = nil
	room, format := 64, byte(stateAddresses)
	for _, w := range s.windows {
		room += 32 + entryBytes*len(w.entries)
		if w.linked() {
			format = stateLinks
		}
	}
	for {
		b := append(make([]byte, 0, room), format)
		b = binary.AppendVarint(b, s.epoch)
		b = binary.AppendVarint(b, s.fired)
		b = binary.AppendVarint(b, s.skipped)
		for _, w := range s.windows {
			b = w.append(b, format)
		}
		switch {
		case len(b) <= r.bytes:
			return b
		case format == stateLinks: // a state that is full forgets traces before it forgets what counts
			format = stateAddresses
			continue
		case len(s.windows) <= 1:
			return b
		}
		s.windows = s.windows[(len(s.windows)+7)/8:] // those quiet longest
	}
}

func (s source) append(b []byte, format byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, s.key)
	addr := s.addr.AsSlice()
	b = append(append(b, byte(len(addr))), addr...)
	if s.fired == none {
		b = append(b, 0)
	} else {
		b = append(b, 1)
		b = binary.AppendVarint(b, s.fired)
	}
	b = binary.AppendUvarint(b, uint64(len(s.entries)))
	before := int64(0)
	for _, e := range s.entries {
		b = binary.AppendVarint(b, e.at-before)
		before = e.at
		flags, bits := min(e.key, 1), 1
		if format == stateLinks {
			bits = 2
			if e.by != nil {
				flags |= hasLinks
			}
		}
		b = binary.AppendUvarint(b, uint64(e.n)<<bits|flags)
		if e.key != 0 {
			b = binary.LittleEndian.AppendUint64(b, e.key)
		}
		if flags&hasLinks != 0 {
			b = e.by.Append(b)
		}
	}
	return b
}

var errDamaged = errors.New("the state is damaged")

// decode reads what encode wrote; a body of nothing is a state that never counted.
func decode(b []byte) (s state, err error) {
	if len(b) == 0 {
		return s, nil
	}
	d := decoder{b: b}
	format := d.bytes(1)[0]
	if format < stateFormat || format > stateLinks {
		return s, errDamaged
	}
	s.epoch, s.fired = d.varint(), d.varint()
	if format >= stateSkipped {
		s.skipped = d.varint()
	}
	for len(d.b) > 0 && !d.bad {
		w := source{key: d.uint64(), window: window{fired: none}}
		if format >= stateAddresses {
			w.addr, _ = netip.AddrFromSlice(d.bytes(int(d.bytes(1)[0])))
		}
		if d.bytes(1)[0] == 1 {
			w.fired = d.varint()
		}
		count := d.uvarint()
		if count > uint64(len(d.b)) {
			return s, errDamaged
		}
		w.entries = make([]entry, 0, count)
		at := int64(0)
		for range count {
			at += d.varint()
			e := d.entry(at, format)
			w.entries, w.sum, w.spans = append(w.entries, e), w.sum+e.n, w.spans+e.links()
		}
		s.windows = append(s.windows, w)
	}
	if d.bad {
		return state{}, errDamaged
	}
	return s, nil
}

func (d *decoder) entry(at int64, format byte) entry {
	flags := d.uvarint()
	e := entry{at: at, n: int64(flags >> 1)}
	if format == stateLinks {
		e.n = int64(flags >> 2)
	} else {
		flags &= 1
	}
	if flags&1 != 0 {
		e.key = d.uint64()
	}
	if flags&hasLinks != 0 {
		by, rest, ok := trace.ReadLinks(d.b)
		if !ok {
			d.b, d.bad = nil, true
			return e
		}
		d.b, e.by = rest, &by
	}
	return e
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if len(d.b) < n {
		d.b, d.bad = nil, true
		return make([]byte, n)
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}
