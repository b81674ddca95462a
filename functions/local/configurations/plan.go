package configurations

import (
	"fmt"
	"io"
	"strconv"

	"tocsin/functions/local/commandline"
	"tocsin/shared/configuration"
)

// show writes a plan for a person.
func show(out io.Writer, plan configuration.Plan) {
	for _, s := range plan.Steps {
		sign := map[configuration.Verb]string{configuration.Add: "+", configuration.Change: "~",
			configuration.Remove: "-", configuration.Send: "?"}[s.Verb]
		fmt.Fprintf(out, "%s %s\n", sign, name(s))
		for _, d := range s.Differences {
			fmt.Fprintf(out, "    %s: %s\n", d.Field, commandline.Clean(difference(s, d)))
		}
		for _, field := range s.Secrets {
			fmt.Fprintf(out, "    parameters.%s: a secret%s\n", field, map[bool]string{true: "",
				false: " (it can not be compared; it is sent)"}[s.Verb == configuration.Add])
		}
	}
	for _, note := range plan.Notes {
		fmt.Fprintln(out, "! "+commandline.Clean(note))
	}
	fmt.Fprintln(out, summary(plan))
}

func difference(s configuration.Step, d configuration.Difference) string {
	switch {
	case s.Verb == configuration.Add:
		return d.After
	case d.Before == "":
		return "(none) -> " + d.After
	case d.After == "":
		return d.Before + " -> (none)"
	}
	return d.Before + " -> " + d.After
}

// name is what a step is about.
func name(s configuration.Step) string {
	if s.Kind == configuration.ReportsKind {
		return s.Kind
	}
	return s.Kind + " " + strconv.Quote(s.Name)
}

// summary counts the steps.
func summary(plan configuration.Plan) string {
	count := map[configuration.Verb]int{}
	for _, s := range plan.Steps {
		count[s.Verb]++
	}
	secrets := ""
	if n := count[configuration.Send]; n > 0 {
		secrets = fmt.Sprintf(" The secrets of %d can not be compared: only `tocsin apply` finds out.", n)
	}
	if !plan.Differs() {
		return "No differences." + secrets
	}
	return fmt.Sprintf("%d to add, %d to change, %d to remove.%s", count[configuration.Add],
		count[configuration.Change], count[configuration.Remove], secrets)
}
