package main

import (
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// part is a section of the site: documents by name or by pattern, and pages that are made.
type part struct {
	title     string
	documents []string
	generated func(*site) ([]page, error)
}

// outline is the order of the pages, by what a reader wants to do. A test holds that each document has a place.
var outline = []part{
	{title: "Begin", documents: []string{"README.md", "docs/install.md", "docs/first-message.md",
		"docs/command-line.md"}},
	{title: "Troubleshooting", documents: []string{"docs/troubleshooting.md"}, generated: faults},
	{title: "Systems", generated: systems},
	{title: "Integrations", documents: []string{"docs/filters.md", "docs/message-templates.md", "docs/grouping.md",
		"docs/quiet-hours.md", "docs/fallback.md", "docs/updates.md", "docs/webhooks.md", "docs/delivery-log.md"}},
	{title: "Account", documents: []string{"docs/triggers.md", "docs/reports.md", "docs/sign-in.md", "docs/tokens.md",
		"docs/activity.md", "docs/configuration.md"}},
	{title: "Operate one machine", documents: []string{"docs/running.md", "docs/backup.md",
		"docs/continuous-copies.md", "docs/migrate.md", "docs/metrics.md", "docs/traces.md", "docs/alerts.md",
		"docs/reliability.md", "docs/limits.md", "docs/measurements.md", "docs/node-metrics/README.md",
		"docs/node-metrics/*/*.md"}},
	{title: "Deploy on AWS", documents: []string{"docs/aws.md", "docs/aws-security.md", "docs/restore.md",
		"docs/second-region.md", "docs/aws-speed-and-cost.md"}},
	{title: "Runbook", documents: []string{"docs/runbook/README.md", "docs/runbook/*.md"}},
	{title: "Events", documents: []string{"events/README.md"}, generated: kinds},
	{title: "API", documents: []string{"docs/v2.md"}, generated: operations},
	{title: "Change Tocsin", documents: []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "docs/versions.md",
		"docs/tables.md", "docs/translating.md", "docs/decisions/README.md", "docs/decisions/*.md", "SECURITY.md",
		"CHANGELOG.md", "*.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md", "events/*.md"}},
}

// tracked are the documents for people: at the top, in docs and in events.
func (s *site) tracked() ([]string, error) {
	out, err := exec.Command("git", "-C", s.root, "ls-files", "--cached", "--others", "--exclude-standard", "*.md",
		"docs/*.md", "docs/*/*.md", "events/*.md").Output()
	if err != nil {
		return nil, fmt.Errorf("list the documents with git: %w", err)
	}
	var names []string
	for name := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(name, "/") || strings.HasPrefix(name, "docs/") || strings.HasPrefix(name, "events/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// expand are the documents of patterns, each once; what an earlier section named stands there.
func expand(patterns, names []string) (all []string) {
	for _, pattern := range patterns {
		for _, name := range names {
			if ok, _ := path.Match(pattern, name); ok && !slices.Contains(all, name) &&
				(!strings.Contains(pattern, "*") || !named(name, pattern)) {
				all = append(all, name)
			}
		}
	}
	return all
}

// named reports whether a document is named, or has a pattern, before this one.
func named(name, pattern string) bool {
	for _, part := range outline {
		for _, other := range part.documents {
			if other == pattern {
				return false
			}
			if ok, _ := path.Match(other, name); ok {
				return true
			}
		}
	}
	return false
}
