package db

import (
	"context"
	"os"
	"path/filepath"

	"tocsin/shared/metrics"
)

// Collect tells what the writer did, what the readers are at, and how large the file is.
func (f *File) Collect(_ context.Context, g *metrics.Gathering) {
	f.writer.counted.Lock()
	counts := f.writer.counts
	counts.Took, counts.Group = counts.Took.Clone(), counts.Group.Clone()
	f.writer.counted.Unlock()
	g.Distribution(metrics.CommitTime, counts.Took)
	g.Distribution(metrics.CommitGroup, counts.Group)
	g.Set(metrics.CommitFailed, float64(counts.Failed))
	g.Set(metrics.WriterWaiting, float64(len(f.writer.ops)))
	g.Set(metrics.Readers, poolSize)
	g.Set(metrics.ReadersBusy, float64(poolSize-len(f.readers)))
	if info, err := os.Stat(f.path); err == nil {
		g.Set(metrics.StateSize, float64(info.Size()))
	}
	wal := 0.0 // there is none until something is written
	if info, err := os.Stat(f.path + "-wal"); err == nil {
		wal = float64(info.Size())
	}
	g.Set(metrics.WALSize, wal)
	if free, ok := f.diskFree(filepath.Dir(f.path)); ok {
		g.Set(metrics.DiskFree, float64(free))
	}
}
