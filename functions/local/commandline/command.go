package commandline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// Exit codes of commands, beside 0. A command that has others says so on its page.
const (
	ExitFailed      = 1   // it was not done: the words say why
	ExitNo          = 2   // it was done, and the answer is no: a difference, a test that failed
	ExitInterrupted = 130 // 128 and SIGINT, as shells say it
)

// Exit ends the program with a code of its own; without words where everything is said.
type Exit struct {
	Code  int
	Words string
}

func (e *Exit) Error() string { return e.Words }

// Command is a command that says of itself what help and completion need.
type Command struct {
	Name     string
	Takes    string // what stands behind the name, such as "FILE..."
	Summary  string
	Help     string // what the summary does not say
	Examples []string
	// Least and Most are how many arguments it takes; Most -1 is any number.
	Least, Most int
	// Flags defines its flags, and Values has what each flag can be, where that is a short list.
	Flags  func(f *flag.FlagSet)
	Values map[string][]string
	Run    func(ctx context.Context, args []string) error
}

// Group is commands under one word. A group of one command without a name is that command.
type Group struct {
	Name, Summary string
	Commands      []Command
}

// Find is the command that arguments name, with the rest of them.
func (g Group) Find(args []string) (c Command, rest []string, ok bool) {
	if len(g.Commands) == 1 && g.Commands[0].Name == "" {
		return g.Commands[0], args, true
	}
	for _, c := range g.Commands {
		if len(args) > 0 && args[0] == c.Name {
			return c, args[1:], true
		}
	}
	return c, args, false
}

// Run runs the command that arguments name.
func (g Group) Run(ctx context.Context, args []string) error {
	c, rest, ok := g.Find(args)
	if !ok {
		if len(args) > 0 && isHelp(args[0]) {
			g.Describe(os.Stdout)
			return nil
		}
		words := "tocsin " + g.Name + " needs one of its commands"
		if len(args) > 0 {
			words = fmt.Sprintf("tocsin %s has no command %q", g.Name, args[0])
		}
		return fmt.Errorf("%s: %s", words, strings.Join(g.names(), ", "))
	}
	return c.run(ctx, g.full(c), rest)
}

func isHelp(word string) bool {
	return word == "help" || word == "-h" || word == "-help" || word == "--help"
}

func (g Group) full(c Command) string { return strings.TrimSpace("tocsin " + g.Name + " " + c.Name) }

func (g Group) names() (all []string) {
	for _, c := range g.Commands {
		all = append(all, c.Name)
	}
	return all
}

// Describe writes what the commands of the group are.
func (g Group) Describe(out io.Writer) {
	if len(g.Commands) == 1 && g.Commands[0].Name == "" {
		g.Commands[0].describe(out, g.full(g.Commands[0]))
		return
	}
	fmt.Fprintf(out, "tocsin %s: %s\n\n", g.Name, g.Summary)
	for _, c := range g.Commands {
		fmt.Fprintf(out, "  %-10s %s\n", c.Name, c.Summary)
	}
	fmt.Fprintf(out, "\n`tocsin help %s COMMAND` has the flags of one, with examples.\n", g.Name)
}

// FlagSet has the flags of a command.
func (c Command) FlagSet(full string) *flag.FlagSet {
	f := flag.NewFlagSet(full, flag.ContinueOnError)
	if c.Flags != nil {
		c.Flags(f)
	}
	return f
}

// describe writes the help of one command.
func (c Command) describe(out io.Writer, full string) {
	f := c.FlagSet(full)
	fmt.Fprintf(out, "%s: %s\n\nusage: %s\n", full, c.Summary, strings.TrimSpace(full+" "+c.Takes)+"   [flags]")
	if c.Help != "" {
		fmt.Fprintf(out, "\n%s\n", c.Help)
	}
	fmt.Fprintln(out, "\nflags:")
	f.SetOutput(out)
	f.PrintDefaults()
	if len(c.Examples) > 0 {
		fmt.Fprintln(out, "\nexamples:")
		for _, e := range c.Examples {
			fmt.Fprintln(out, "  "+e)
		}
	}
}

// run reads the flags, which may stand before and behind the arguments.
func (c Command) run(ctx context.Context, full string, args []string) error {
	f := c.FlagSet(full)
	f.SetOutput(io.Discard) // what is wrong comes back as an error; help is printed here
	var rest []string
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			c.describe(os.Stdout, full)
			return nil
		} else if err != nil {
			return fmt.Errorf("%w (`%s -help` lists the flags)", Explained(f, err), full)
		}
		if f.NArg() == 0 {
			break
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
	if len(rest) < c.Least || c.Most >= 0 && len(rest) > c.Most {
		return fmt.Errorf("usage: %s", strings.TrimSpace(full+" "+c.Takes))
	}
	return c.Run(ctx, rest)
}
