// Command schemathesis starts the embedded program, gives it something of everything, and lets Schemathesis call each
// operation of the API's document (scripts/independent/schemathesis/run). Its requests to systems go nowhere, but those
// to a server of our own.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tocsin/scripts/embedded"
	"tocsin/scripts/ports"
)

func main() {
	st := flag.String("st", "st", "the program st")
	binary := flag.String("binary", "bin/tocsin", "the embedded program")
	examples := flag.Int("examples", 40, "cases of each operation and phase")
	within := flag.Duration("within", 10*time.Minute, "what the run may take")
	seed := flag.Int("seed", 42, "of the cases")
	flag.Parse()
	if err := run(*st, *binary, *examples, *seed, *within); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// checks are what an answer must keep to.
const checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance," +
	"response_schema_conformance"

func run(st, binary string, examples, seed int, within time.Duration) error {
	folder, err := os.MkdirTemp("", "schemathesis")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	closed, err := nowhere()
	if err != nil {
		return err
	}
	answering := systems()
	defer answering.Close()
	at := answering.Listener.Addr().String()
	p, err := embedded.Start(binary, folder, "-proxy", closed, "-no-proxy", at, "-allow", at, "-telegram-token",
		"123456:"+strings.Repeat("a", 35), "-telegram-api", answering.URL, "-role", "operator", "-tenant-requests", "0",
		"-token-requests", "0", "-log-level", "error")
	if err != nil {
		return err
	}
	defer p.Kill()
	there, err := fill(p, answering.URL)
	if err != nil {
		return err
	}
	environment, err := there.environment()
	if err != nil {
		return err
	}
	calls := filepath.Join(folder, "calls")
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, st, "run", p.URL+"/openapi.json", "--url", p.URL,
		"--header", "Authorization: Bearer "+there.token, "--phases", "examples,coverage,fuzzing", "--checks", checks,
		"--max-examples", strconv.Itoa(examples), "--seed", strconv.Itoa(seed), "--generation-database", "none",
		"--exclude-operation-id", "put-events", "--exclude-operation-id", "revoke-token",
		// With two, Python 3.11 ends in "AST constructor recursion depth mismatch": it counts the depth of what is
		// parsed for all threads together (github.com/python/cpython/issues/106905).
		"--workers", "1",
		"--request-timeout", "20", "--warnings", "off", "--no-color", "--suppress-health-check", "all",
		"--generation-with-security-parameters", "false")
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), environment...), "SCHEMATHESIS_HOOKS=hooks", "TOCSIN_CALLS="+calls,
		"PYTHONPATH="+mustGetwd()+"/scripts/independent/schemathesis")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the API and its document differ (%w); the program said:\n%s", err, p.Output())
	}
	raw, err := os.ReadFile(calls)
	if err != nil {
		return err
	}
	said, err := judge(string(raw))
	fmt.Println(said)
	return err
}

func mustGetwd() string {
	wd, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return wd
}

// nowhere is a proxy that is not there.
func nowhere() (string, error) {
	port, err := ports.Free()
	return "http://127.0.0.1:" + port, err
}
