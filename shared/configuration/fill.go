package configuration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tocsin/shared/configuration/tree"
	"tocsin/shared/configuration/variables"
	"tocsin/shared/destination"
)

// Fill puts environment variables into the parameters and gives each value the type that its system asks for. A
// variable that is not set is a problem; with secretsLater, which is for a comparison, not where a secret is. The error
// is Problems.
func (d *Document) Fill(systems map[string]System, getenv func(string) string, secretsLater bool) error {
	f := filler{root: d.root, getenv: getenv, later: secretsLater}
	d.Integrations = slices.Clone(d.Integrations)
	for n := range d.Integrations {
		f.integration(&d.Integrations[n], systems)
	}
	return f.problems.Err()
}

type filler struct {
	root     tree.Value
	getenv   func(string) string
	later    bool
	problems tree.Problems
}

func (f *filler) integration(i *Integration, systems map[string]System) {
	at := fmt.Sprintf("integration %q", tree.Short(i.Name))
	system, ok := systems[i.System]
	if !ok {
		var known []string
		for name := range systems {
			known = append(known, name)
		}
		slices.Sort(known)
		line, _ := (&checker{root: f.root}).place([]string{"integrations", i.Name, "system"})
		f.problems.Add(line, at, "there is no system %q%s", tree.Short(i.System), tree.Instead(i.System, known))
		return
	}
	var names []string
	for _, p := range system.Fields {
		if !p.ReadOnly {
			names = append(names, p.Name)
		}
	}
	i.Parameters = slices.Clone(i.Parameters)
	for n, m := range i.Parameters {
		field, ok := system.Field(m.Name)
		switch {
		case !ok:
			f.problems.Add(m.Line, at, "%s has no parameter %q%s", system.Title, tree.Short(m.Name),
				tree.Instead(m.Name, names))
		case field.ReadOnly:
			f.problems.Add(m.Line, at, "%s is set at the side of %s only: leave it out", m.Name, system.Title)
		default:
			i.Parameters[n].Value = f.value(m.Value, field, at+": "+m.Name, field.Type)
		}
	}
}

// value fills a value and what is in it. kind is the type that JSON Schema names, "" for any.
func (f *filler) value(v tree.Value, field Field, at, kind string) tree.Value {
	v.Items, v.Members = slices.Clone(v.Items), slices.Clone(v.Members)
	if kind == "string" && (v.Kind == tree.Number || v.Kind == tree.Bool) {
		v.Kind = tree.String // a key of digits is a key
	}
	switch v.Kind {
	case tree.Number:
		if !json.Valid([]byte(v.Text)) {
			f.problems.Add(v.Line, at, "this number is written in a way that only YAML knows: write it in plain digits")
			v.Text = "0"
		}
	case tree.String:
		v = f.text(v, field, at)
	case tree.List:
		for n := range v.Items {
			v.Items[n] = f.value(v.Items[n], field, at, itemKind(field))
		}
	case tree.Map:
		for n, m := range v.Members {
			v.Members[n].Value = f.value(m.Value, field, at+": "+tree.Short(m.Name), itemKind(field))
		}
	}
	return v
}

// itemKind is the type of what is in a list or a map: every system has texts there.
func itemKind(field Field) string {
	if field.Type == "array" || field.Type == "object" {
		return "string"
	}
	return ""
}

func (f *filler) text(v tree.Value, field Field, at string) tree.Value {
	filled, missing, wrong := variables.Expand(v.Text, f.getenv)
	for _, w := range wrong {
		f.problems.Add(v.Line, at, "%s is not ${NAME} of an environment variable; write $${ for the characters ${",
			tree.Short(w))
	}
	for _, name := range missing {
		if !f.later || !field.Secret {
			f.problems.Add(v.Line, at, "the environment variable %s is not set, or is empty", name)
		}
	}
	if strings.Contains(v.Text, "${") {
		v.Written = v.Text
	}
	v.Text = filled
	if field.Secret && filled == destination.SecretMask {
		f.problems.Add(v.Line, at, "is the mask that stands for a secret in answers: write ${NAME} of an environment "+
			"variable, or leave it out to keep what is stored")
	}
	return v
}
