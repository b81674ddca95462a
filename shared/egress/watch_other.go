//go:build !unix

package egress

import "net"

// watches: see watch_unix.go. Here an http.Transport carries every request.
const watches = false

type watch struct{}

func newWatch(net.Conn) watch { return watch{} }

func (watch) quiet() bool { return false }
