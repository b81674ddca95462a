package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"tocsin/functions/local/commandline"
	"tocsin/shared/ready"
)

// readyWithin is how long the running program has to answer.
const readyWithin = 5 * time.Second

// Ready is the command that asks the running program whether it is ready: for the health check of a container, which
// has no other program in it. It prints why it is not, and ends with 1 then.
func Ready(ctx context.Context, args []string) error {
	f, parse := commandline.Flags("ready")
	at := f.String("listen", "localhost:8080", "address where the program listens")
	certificate := f.String("tls-cert", "", "file of its certificate; given: it speaks https")
	commandline.Page{Summary: "ask the running program whether it is ready, and why it is not",
		Usage:    "usage: tocsin ready [-listen ADDRESS] [-tls-cert FILE]",
		Help:     "It prints ready and ends with 0, or says why not and ends with 1, as a health check wants it.",
		Examples: []string{"tocsin ready", "until tocsin ready; do sleep 1; done"}}.Of(f)
	if err := parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return commandline.Unexpected(f.Arg(0))
	}
	said, err := Ask(ctx, *at, *certificate != "")
	if err != nil {
		return err
	}
	if said.Status != "ready" {
		return errors.New("not ready: " + strings.Join(said.Reasons, "; "))
	}
	fmt.Fprintln(os.Stdout, said.Status)
	return nil
}

// Ask asks the program that listens at an address whether it is ready.
func Ask(ctx context.Context, at string, https bool) (said ready.Answer, err error) {
	address, err := dialled(at)
	if err != nil {
		return said, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true}
	if https {
		scheme = "https"
		// It is asked by its address, which its certificate need not name. Nothing secret is sent or believed.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/readyz", nil)
	if err != nil {
		return said, err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return said, fmt.Errorf("ask the program at %s whether it is ready: %w", address, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil {
		return said, fmt.Errorf("read what the program at %s answers: %w", address, err)
	}
	if json.Unmarshal(body, &said) != nil || said.Status != "ready" && said.Status != "unready" {
		return said, fmt.Errorf("what listens at %s is not Tocsin: it answers %s to /readyz", address, answer.Status)
	}
	return said, nil
}

// dialled is where a program that listens at an address is reached on the same machine.
func dialled(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("-listen %s: %w", listen, err)
	}
	switch ip := net.ParseIP(host); { // an address, since a container may have no file of hosts
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
