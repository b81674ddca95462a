package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tocsin/scripts/bench/load"
	"tocsin/scripts/embedded"
)

// growth publishes so many events, up to a hundred a request, and tells whether the rate, the memory and the file stay
// as they were.
func (b bench) growth(events int) error {
	folder, err := os.MkdirTemp("", "tocsin-growth-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	r, err := load.NewReceiver(events, 1, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := embedded.Start(b.binary, folder, "-allow", r.Host, "-tenant", "bench", "-log-level", "error")
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := load.Create(p, "receiver", "http://"+r.Host+"/hook", 100, ""); err != nil {
		return err
	}
	published := make(chan error, 1)
	go func() { published <- load.PublishFast(p, load.NewEvents(events), make([]time.Time, events)) }()
	minutes := []int64{0}
	var peaks []int64
	begin, tick := time.Now(), time.NewTicker(time.Minute)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case err := <-published:
			if err != nil {
				return err
			}
			published = nil
		case <-r.Done:
			done = true
		case <-tick.C:
			minutes, peaks = append(minutes, r.Count.Load()), append(peaks, load.PeakKiB(p.PID()))
			fmt.Fprintf(os.Stderr, "%d of %d after %s, peak %d MiB\n", r.Count.Load(), events,
				time.Since(begin).Round(time.Second), peaks[len(peaks)-1]/1024)
		}
	}
	if len(peaks) < 2 {
		return errors.New("it took less than two minutes: publish more events")
	}
	size, err := sizeOf(folder)
	if err != nil {
		return err
	}
	last := len(minutes) - 1
	fmt.Printf("growth events=%d first_minute_per_s=%d last_minute_per_s=%d peak_mib_first=%d peak_mib_last=%d "+
		"file_bytes_per_event=%d\n", events, minutes[1]/60, (minutes[last]-minutes[last-1])/60, peaks[0]/1024,
		peaks[len(peaks)-1]/1024, size/int64(events))
	return r.Err()
}

// sizeOf is the size of the files of a folder, in bytes.
func sizeOf(folder string) (size int64, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(folder, e.Name()))
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, err
}
