// Package configurations is the commands on an account's configuration: export, diff and apply.
package configurations

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"tocsin/functions/local/commandline"
	"tocsin/functions/local/remote"
	"tocsin/shared/configuration"
	"tocsin/shared/configuration/client"
	"tocsin/shared/configuration/schema"
	"tocsin/shared/configuration/tree"
	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
)

// Exit codes of the commands on configurations, beside those of package commandline.
const exitConflict = 3 // apply: somebody else changed something meanwhile

// configuring is one call of a command on configurations, with what it has of the world.
type configuring struct {
	*remote.Session
	terminal bool // somebody is there to be asked
	// transport is nil for the usual one.
	transport http.RoundTripper

	prune, yes, dry bool
	schema          bool
}

// Command runs a command on configurations with the process's world.
func Command(run func(*configuring, context.Context, []string) error) func(context.Context,
	[]string) error {
	return func(ctx context.Context, args []string) error {
		c := &configuring{Session: remote.New(),
			terminal: isatty.IsTerminal(os.Stdin.Fd()) || isatty.IsCygwinTerminal(os.Stdin.Fd())}
		return run(c, ctx, args)
	}
}

// summaries and examples are of the commands' help.
var (
	summaries = map[string]string{"export": "write what administrators have set, as a document",
		"diff":  "say what a document would change, and change nothing",
		"apply": "make what is set what a document says"}
	examples = map[string][]string{
		"export": {"tocsin export tocsin.yaml", "tocsin export -schema tocsin.schema.json"},
		"diff":   {"tocsin diff tocsin.yaml", "tocsin diff tocsin.yaml -prune"},
		"apply":  {"tocsin apply tocsin.yaml", "tocsin apply tocsin.yaml -dry-run", "tocsin export | tocsin apply -"},
	}
)

