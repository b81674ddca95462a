package delivery

import "time"

// Query selects deliveries of one integration.
type Query struct {
	Tenant      string
	Integration string
	States      []State   // none = all
	From, To    time.Time // by CreatedAt, From included, To not; zero = open
	Before      string    // id to go on from, not included
	Limit       int
}

// Replay selects ended deliveries of one integration for sending again.
type Replay struct {
	Tenant      string
	Integration string
	ID          string    // one delivery, or
	From, To    time.Time // a range by CreatedAt, To not included
	States      []State   // Dead, Delivered or both; none = Dead
	After       string    // id to go on from, not included
	Limit       int       // of one call
}
