package delivery

import "net/http"

// Mark is what an attempt says of the health of its system.
type Mark int

const (
	// Silent: nothing. It was asked to slow down, or the failures were of single parts.
	Silent Mark = iota
	Well        // it took something
	Ill         // it failed
	// Doubtful: it refused what it was sent for what that held, and took nothing beside. Whether that is a fault of the
	// system's settings or of one bad record, only what else it takes can say: see count.
	Doubtful
)

// Unanswered reports whether the last attempt got no answer at all.
func (d Delivery) Unanswered() bool {
	if len(d.Attempts) == 0 {
		return false
	}
	a := d.Attempts[len(d.Attempts)-1]
	return !a.Delivered && a.Status == 0 && d.Mark != Well // it took a part of it
}

// Spares reports whether the last attempt says that the system may want to be spared.
func (d Delivery) Spares() bool {
	return d.Unanswered() || len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].Status == http.StatusTooManyRequests
}
