// Package completion is `tocsin completion`, which prints what a shell needs to complete the commands, and what the
// shell then asks.
package completion

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"tocsin/functions/local/commandline"
)

// Ask is the word by which a shell asks: `tocsin __complete WORD... LAST` prints what LAST can become, a line each,
// with a tab before what it is.
const Ask = "__complete"

// scripts by their shells. Where nothing is found, the shell offers files.
var scripts = map[string]string{
	"bash": `# tocsin completion bash: source <(tocsin completion bash), or a file in /etc/bash_completion.d
_tocsin() {
	local IFS=$'\n' found
	found=$("${COMP_WORDS[0]}" ` + Ask + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1)
	COMPREPLY=($found)
}
complete -o default -F _tocsin tocsin
`,
	"zsh": `#compdef tocsin
# tocsin completion zsh: source <(tocsin completion zsh), or a file _tocsin in a folder of $fpath
_tocsin() {
	local line
	local -a found
	for line in "${(@f)$("${words[1]}" ` + Ask + ` "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		[[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done
	if (( $#found )); then _describe tocsin found; else _files; fi
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
	_tocsin "$@" # the first word that is completed has just loaded this file as the function
else
	compdef _tocsin tocsin
fi
`,
	"fish": `# tocsin completion fish: tocsin completion fish | source, or a file in ~/.config/fish/completions
function __tocsin_complete
	set -l words (commandline -opc)
	set -l found ($words[1] ` + Ask + ` $words[2..-1] (commandline -ct) 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path (commandline -ct)
	end
end
complete -c tocsin -f -a '(__tocsin_complete)'
`,
}

var shells = []string{"bash", "fish", "zsh"}

// Group has the command.
func Group() commandline.Group {
	return commandline.Group{Name: "completion", Summary: "print what a shell needs to complete commands",
		Commands: []commandline.Command{{
			Summary: "print what a shell needs to complete commands", Takes: "bash|zsh|fish", Least: 1, Most: 1,
			Examples: []string{"source <(tocsin completion bash)", "tocsin completion fish | source"},
			Run: func(_ context.Context, args []string) error {
				script, ok := scripts[args[0]]
				if !ok {
					return fmt.Errorf("there is no completion for %q: %s", args[0], strings.Join(shells, ", "))
				}
				_, err := io.WriteString(os.Stdout, script)
				return err
			}}}}
}

// Tree is what can be completed.
type Tree struct {
	Groups []commandline.Group
	// Others are the commands that do not say more of themselves, with what each is.
	Others map[string]string
	// Help is what such a command prints for -help, behind whatever words.
	Help func(words ...string) string
}

// Complete prints what the last word can become.
func (t Tree) Complete(out io.Writer, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	for _, c := range t.candidates(before, last) {
		if strings.HasPrefix(c.word, last) {
			fmt.Fprintf(out, "%s\t%s\n", c.word, c.about)
		}
	}
}

// candidate is a word with what it is, in a line.
type candidate struct{ word, about string }

func (t Tree) candidates(before []string, last string) (all []candidate) {
	if len(before) > 0 && before[0] == "help" {
		before = before[1:]
	}
	if len(before) == 0 {
		for _, g := range t.Groups {
			all = append(all, candidate{g.Name, g.Summary})
		}
		for name, about := range t.Others {
			all = append(all, candidate{name, about})
		}
		sort.Slice(all, func(a, b int) bool { return all[a].word < all[b].word })
		return all
	}
	for _, g := range t.Groups {
		if g.Name != before[0] {
			continue
		}
		if g.Name == "completion" && len(before) == 1 {
			for _, s := range shells {
				all = append(all, candidate{s, "this shell"})
			}
			return all
		}
		c, rest, ok := g.Find(before[1:])
		if !ok {
			for _, c := range g.Commands {
				all = append(all, candidate{c.Name, c.Summary})
			}
			return all
		}
		return of(c, rest, last)
	}
	if _, ok := t.Others[before[0]]; ok {
		return t.other(before, last)
	}
	return nil
}

// of are the flags of a command, or what its last flag can be.
func of(c commandline.Command, before []string, last string) (all []candidate) {
	flags := c.FlagSet("")
	if len(before) > 0 {
		name := strings.TrimLeft(before[len(before)-1], "-")
		if f := flags.Lookup(name); f != nil && strings.HasPrefix(before[len(before)-1], "-") && !isBool(f) {
			for _, v := range c.Values[name] {
				all = append(all, candidate{v, "a value of -" + name})
			}
			return all
		}
	}
	if !strings.HasPrefix(last, "-") {
		return nil
	}
	dashes := "-"
	if strings.HasPrefix(last, "--") {
		dashes = "--"
	}
	flags.VisitAll(func(f *flag.Flag) {
		about, _, _ := strings.Cut(f.Usage, "\n")
		all = append(all, candidate{dashes + f.Name, about})
	})
	return all
}

func isBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}
