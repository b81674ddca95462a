// Command schemathesis starts the embedded program, gives it something of everything, and lets Schemathesis call each
// operation of the API's document (scripts/independent/schemathesis/run). Its requests to systems go nowhere.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"tocsin/scripts/embedded"
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
	p, err := embedded.Start(binary, folder, "-proxy", closed, "-tenant-requests", "0", "-token-requests", "0",
		"-log-level", "error")
	if err != nil {
		return err
	}
	defer p.Kill()
	token, seeds, bodies, err := fill(p)
	if err != nil {
		return err
	}
	calls := filepath.Join(folder, "calls")
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, st, "run", p.URL+"/openapi.json", "--url", p.URL,
		"--header", "Authorization: Bearer "+token, "--phases", "examples,coverage,fuzzing", "--checks", checks,
		"--max-examples", strconv.Itoa(examples), "--seed", strconv.Itoa(seed), "--generation-database", "none",
		"--exclude-operation-id", "put-events", "--exclude-operation-id", "revoke-token",
		// With two, Python 3.11 ends in "AST constructor recursion depth mismatch": it counts the depth of what is
		// parsed for all threads together (github.com/python/cpython/issues/106905).
		"--workers", "1",
		"--request-timeout", "20", "--warnings", "off", "--no-color", "--suppress-health-check", "all",
		"--generation-with-security-parameters", "false")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=hooks", "TOCSIN_SEEDS="+seeds,
		"TOCSIN_BODIES="+bodies, "TOCSIN_CALLS="+calls, "PYTHONPATH="+mustGetwd()+"/scripts/independent/schemathesis")
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return "http://" + l.Addr().String(), nil
}

// fill makes something of everything, and returns a token, the ids by the part of the path before them, and what a
// body has to name, by the operation.
func fill(p *embedded.Process) (token, seeds, bodies string, err error) {
	made := map[string]string{"address": "ada@example.com"}
	keep := func(part, path string, body any) (out struct{ ID, Secret string }) {
		if err == nil {
			err = p.Call("POST", path, body, &out)
		}
		made[part] = out.ID
		return out
	}
	token = keep("tokens", "/v1/tokens", map[string]any{"name": "Schemathesis", "kind": "personal",
		"role": "administrator"}).Secret
	hook := keep("integrations", "/v1/integrations", map[string]any{"system": "web_hooks", "name": "SOC",
		"events":     []map[string]any{{"event": "system"}, {"event": "commands"}},
		"parameters": map[string]any{"url": "https://hooks.example.com/tocsin"}})
	trigger := map[string]any{"template_id": "user_created", "actions": []map[string]any{{"id": "send_notification",
		"params": map[string]any{"integration_ids": []string{hook.ID}}}}}
	keep("triggers", "/v1/triggers", trigger)
	keep("reports", "/v1/reports", map[string]any{"period": map[string]any{"frequency": "weekly",
		"from": "2023-03-01"}, "format": "csv", "recipients": []string{"ada@example.com"}})
	for _, file := range []string{"user", "incident", "unknown_kind"} {
		if err != nil {
			return "", "", "", err
		}
		var entries []embedded.Entry
		if entries, err = embedded.EventFile("events/" + file + ".json"); err == nil {
			err = p.Publish(entries...)
		}
	}
	made["events"] = "evt-user-1"
	for range 100 { // the delivery is made at once
		var list struct{ Items []struct{ ID string } }
		err = p.Call("GET", "/v1/integrations/"+hook.ID+"/deliveries", nil, &list)
		if err != nil || len(list.Items) > 0 {
			for _, d := range list.Items {
				made["delivery"] = d.ID
			}
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	var letters struct{ Items []struct{ ID string } }
	if err == nil {
		err = p.Call("GET", "/v1/dead-letters", nil, &letters)
	}
	for _, l := range letters.Items {
		made["dead-letters"] = l.ID
	}
	raw, failed := json.Marshal(made)
	named, unnamed := json.Marshal(map[string]any{"POST /v1/triggers": trigger, "POST /v1/triggers/preview": trigger})
	return token, string(raw), string(named), errors.Join(err, failed, unnamed)
}