// parse reads flags, which may stand before and behind the file's name.
func (c *configuring) parse(command, usage string, args []string, more func(*flag.FlagSet)) (files []string,
	err error) {
	f := flag.NewFlagSet("tocsin "+command, flag.ContinueOnError)
	c.Connection(f)
	if more != nil {
		more(f)
	}
	commandline.Page{Summary: summaries[command], Usage: usage, Examples: examples[command]}.Of(f)
	for {
		if err := commandline.Parse(f, args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		files, args = append(files, f.Arg(0)), f.Args()[1:]
	}
	return files, c.Resolve()
}

// client makes the client of the API.
func (c *configuring) client() (*client.Client, error) {
	if c.Token == "" {
		return nil, errors.New("an API token of an administrator is needed: give it as TOCSIN_TOKEN")
	}
	c.WarnOfPlainText()
	made, err := client.New(c.URL, c.Token, c.transport)
	if err != nil {
		return nil, err
	}
	made.Tenant = c.Tenant
	made.Waits = func(d time.Duration, why error) {
		fmt.Fprintf(c.Err, "%s; going on in %s\n", commandline.Clean(why.Error()), d)
	}
	return made, nil
}

const exportUsage = "usage: tocsin export [FILE]   [-url URL] [-token-file FILE] [-json]\n" +
	"       tocsin export -schema [FILE]"

// Export writes the account's configuration, or the JSON Schema of configurations.
func Export(c *configuring, ctx context.Context, args []string) error {
	files, err := c.parse("export", exportUsage, args, func(f *flag.FlagSet) {
		f.BoolVar(&c.JSON, "json", false, "write JSON, not YAML; a FILE that ends in .json is JSON without it")
		f.BoolVar(&c.schema, "schema", false, "write the JSON Schema of this release's configurations")
	})
	if err != nil {
		return err
	}
	if len(files) > 1 {
		return errors.New(exportUsage)
	}
	file := strings.Join(files, "")
	var document []byte
	if c.schema {
		var systems []destination.System
		for _, e := range catalogue.Default().All() {
			systems = append(systems, e.System)
		}
		document, err = schema.Of(systems)
		document = append(document, '\n')
	} else {
		var api *client.Client
		if api, err = c.client(); err == nil {
			document, err = api.Export(ctx, !c.JSON && !strings.HasSuffix(file, ".json"))
		}
	}
	if err != nil {
		return err
	}
	if file == "" || file == "-" {
		_, err = c.Out.Write(document)
		return err
	}
	if err := replace(file, document); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// replace writes a file as a whole, or leaves it as it was.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tocsin-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it is gone when it was renamed
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

const (
	diffUsage  = "usage: tocsin diff FILE   [-prune] [-url URL] [-token-file FILE]   (FILE - is the standard input)"
	applyUsage = "usage: tocsin apply FILE   [-dry-run] [-prune [-yes]] [-url URL] [-token-file FILE]   " +
		"(FILE - is the standard input)"
)

func (c *configuring) pruning(f *flag.FlagSet) {
	f.BoolVar(&c.prune, "prune", false, "also remove what the file's sections do not name")
}

// Diff shows what apply would change.
func Diff(c *configuring, ctx context.Context, args []string) error {
	files, err := c.parse("diff", diffUsage, args, c.pruning)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return errors.New(diffUsage)
	}
	_, _, plan, err := c.plan(ctx, files[0], true)
	if err != nil {
		return err
	}
	return c.compared(plan)
}

// compared shows a plan; that the account differs is an exit code.
func (c *configuring) compared(plan configuration.Plan) error {
	show(c.Out, plan)
	if plan.Differs() {
		return &commandline.Exit{Code: commandline.ExitNo}
	}
	return nil
}

// plan reads a file and compares it with the account. Nothing is changed before all of it is found to be good.
func (c *configuring) plan(ctx context.Context, file string, secretsLater bool) (api *client.Client,
	state configuration.State, plan configuration.Plan, err error) {
	data, err := c.read(ctx, file)
	if err != nil {
		return nil, state, plan, err
	}
	name := file
	if file == "-" {
		name = "the standard input"
	}
	in := func(err error) error {
		var problems tree.Problems
		if errors.As(err, &problems) {
			return fmt.Errorf("%s is not good, and nothing was changed:\n%s", name, commandline.Clean(problems.Error()))
		}
		return err
	}
	document, err := configuration.Read(data)
	if err != nil {
		return nil, state, plan, in(err)
	}
	if api, err = c.client(); err != nil {
		return nil, state, plan, err
	}
	if state, err = api.State(ctx); err != nil {
		return nil, state, plan, err
	}
	schema, err := api.Schema(ctx)
	if err != nil {
		return nil, state, plan, err
	}
	err = document.Fill(state.Systems, c.Getenv, secretsLater)
	if err = configuration.Join(err, configuration.Check(document, schema)); err == nil {
		plan, err = configuration.NewPlan(document, state, c.prune)
	}
	if err == nil {
		err = rules(secretsLater).Check(document, plan)
	}
	return api, state, plan, in(err)
}

// rules are those of this release.
func rules(secretsLater bool) configuration.Rules {
	known := catalogue.Default()
	return configuration.Rules{Now: time.Now(), SecretsLater: secretsLater,
		System: func(name string) (destination.System, bool) {
			s, _, ok := known.Lookup(name)
			return s, ok
		}}
}

func (c *configuring) read(ctx context.Context, file string) ([]byte, error) {
	from := c.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	data, err := commandline.Await(ctx, func() ([]byte, error) {
		return io.ReadAll(io.LimitReader(from, tree.MaxBytes+1))
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return data, nil
}

// Apply makes the account as the file says.
func Apply(c *configuring, ctx context.Context, args []string) error {
	files, err := c.parse("apply", applyUsage, args, func(f *flag.FlagSet) {
		c.pruning(f)
		f.BoolVar(&c.yes, "yes", false, "remove without asking")
		f.BoolVar(&c.dry, "dry-run", false, "show what would be changed, and change nothing")
	})
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return errors.New(applyUsage)
	}
	api, state, plan, err := c.plan(ctx, files[0], false)
	if err != nil {
		return err
	}
	if c.dry {
		return c.compared(plan)
	}
	if len(plan.Steps) == 0 {
		fmt.Fprintln(c.Out, "Nothing to do: the account is as the file says.")
		return nil
	}
	show(c.Out, plan)
	if err := c.ask(ctx, files[0], plan.Removals()); err != nil {
		return err
	}
	return c.apply(ctx, api, plan, state)
}

// ask has a person agree to what is removed.
func (c *configuring) ask(ctx context.Context, file string, removals []configuration.Step) error {
	if len(removals) == 0 || c.yes {
		return nil
	}
	if !c.terminal || file == "-" {
		return fmt.Errorf("nothing was changed: %d would be removed, and nobody is here to be asked: say -yes",
			len(removals))
	}
	fmt.Fprintf(c.Out, "Remove these %d for good? What waits to be sent to them is not sent. Type yes: ", len(removals))
	line, err := commandline.Await(ctx, func() (string, error) { return bufio.NewReader(c.In).ReadString('\n') })
	if ctx.Err() != nil {
		fmt.Fprintln(c.Out)
		return &commandline.Stopped{Err: ctx.Err(), Done: "nothing was changed"}
	}
	if strings.TrimSpace(line) != "yes" || err != nil && !errors.Is(err, io.EOF) {
		return errors.New("nothing was changed")
	}
	return nil
}

// apply takes the steps and says what came of them, whatever happens.
func (c *configuring) apply(ctx context.Context, api *client.Client, plan configuration.Plan,
	state configuration.State) error {
	defer context.AfterFunc(ctx, func() {
		fmt.Fprintln(c.Err, "stopping after the change that has begun; once more ends at once")
	})()
	done, changed := 0, 0
	err := api.Apply(ctx, plan, state, func(o client.Outcome) {
		done++
		if o.Changed {
			changed++
		}
		fmt.Fprintln(c.Out, told(o))
		if o.Step.BoundThere && o.ID != "" {
			fmt.Fprintf(c.Out, "  It needs a chat: open %s/integrations/%s and bind one.\n",
				strings.TrimSuffix(c.URL, "/"), o.ID)
		}
	})
	if err == nil {
		switch {
		case changed > 0:
			fmt.Fprintf(c.Out, "Done: %d changed.\n", changed)
		default:
			fmt.Fprintln(c.Out, "Nothing changed: the account is as the file says, with the secrets that it gives.")
		}
		return nil
	}
	at := plan.Steps[done]
	words := fmt.Sprintf("stopped at: %s %s: %s. ", at.Verb, name(at), commandline.Clean(err.Error()))
	if done == 0 {
		words += "Nothing was changed before it."
	} else {
		words += fmt.Sprintf("%d of %d steps were done, those listed above, and the rest were not begun.", done,
			len(plan.Steps))
	}
	words += " See what is left with `tocsin diff`, then apply again."
	switch {
	case errors.Is(err, client.ErrConflict):
		return &commandline.Exit{Code: exitConflict, Words: words}
	case ctx.Err() != nil:
		return &commandline.Exit{Code: commandline.ExitInterrupted, Words: words}
	}
	return errors.New(words)
}

// told says what became of a step.
func told(o client.Outcome) string {
	switch s := o.Step; {
	case s.Verb == configuration.Add:
		return "added " + name(s)
	case s.Verb == configuration.Remove:
		return "removed " + name(s)
	case s.Verb == configuration.Send && o.Changed:
		return "changed secrets of " + name(s)
	case s.Verb == configuration.Send:
		return "unchanged " + name(s)
	default:
		return "changed " + name(s)
	}
}
