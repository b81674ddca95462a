package metrics

import (
	"math"
	"slices"
)

// The buckets of a Distribution are those of a native histogram (Prometheus, "Native Histograms") with 8 in each power
// of two: neighbours are 9 % apart. They reach from a microsecond to a year, and so have a bounded number.
const (
	schema  = 3
	perTwo  = 1 << schema
	lowest  = -20 // the first bucket begins at 2 to this, a microsecond; what is less counts as nothing
	highest = 25  // the last one ends at 2 to this, 388 days; what is more counts in it
	buckets = (highest - lowest) * perTwo
)

// ends are where the buckets of a power of two end, as parts of it.
var ends = func() (out [perTwo]float64) {
	for n := range out {
		out[n] = math.Exp2(float64(n+1)/perTwo - 1)
	}
	return out
}()

// Distribution counts observations by size. Its zero value is empty.
type Distribution struct {
	Count uint64
	Sum   float64
	zero  uint64
	// by has the buckets from the one numbered first on.
	by    []uint64
	first int
}

// Observe adds one observation; less than nothing is nothing.
func (d *Distribution) Observe(v float64) {
	v = max(0, v)
	d.Count++
	d.Sum += v
	if v <= math.Ldexp(1, lowest) {
		d.zero++
		return
	}
	part, power := math.Frexp(v) // v = part * 2^power, part in [1/2, 1)
	place, _ := slices.BinarySearch(ends[:], part)
	if part == 0.5 { // a bucket holds its end, and not its beginning
		place = -1
	}
	d.add(min((power-1-lowest)*perTwo+place, buckets-1), 1)
}

// add counts in a bucket, numbered from 0.
func (d *Distribution) add(n int, count uint64) {
	switch {
	case len(d.by) == 0:
		d.first = n
	case n < d.first:
		d.by = append(make([]uint64, d.first-n, d.first-n+len(d.by)), d.by...)
		d.first = n
	}
	if missing := n - d.first - len(d.by) + 1; missing > 0 {
		d.by = append(d.by, make([]uint64, missing)...)
	}
	d.by[n-d.first] += count
}

// Merge adds another.
func (d *Distribution) Merge(o Distribution) {
	d.Count += o.Count
	d.Sum += o.Sum
	d.zero += o.zero
	for n, count := range o.by {
		if count > 0 {
			d.add(o.first+n, count)
		}
	}
}

// Clone is a copy that shares nothing.
func (d *Distribution) Clone() Distribution {
	out := *d
	out.by = slices.Clone(d.by)
	return out
}

// The text formats have no native histograms. Their buckets end at powers of two, from about a millisecond to about 18
// hours, where native ones end too: they say the same with less.
const classicFirst, classicLast = -10, 16

// classic has how many observations are at most so long, bucket by bucket.
func (d *Distribution) classic(visit func(end float64, count uint64)) {
	sum, at := d.zero, 0
	for power := classicFirst; power <= classicLast; power++ {
		for ; at < (power-lowest)*perTwo-d.first && at < len(d.by); at++ {
			sum += d.by[at]
		}
		visit(math.Ldexp(1, power), sum)
	}
}

// Each visits the buckets that hold something, with their ends.
func (d *Distribution) Each(visit func(begin, end float64, count uint64)) {
	if d.zero > 0 {
		visit(0, math.Ldexp(1, lowest), d.zero)
	}
	for n, count := range d.by {
		if count > 0 {
			visit(bound(d.first+n), bound(d.first+n+1), count)
		}
	}
}

// bound is where a bucket begins.
func bound(n int) float64 { return math.Exp2(float64(n)/perTwo + lowest) }
