package httpserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"runtime"
	"syscall"
)

// Refusal is why an address can not be listened at.
type Refusal int

// Refusals.
const (
	Other      Refusal = iota
	InUse              // of another process
	NotAllowed         // a port below 1024, to who is not root
	NotHere            // no address of this machine
)

// RefusalOf is what the error of net.Listen means.
func RefusalOf(err error) Refusal {
	var name *net.DNSError
	var named *net.OpError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return NotAllowed
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &name):
		return NotHere
	case errors.Is(err, syscall.EADDRINUSE), runtime.GOOS == "windows" && errors.As(err, &named):
		return InUse // Windows has numbers of its own, which Go does not translate
	}
	return Other
}

// Listen listens at an address, host:port, that a flag of the command line names. The error says what to do.
func Listen(at, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", at)
	if err == nil {
		return l, nil
	}
	switch RefusalOf(err) {
	case InUse:
		return nil, fmt.Errorf("listen on %s: %w: stop what uses the port, or choose another with -%s", at, err, flag)
	case NotAllowed:
		return nil, fmt.Errorf("listen on %s: %w: choose a port from 1024 on with -%s, or give the program the right "+
			"to use a lower one (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE)", at, err, flag)
	case NotHere:
		return nil, fmt.Errorf("listen on %s: %w: this machine has no such address: name one of its own with -%s", at,
			err, flag)
	}
	return nil, fmt.Errorf("listen on %s: %w: name another address with -%s", at, err, flag)
}
