package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"tocsin/shared/ready"
	"tocsin/shared/version"
)

// ahead is how far a file's time may be before now: file systems of other machines have clocks of their own.
const ahead = time.Minute

// buildTime is when this program's commit was made; zero where that is not known.
func buildTime() time.Time {
	at, err := time.Parse(time.RFC3339, version.Read().At)
	if err != nil {
		return time.Time{}
	}
	return at
}

// clock compares the clock with what is known here: this program was made before now, and the state was written before.
func (d *Doctor) clock(ctx context.Context) []Finding {
	const name, mend = "clock", "set the clock, and have it kept by NTP (timedatectl set-ntp true)"
	now := d.now()
	if err := ready.Clock(d.now).Probe(ctx); err != nil {
		return found(name, Fault, fmt.Sprintf("%s: it says %s", err, now.Format(time.RFC3339)), mend)
	}
	if now.Before(d.built) {
		return found(name, Fault, fmt.Sprintf("the clock says %s, and this program was made at %s", now.Format(
			time.RFC3339), d.built.Format(time.RFC3339)), mend)
	}
	for _, path := range []string{d.State, d.State + "-wal", d.Key} {
		if info, err := os.Stat(path); err == nil && info.ModTime().Sub(now) > ahead {
			return found(name, Fault, fmt.Sprintf("the clock is %s behind: %s was written at %s",
				info.ModTime().Sub(now).Round(time.Second), path, info.ModTime().Format(time.RFC3339)), mend)
		}
	}
	says := "the clock says " + now.UTC().Format(time.RFC3339)
	switch synced, err := d.synced(); {
	case err != nil:
		return found(name, OK, says+"; whether it is kept by NTP is not known", "")
	case !synced:
		return found(name, OK, says+"; the system does not say that NTP keeps it (a container's host may)", "")
	}
	return found(name, OK, says+", and is kept by others", "")
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func resolve(ctx context.Context, host string) error {
	_, err := net.DefaultResolver.LookupHost(ctx, host)
	return err
}
