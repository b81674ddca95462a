package awslocal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Emulator is AWS's own runtime interface emulator (aws-lambda-rie) around a built function: a runtime API that is not
// ours.
type Emulator struct {
	command *exec.Cmd
	url     string
}

// Emulate starts the emulator that scripts/test-aws installed, with the function's own environment.
func (f *Function) Emulate(ctx context.Context, modules string) (*Emulator, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	c := exec.Command(filepath.Join(modules, "bin", "aws-lambda-rie"), "--runtime-interface-emulator-address",
		"127.0.0.1:"+ports[0],
		"--runtime-api-address", "127.0.0.1:"+ports[1], f.Bootstrap)
	c.Dir = filepath.Dir(f.Bootstrap)
	c.Env = append(append([]string{}, f.Env...), "AWS_LAMBDA_FUNCTION_NAME="+filepath.Base(c.Dir),
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_FUNCTION_TIMEOUT="+strconv.Itoa(int(f.Timeout/time.Second)))
	c.Stdout, c.Stderr = f.Log, f.Log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the function is its child, and ends with it
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start aws-lambda-rie (scripts/test-aws installs it): %w", err)
	}
	e := &Emulator{command: c, url: address(ports[0])}
	if err := listening(ctx, e.url); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Invoke calls the function; an error of the function is a *FunctionError.
func (e *Emulator) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/2015-03-31/functions/function/invocations",
		bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(body), `{"errorMessage":`) { // the emulator tells an error by its body alone
		return nil, &FunctionError{string(body)}
	}
	return body, nil
}

// Close ends the emulator and the function in it.
func (e *Emulator) Close() {
	_ = syscall.Kill(-e.command.Process.Pid, syscall.SIGKILL)
	_ = e.command.Wait() // killed: the error says just that
}
