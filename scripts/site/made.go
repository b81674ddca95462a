package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/shared/destination"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

// cell writes a text into a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// systems makes a page of each system of the catalogue.
func systems(s *site) (all []page, err error) {
	for _, e := range catalogue.Default().All() {
		if !e.Available {
			continue
		}
		p, err := s.render("README.md", "systems/"+e.System.Name+".html", []byte(system(e.System)))
		if err != nil {
			return nil, fmt.Errorf("the page of %s: %w", e.System.Name, err)
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b page) int { return cmp.Compare(a.Title, b.Title) })
	return all, nil
}

// system is the page of a system.
func system(of destination.System) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n\n", of.Title)
	if of.SetUp != "" {
		fmt.Fprintf(&out, "## Set it up\n\n%s\n\n", of.SetUp)
	}
	out.WriteString("## What it gets\n\n")
	for _, t := range of.Events {
		fmt.Fprintf(&out, "- %s (`%s`)\n", cmp.Or(of.Labels[t], t.Title()), t)
	}
	if len(of.Triggered) > 0 {
		out.WriteString("\nTriggers can send it messages of their own.\n")
	}
	fmt.Fprintf(&out, "\n## Its parameters\n\nThe name of the system over the API and in a configuration is `%s`.\n\n",
		of.Name)
	var schema struct {
		Properties map[string]struct{ Title, Description string }
	}
	if json.Unmarshal(of.Parameters.Schema(), &schema) == nil && len(of.Parameters.Fields()) > 0 {
		out.WriteString("| parameter | title | what it is |\n|---|---|---|\n")
		for _, f := range of.Parameters.Fields() {
			about := schema.Properties[f.Name]
			words := about.Description
			if f.ReadOnly {
				words = "Read only. " + words
			}
			if f.Secret {
				words = "A secret. " + words
			}
			if f.Required {
				words = "Required. " + words
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", f.Name, cell(about.Title), cell(words))
		}
	}
	out.WriteString("\n## When it fails\n\n[What the product says](site/troubleshooting/answers.html) has each " +
		"reason of a delivery, [troubleshooting](docs/troubleshooting.md) the way to it.\n")
	return out.String()
}

// kinds makes the page of the kinds of events.
func kinds(s *site) ([]page, error) {
	var out strings.Builder
	out.WriteString("# Kinds of events\n\nEach with an example, as an entry of PutEvents. `tocsin events sample KIND` " +
		"prints one with a new id.\n")
	for _, k := range event.Kinds() {
		e := k.Example()
		n := notification.Notification{Event: e}
		detail, err := e.Encode()
		if err != nil {
			return nil, err
		}
		from := "The platform publishes it."
		if k.Own() {
			from = "Tocsin publishes it."
		}
		var types []string
		for _, t := range k.Types() {
			types = append(types, fmt.Sprintf("%s (`%s`)", t.Title(), t))
		}
		reaches := "Nobody subscribes to it by its kind."
		if len(types) > 0 {
			reaches = "Who subscribes to it: " + strings.Join(types, ", ") + "."
		}
		pretty, err := json.MarshalIndent(json.RawMessage(detail), "", "  ")
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "\n## %s\n\n%s: %s %s %s\n\n```json\n%s\n```\n", k, n.Headline(), n.Sentence(), from, reaches,
			pretty)
	}
	p, err := s.render("README.md", "events/kinds.html", []byte(out.String()))
	return []page{p}, err
}

// operation is one of the API's document.
type operation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Parameters                        []struct {
		Name, In, Description string
		Required              bool
	}
	Responses map[string]struct{ Description string }

	method, path string
}

// operations makes a page for each part of the API, from its document.
func operations(s *site) ([]page, error) {
	raw, err := os.ReadFile(filepath.Join(s.root, "shared/console/testdata/openapi.json"))
	if err != nil {
		return nil, err
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, err
	}
	tags := map[string][]operation{}
	for at, item := range document.Paths {
		for method, raw := range item {
			var o operation
			if json.Unmarshal(raw, &o) != nil || o.OperationID == "" {
				continue // what all operations of a path have in common
			}
			o.method, o.path = strings.ToUpper(method), at
			for _, tag := range o.Tags {
				tags[tag] = append(tags[tag], o)
			}
		}
	}
	var names []string
	for tag := range tags {
		names = append(names, tag)
	}
	slices.Sort(names)
	var all []page
	for _, tag := range names {
		p, err := s.render("README.md", "api/"+strings.ReplaceAll(strings.ToLower(tag), " ", "-")+".html",
			[]byte(operationsOf(tag, tags[tag])))
		if err != nil {
			return nil, fmt.Errorf("the page of the operations %s: %w", tag, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// operationsOf is the page of a part of the API.
func operationsOf(tag string, all []operation) string {
	slices.SortFunc(all, func(a, b operation) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method))
	})
	var out strings.Builder
	fmt.Fprintf(&out, "# API: %s\n\nA running Tocsin shows the whole document, with all schemas, at `/docs`, and gives it "+
		"at `/openapi.json`. [Tokens](docs/tokens.md) say who may call.\n", tag)
	for _, o := range all {
		fmt.Fprintf(&out, "\n## %s\n\n`%s %s`: %s.\n\n%s\n\n", o.OperationID, o.method, o.path, o.Summary, o.Description)
		rows := ""
		for _, p := range o.Parameters {
			if p.Name != "" {
				rows += fmt.Sprintf("| `%s` | %s | %s |\n", p.Name, p.In, cell(p.Description))
			}
		}
		if rows != "" {
			out.WriteString("| parameter | in | what it is |\n|---|---|---|\n" + rows + "\n")
		}
		var statuses []string
		for status := range o.Responses {
			statuses = append(statuses, "`"+status+"`")
		}
		slices.Sort(statuses)
		fmt.Fprintf(&out, "It answers %s.\n", strings.Join(statuses, ", "))
	}
	return out.String()
}
