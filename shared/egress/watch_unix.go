//go:build unix

package egress

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// watches says that this system tells what has come on a connection that nobody reads.
const watches = true

// watch looks at an idle connection.
type watch struct {
	socket syscall.RawConn
	look   func(uintptr) bool // made once
	silent *bool              // what look saw
}

func newWatch(conn net.Conn) watch {
	silent := new(bool)
	return watch{rawConn(conn), func(socket uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(socket), one[:])
		*silent = errors.Is(err, syscall.EAGAIN)
		return true
	}, silent}
}

// quiet reports whether nothing has come: not its end, and no answer that nobody asked for, such as the 408 that some
// servers send before they close an idle connection.
func (w watch) quiet() bool {
	return w.socket != nil && w.socket.Read(w.look) == nil && *w.silent
}

// rawConn is the socket of a connection; nil when it has none.
func rawConn(conn net.Conn) syscall.RawConn {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}
