package completion

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// helpTime is how long a shell waits for the help of a command at most.
const helpTime = 2 * time.Second

// OwnHelp asks this program for the help of a command, in a process of its own: package flag ends the one that prints
// it.
func OwnHelp(words ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), helpTime)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	help := exec.CommandContext(ctx, program, append(slices.Clip(words), "-help")...)
	out, _ := help.CombinedOutput() // no help, no words
	return string(out)
}

// other are the actions of a command or its flags, as its own help lists them: what is not there nobody is to type.
func (t Tree) other(before []string, last string) (all []candidate) {
	actions := actionsOf(before[0], t.Help(before[0]))
	if len(before) == 1 && !strings.HasPrefix(last, "-") {
		for _, word := range actions {
			all = append(all, candidate{word, "an action of tocsin " + before[0]})
		}
		return all
	}
	words := before[:1]
	if len(before) > 1 && slices.Contains(actions, before[1]) {
		words = before[:2]
	}
	if !strings.HasPrefix(last, "-") {
		return nil
	}
	dashes := "-"
	if strings.HasPrefix(last, "--") {
		dashes = "--"
	}
	flags := flagsOf(t.Help(words...))
	if name := before[len(before)-1]; strings.HasPrefix(name, "-") {
		for _, f := range flags {
			if f.takes && f.word == strings.TrimLeft(name, "-") {
				return nil // what follows is its value
			}
		}
	}
	for _, f := range flags {
		all = append(all, candidate{dashes + f.word, f.about})
	}
	return all
}

// actionsOf are the words that can follow a command, of the lines of its usage: `tocsin keys rotate | forget`.
func actionsOf(command, help string) (all []string) {
	line := regexp.MustCompile(`(?m)^(?:usage:)? *tocsin ` + regexp.QuoteMeta(command) + ` (.*)$`)
	for _, m := range line.FindAllStringSubmatch(help, -1) {
		for alternative := range strings.SplitSeq(m[1], " | ") {
			word, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
			if isAction.MatchString(word) && !slices.Contains(all, word) {
				all = append(all, word)
			}
		}
	}
	return all
}

var (
	isAction = regexp.MustCompile(`^[a-z]+$`)
	// isFlag is a flag as package flag prints it: its name, what it takes, and in the next line what it is.
	isFlag = regexp.MustCompile(`(?m)^  -(\S+)( \S+)?\s+(.*)$`)
)

// flagged is a flag of a command.
type flagged struct {
	candidate
	takes bool // a value
}

func flagsOf(help string) (all []flagged) {
	for _, m := range isFlag.FindAllStringSubmatch(help, -1) {
		all = append(all, flagged{candidate{m[1], m[3]}, m[2] != ""})
	}
	return all
}
