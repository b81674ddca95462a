package commandline

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
)

// Page is the help of a command that reads its flags itself: see Command for the others.
type Page struct {
	Summary  string
	Usage    string // "usage: …", as who writes the command wrongly is told
	Help     string // what the summary does not say
	Examples []string
}

// Of makes it the help of a command's flags.
func (p Page) Of(f *flag.FlagSet) {
	f.Usage = func() {
		out := f.Output()
		fmt.Fprintf(out, "%s: %s\n\n%s\n", f.Name(), p.Summary, p.Usage)
		if p.Help != "" {
			fmt.Fprintf(out, "\n%s\n", p.Help)
		}
		has := false
		f.VisitAll(func(*flag.Flag) { has = true })
		if has {
			fmt.Fprintln(out, "\nflags:")
			f.PrintDefaults()
		}
		fmt.Fprintln(out, "\nexamples:")
		for _, e := range p.Examples {
			fmt.Fprintln(out, "  "+e)
		}
	}
}

// Parse reads flags. Help that was asked for is what the command prints, and ends the program.
func Parse(f *flag.FlagSet, args []string) error {
	var said bytes.Buffer
	f.SetOutput(&said)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		if _, err := said.WriteTo(os.Stdout); err != nil {
			return fmt.Errorf("write the help: %w", err)
		}
		return &Exit{}
	case err != nil:
		return fmt.Errorf("%w (`%s -help` lists the flags)", Explained(f, err), f.Name())
	}
	return nil
}
