// Package ports finds ports of 127.0.0.1 for programs that can not be told to take any free one.
package ports

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The system gives ports above them to outgoing connections and to whoever asks for any (Linux: from 32768): such a one
// may be another program's before the program that it was found for listens. Zabbix takes none above 32767.
const lowest, highest = 10000, 32000

var given sync.Map // by port: whoever got it may not listen yet

// Free is a port that nothing uses, for TCP and UDP. This process gets it once.
func Free() (string, error) {
	for range 100 {
		port := strconv.Itoa(lowest + rand.IntN(highest-lowest))
		if _, twice := given.LoadOrStore(port, true); !twice && unused(port) {
			return port, nil
		}
	}
	return "", errors.New("of 100 ports of 127.0.0.1 between 10000 and 32000 none is free for TCP and UDP")
}

func unused(port string) bool {
	at := net.JoinHostPort("127.0.0.1", port)
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return false
	}
	packets, err := net.ListenPacket("udp", at)
	if err != nil {
		_ = listener.Close()
		return false
	}
	return errors.Join(listener.Close(), packets.Close()) == nil
}
