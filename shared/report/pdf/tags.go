package pdf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// element is a part of the document for who listens to it: its kind (ISO 32000-1, 14.8.4), and what it holds in order.
type element struct {
	kind string
	alt  string // of a figure: what it shows
	span int    // of a cell: columns, when more than one
	kids []any  // *element, marking or linked
	ref  ref
}

// marking is a marked part of a page's content, by its number there.
type marking struct{ page, number int }

// linked is a link of a page.
type linked struct{ page, number int }

// in writes something as a part of what is being written.
func (d *document) in(kind, alt string, write func()) {
	outer := d.open
	if outer == nil {
		write()
		return
	}
	e := &element{kind: kind, alt: alt}
	outer.kids = append(outer.kids, e)
	d.open = e
	write()
	d.open = outer
	if len(e.kids) == 0 && alt == "" {
		outer.kids = outer.kids[:len(outer.kids)-1]
	}
}

// aside writes what is no content: a footer, a head that is repeated.
func (d *document) aside(write func()) {
	outer := d.open
	d.open = nil
	write()
	d.open = outer
}

// mark is how a marked part of the page begins. What a reader can not put together from the glyphs is told with it.
func (d *document) mark(s span) string {
	if d.open == nil {
		return "/Artifact <<>>"
	}
	n := len(d.marked)
	d.marked = append(d.marked, d.open)
	d.open.kids = append(d.open.kids, marking{d.page.number, n})
	if s.tells() {
		return fmt.Sprintf(
			"/Span <</MCID %d /ActualText %s>>",
			n,
			words(s.text),
		) // some readers look for it there alone
	}
	return fmt.Sprintf("/%s <</MCID %d>>", d.open.kind, n)
}

// tells reports whether a reader needs to be told the text: some of its glyphs stand for several characters or for
// none. Not of a text that is written from the right, which readers take to be told in the order of the eye.
func (s span) tells() bool {
	for _, g := range s.glyphs {
		if len([]rune(g.text)) != 1 {
			return !s.backwards
		}
	}
	return false
}

// structure writes the tree of elements (ISO 32000-1, 14.7).
type structure struct {
	*objects
	pages []*page
	refs  []ref
	tree  ref
	links [][]ref // of each page: its annotations
	count int     // of all annotations so far
}

// annotations writes the links of a page. Their numbers in the tree of parents follow those of the pages.
func (s *structure) annotations(n int) string {
	var own []ref
	for _, l := range s.pages[n].links {
		own = append(
			own,
			s.add(fmt.Sprintf(
				"<</Type /Annot /Subtype /Link /Rect [%s %s %s %s] /Border [0 0 0] /F 4 /StructParent %d /Contents "+
					"%s /A <</S /URI /URI %s>>>>",
				number(
					l.x0,
				),
				number(l.y0),
				number(l.x1),
				number(l.y1),
				len(s.pages)+s.count,
				words("Opens "+l.address),
				literal(l.address),
			)),
		)
		s.count++
	}
	s.links = append(s.links, own)
	if len(own) == 0 {
		return ""
	}
	return " /Annots [" + join(own) + "]"
}

func (s *structure) write(root *element) {
	place := map[*element]linked{}
	for n, p := range s.pages {
		for k, l := range p.links {
			place[l.of] = linked{n, k}
		}
	}
	s.element(root, s.tree, place)
	var parents []string
	for n, p := range s.pages {
		list := make([]ref, len(p.marked))
		for k, e := range p.marked {
			list[k] = e.ref
		}
		parents = append(parents, fmt.Sprintf("%d [%s]", n, join(list)))
	}
	next := len(s.pages)
	for _, p := range s.pages {
		for _, l := range p.links {
			parents = append(parents, fmt.Sprintf("%d %s", next, l.of.ref))
			next++
		}
	}
	numbers := s.add("<</Nums [" + strings.Join(parents, " ") + "]>>")
	s.put(
		s.tree,
		fmt.Sprintf("<</Type /StructTreeRoot /K %s /ParentTree %s /ParentTreeNextKey %d>>", root.ref, numbers, next),
	)
}

func (s *structure) element(e *element, parent ref, links map[*element]linked) {
	e.ref = s.next()
	var kids []string
	for _, k := range e.kids {
		switch k := k.(type) {
		case *element:
			s.element(k, e.ref, links)
			kids = append(kids, k.ref.String())
		case marking:
			kids = append(kids, fmt.Sprintf("<</Type /MCR /Pg %s /MCID %d>>", s.refs[k.page], k.number))
		}
	}
	if l, ok := links[e]; ok {
		kids = append(kids, fmt.Sprintf("<</Type /OBJR /Pg %s /Obj %s>>", s.refs[l.page], s.links[l.page][l.number]))
	}
	entries := ""
	if e.alt != "" {
		entries += " /Alt " + words(e.alt)
	}
	switch {
	case e.kind == "TH":
		entries += " /A <</O /Table /Scope /Column>>"
	case e.span > 1:
		entries += fmt.Sprintf(" /A <</O /Table /ColSpan %d>>", e.span)
	}
	s.put(
		e.ref,
		fmt.Sprintf("<</Type /StructElem /S /%s /P %s /K [%s]%s>>", e.kind, parent, strings.Join(kids, " "), entries),
	)
}

// metadata is what programs that know no PDF read of it (XMP, ISO 16684-1).
func metadata(i info) []byte {
	escaped := func(s string) string {
		var out bytes.Buffer
		_ = xml.EscapeText(&out, []byte(s)) // a buffer takes everything
		return out.String()
	}
	return []byte(`<?xpacket begin="` + "\ufeff" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + escaped(i.title) + `</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>` + escaped(i.author) + `</rdf:li></rdf:Seq></dc:creator>
<xmp:CreateDate>` + i.made.UTC().Format("2006-01-02T15:04:05Z") + `</xmp:CreateDate>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>`)
}
