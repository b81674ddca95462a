// Package stdlog has what libraries write with the standard library's log told by the program's own, and without what
// they quote: net/http writes what a system sends on a connection that is idle, and that can be the request with its
// secrets.
package stdlog

import (
	"bytes"
	"log"
	"log/slog"
	"time"

	"tocsin/shared/logsample"
)

// Take has the standard library's log written to the program's, from now on. Of lines that are alike one a minute is
// written: a system can cause as many as it likes.
func Take(l *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(&writer{log: l})
}

type writer struct {
	log   *slog.Logger
	lines logsample.Sampler
}

// Write takes one line.
func (w *writer) Write(line []byte) (int, error) {
	said := string(Unquoted(line))
	w.lines.Add(w.log, time.Now(), slog.LevelWarn, logsample.Kind{Class: said}, "a library says", "said", said)
	return len(line), nil
}

// Unquoted is a line up to what it quotes, which is what came from outside.
func Unquoted(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if at := bytes.IndexAny(line, "\"'`"); at >= 0 {
		return append(bytes.TrimSpace(line[:at]), " …"...)
	}
	return line
}
