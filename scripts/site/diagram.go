package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// The site needs no script of others, so that a diagram of Mermaid is told there in words: a line for each arrow, and
// one for what each frame has in it. Only what the documents use is read; all else is an error.

// diagram is a diagram as it is read.
type diagram struct {
	states bool
	labels map[string]string // of nodes and frames, by id
	frames []frame
	open   []int // frames that have not ended
	arrows []arrow
}

type frame struct {
	id    string
	nodes []string
}

type arrow struct{ from, to, label string }

var (
	// between is what stands between two nodes: the label is one of its three.
	between   = regexp.MustCompile(`\s*(?:-->(?:\|([^|]*)\|)?|-\.\s+(.*?)\s+\.->|--\s+(.*?)\s+-->|~~~)\s*`)
	node      = regexp.MustCompile(`^([\w?]+)(?:\[(.+)\])?$`)
	frameLine = regexp.MustCompile(`^subgraph (\w+) \[(.+)\]$`)
	stateLine = regexp.MustCompile(`^(\[\*\]|[\w?]+) --> (\[\*\]|[\w?]+)(?:: (.+))?$`)
)

// tell makes the lines of a diagram.
func tell(source string) ([]string, error) {
	lines := strings.Split(strings.TrimSpace(source), "\n")
	d := diagram{states: lines[0] == "stateDiagram-v2", labels: map[string]string{}}
	if !d.states && !strings.HasPrefix(lines[0], "flowchart ") {
		return nil, fmt.Errorf("a diagram of the kind %q is not known: teach scripts/site/diagram.go", lines[0])
	}
	for _, line := range lines[1:] {
		read := d.flow
		if d.states {
			read = d.state
		}
		if line = strings.TrimSpace(line); !read(line) {
			return nil, fmt.Errorf("the line %q of a diagram is not understood: teach scripts/site/diagram.go", line)
		}
	}
	return d.lines(), nil
}

func (d *diagram) state(line string) bool {
	m := stateLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	from, to := m[1], m[2]
	if from == "[*]" {
		from = "begin"
	}
	if to == "[*]" {
		to = "end"
	}
	d.arrows = append(d.arrows, arrow{from, to, m[3]})
	return true
}

func (d *diagram) flow(line string) bool {
	if m := frameLine.FindStringSubmatch(line); m != nil {
		d.labels[m[1]] = m[2]
		d.open, d.frames = append(d.open, len(d.frames)), append(d.frames, frame{id: m[1]})
		return true
	}
	switch {
	case line == "end" && len(d.open) > 0:
		d.open = d.open[:len(d.open)-1]
		return true
	case strings.HasPrefix(line, "direction "):
		return true
	}
	links, before := between.FindAllStringSubmatch(line, -1), []string(nil)
	for n, text := range between.Split(line, -1) {
		here, ok := d.nodes(text)
		if !ok {
			return false
		}
		if n > 0 && strings.TrimSpace(links[n-1][0]) != "~~~" { // that one only says what stands beside what
			label := links[n-1][1] + links[n-1][2] + links[n-1][3]
			for _, from := range before {
				for _, to := range here {
					d.arrows = append(d.arrows, arrow{from, to, label})
				}
			}
		}
		before = here
	}
	return true
}

// nodes reads the nodes on one side of an arrow.
func (d *diagram) nodes(text string) (ids []string, ok bool) {
	for one := range strings.SplitSeq(text, " & ") {
		m := node.FindStringSubmatch(strings.TrimSpace(one))
		if m == nil {
			return nil, false
		}
		if m[2] != "" {
			d.labels[m[1]] = m[2]
		}
		if ids = append(ids, m[1]); len(d.open) > 0 {
			in := &d.frames[d.open[len(d.open)-1]]
			in.add(m[1])
		}
	}
	return ids, true
}

func (f *frame) add(id string) {
	for _, has := range f.nodes {
		if has == id {
			return
		}
	}
	f.nodes = append(f.nodes, id)
}

func (d *diagram) lines() (out []string) {
	for _, f := range d.frames {
		var in []string
		for _, id := range f.nodes {
			in = append(in, d.name(id))
		}
		out = append(out, fmt.Sprintf("%s. In it: %s", d.name(f.id), strings.Join(in, "; ")))
	}
	for _, a := range d.arrows {
		line := d.name(a.from) + " → " + d.name(a.to)
		if a.label != "" {
			line += ": " + a.label
		}
		out = append(out, line)
	}
	return out
}

func (d *diagram) name(id string) string {
	if label := d.labels[id]; label != "" {
		return label
	}
	return id
}

// diagrams puts words in the place of each diagram of a document.
func diagrams(tree ast.Node, source []byte) error {
	var found []*ast.FencedCodeBlock
	err := ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if block, ok := n.(*ast.FencedCodeBlock); ok && entering && string(block.Language(source)) == "mermaid" {
			found = append(found, block)
		}
		return ast.WalkContinue, nil
	})
	for _, block := range found {
		if err == nil {
			err = inWords(block, source)
		}
	}
	return err
}

// inWords puts the lines of a diagram in the place of its source.
func inWords(block *ast.FencedCodeBlock, source []byte) error {
	var text strings.Builder
	for i := range block.Lines().Len() {
		line := block.Lines().At(i)
		text.Write(line.Value(source))
	}
	lines, err := tell(text.String())
	if err != nil {
		return err
	}
	list := ast.NewList('-')
	list.IsTight = true
	for _, line := range lines {
		item, block := ast.NewListItem(0), ast.NewTextBlock()
		block.AppendChild(block, ast.NewString([]byte(line)))
		item.AppendChild(item, block)
		list.AppendChild(list, item)
	}
	block.Parent().ReplaceChild(block.Parent(), block, list)
	return nil
}
