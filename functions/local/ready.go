package main

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

// readyCommand asks the running program whether it is ready: for the health check of a container, which has no other
// program in it. It prints why it is not, and ends with 1 then.
func readyCommand(ctx context.Context, args []string) error {
	f, parse := commandline.Flags("ready")
	at := f.String("listen", "localhost:8080", "address where the program listens")
	certificate := f.String("tls-cert", "", "file of its certificate; given: it speaks https")
	if err := parse(args); err != nil {
		return err
	}
	address, err := dialled(*at)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	scheme, transport := "http", &http.Transport{}
	if *certificate != "" {
		scheme = "https"
		// It is asked by its address, which its certificate need not name. Nothing secret is sent or believed.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see above
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return fmt.Errorf("ask the program at %s whether it is ready: %w", address, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("read what the program at %s answers: %w", address, err)
	}
	var said ready.Answer
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("what listens at %s is not Tocsin: it answers %s to /readyz", address, answer.Status)
	}
	if answer.StatusCode != http.StatusOK {
		return errors.New("not ready: " + strings.Join(said.Reasons, "; "))
	}
	fmt.Fprintln(os.Stdout, said.Status)
	return nil
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
