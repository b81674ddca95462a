// Command coldstart builds every function for this machine and prints how long each takes from its process's start to
// its first call for an invocation, and how large it is. Run: make bench-cold.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tocsin/scripts/awslocal"
)

func main() {
	starts := flag.Int("starts", 25, "how often each function is started")
	flag.Parse()
	if err := run(*starts); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

func run(starts int) error {
	into, err := os.MkdirTemp("", "tocsin-coldstart-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(into)
	if err := awslocal.Build(".", into, awslocal.Names...); err != nil {
		return err
	}
	template, err := awslocal.ReadTemplate("template.yaml")
	if err != nil {
		return err
	}
	secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"SecretString":"local"}`) // Secrets Manager, GetSecretValue
	}))
	defer secrets.Close()
	fmt.Printf("%-10s %8s %10s %10s %10s\n", "function", "MB", "least", "median", "most")
	for _, name := range awslocal.Names {
		variables, err := template.Environment(name+"Function", func(v any) string {
			if p, ok := template.Parameters[awslocal.Target(v)]; ok && p.Default != nil {
				return fmt.Sprint(p.Default)
			}
			if awslocal.At(v, "Fn::If") != nil {
				return "" // what a parameter does not ask for
			}
			return "arn:aws:local"
		})
		if err != nil {
			return err
		}
		env := []string{"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
			"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + secrets.URL}
		for k, v := range variables {
			env = append(env, k+"="+v)
		}
		if err := measure(name, filepath.Join(into, strings.ToLower(name), "bootstrap"), env, starts); err != nil {
			return err
		}
	}
	return nil
}

func measure(name, bootstrap string, env []string, starts int) error {
	info, err := os.Stat(bootstrap)
	if err != nil {
		return err
	}
	f := &awslocal.Function{Bootstrap: bootstrap, Env: env, Timeout: time.Minute, Log: io.Discard}
	defer f.Close()
	took, err := f.Start(starts)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	slices.Sort(took)
	fmt.Printf("%-10s %8.1f %10s %10s %10s\n", name, float64(info.Size())/1e6, round(took[0]), round(took[len(took)/2]),
		round(took[len(took)-1]))
	return nil
}

func round(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
