package integrations

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/client"
	"tocsin/shared/plaintext"
)

func test() commandline.Command {
	c := one("test", "send test messages now, and tell each step", []string{`tocsin integrations test "Ops channel"`},
		func(ctx context.Context, s *remote.Session, c *remote.API, i client.IntegrationView) error {
			steps := true
			q, err := client.NewTestIntegrationRequest(c.Server, i.Id,
				&client.TestIntegrationParams{Steps: &steps, Tenant: s.TenantParameter()})
			if err != nil {
				return err
			}
			r, err := c.Do(q.WithContext(ctx))
			if err != nil {
				return err
			}
			defer r.Body.Close()
			return tested(s, r)
		})
	c.Help = "It ends with 2 when a message did not arrive. With -json each step is a line, and the last line is the " +
		"result."
	return c
}

// stepWords are the steps for a person: one that is done, and one that failed.
var stepWords = map[client.TestStepViewKind][2]string{
	client.TestStepViewKindCredential:  {"a credential is got", "no credential"},
	client.TestStepViewKindName:        {"the name is found", "the name is not found"},
	client.TestStepViewKindAddress:     {"the address may be sent to", "the address may not be sent to"},
	client.TestStepViewKindConnected:   {"connected", "not connected"},
	client.TestStepViewKindCertificate: {"the client certificate is shown", "the client certificate is not taken"},
	client.TestStepViewKindTls:         {"secured, with a good certificate", "not secured by TLS"},
	client.TestStepViewKindReused:      {"on a connection of before", "not on a connection of before"},
	client.TestStepViewKindSent:        {"sent", "not sent"},
	client.TestStepViewKindAnswered:    {"answered", "no answer"},
}

// maxLine bounds a step, in bytes.
const maxLine = 1 << 20

// tested tells the steps of a test as they come.
func tested(s *remote.Session, r *http.Response) error {
	if r.StatusCode > 299 {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxLine))
		if err != nil {
			return err
		}
		return remote.Refusal(r, body)
	}
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var line client.TestLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("read a step of the test: %w", err)
		}
		if s.JSON {
			fmt.Fprintf(s.Out, "%s\n", lines.Bytes())
		}
		switch {
		case line.Error != nil:
			return errors.New(commandline.Clean(line.Error.Error()))
		case line.Result != nil:
			return result(s, *line.Result)
		case line.Step != nil && !s.JSON:
			tell(s.Out, *line.Step)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the steps of the test: %w", err)
	}
	return errors.New("the answer ended before the test did")
}

func tell(out io.Writer, t client.TestStepView) {
	both, known := stepWords[t.Kind]
	words, failed := both[0], t.Failed != nil && *t.Failed
	switch {
	case t.Kind == client.TestStepViewKindBegun:
		fmt.Fprintf(out, "message %d of %d: %s\n", t.Message, t.Of, plaintext.Line(t.Summary))
		return
	case t.Kind == client.TestStepViewKindEnded:
		return // the result says how
	case !known && failed: // of a newer release
		words = "failed: " + string(t.Kind)
	case !known:
		words = string(t.Kind)
	case failed:
		words = both[1]
	}
	fmt.Fprintf(out, "  after %d ms: %s\n", t.AfterMs, plaintext.Line(words))
}

// result tells what became of each message.
func result(s *remote.Session, t client.TestView) error {
	if !s.JSON {
		for _, m := range t.Messages {
			words := "arrived"
			if !m.Delivered {
				words = "did not arrive"
			}
			fmt.Fprintf(s.Out, "%s: %s", words, plaintext.Line(m.Summary))
			if m.Reason != nil && *m.Reason != "" {
				fmt.Fprintf(s.Out, ": %s", plaintext.Line(*m.Reason))
			}
			fmt.Fprintln(s.Out)
			if m.Answer != nil && *m.Answer != "" {
				fmt.Fprintf(s.Out, "  its answer: %s\n", plaintext.Line(*m.Answer))
			}
		}
	}
	if !t.Delivered {
		return &commandline.Exit{Code: commandline.ExitNo}
	}
	return nil
}
