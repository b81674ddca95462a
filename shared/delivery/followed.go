package delivery

import "slices"

// LastFollowed is what came of the thing at the last attempt that says so, and the last request after each index that
// any attempt at the same thing made of an answer: an attempt goes on where the one before it failed. What is nil was
// not said.
func LastFollowed(attempts []Attempt) (last *Followed, then []Then) {
	for _, a := range attempts {
		f := a.Followed
		if f == nil {
			continue
		}
		if last == nil || f.Reference != last.Reference {
			then = nil
			made := last != nil && last.Made && last.Reference == ""
			last = &Followed{Reference: f.Reference, Made: made, Outdated: true}
		}
		last.Outdated = last.Outdated && f.Outdated
		last.Made = last.Made || f.Made
		for _, t := range f.Then {
			then = slices.DeleteFunc(then, func(o Then) bool { return o.After == t.After })
		}
		then = append(then, f.Then...)
	}
	return last, then
}
