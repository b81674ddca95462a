package delivery

import "net/http"

// Unanswered reports whether the last attempt got no answer at all.
func (d Delivery) Unanswered() bool {
	if len(d.Attempts) == 0 {
		return false
	}
	a := d.Attempts[len(d.Attempts)-1]
	return !a.Delivered && a.Status == 0
}

// Spares reports whether the last attempt says that the system may want to be spared.
func (d Delivery) Spares() bool {
	return d.Unanswered() || len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].Status == http.StatusTooManyRequests
}
