package delivery

// Why the events of a delivery are a digest (Delivery.Digest). The words are kept in rows.
const (
	DigestQuiet = "quiet" // they were held until the end of quiet hours
	DigestMute  = "mute"  // they were held until the end of a mute
	DigestGroup = "group" // the integration asks for one message every so many minutes
	DigestStorm = "storm" // there were more in a minute than anybody reads
)

// Messages is how many messages its events are for the system: one where they are a digest. The runs of Parts are
// counted in them.
func (d *Delivery) Messages() int {
	if d.Digest != "" {
		return min(d.Count, 1)
	}
	return d.Count
}
