package pdf

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// objects writes the objects of a PDF file (ISO 32000-1, 7.3 and 7.5). Numbers of objects are taken before they are
// written, because objects name one another. What is no stream itself is packed into streams at the end (7.5.7): the
// tree of elements of a long report has thousands of small objects.
type objects struct {
	out    bytes.Buffer
	bodies []string // of objects that are no streams
	places []position
}

// position of an object: where it stands in the file, or its stream and its number there.
type position struct{ offset, stream, number int }

// ref is the number of an object, from 1.
type ref int

func (r ref) String() string { return fmt.Sprintf("%d 0 R", int(r)) }

func newObjects() *objects {
	o := &objects{}
	o.out.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n") // the second line says that the file is binary
	return o
}

func (o *objects) next() ref {
	o.bodies, o.places = append(o.bodies, ""), append(o.places, position{})
	return ref(len(o.bodies))
}

// put sets an object's value.
func (o *objects) put(r ref, body string) { o.bodies[r-1] = body }

func (o *objects) add(body string) ref {
	r := o.next()
	o.put(r, body)
	return r
}

// stream adds a compressed stream; entries are those of its dictionary beside Length and Filter.
func (o *objects) stream(entries string, raw []byte) (ref, error) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(raw); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return o.plain(entries+" /Filter /FlateDecode", packed.Bytes()), nil
}

// plain adds a stream as it is: metadata is to be found by programs that know no PDF.
func (o *objects) plain(entries string, raw []byte) ref {
	r := o.next()
	o.places[r-1].offset = o.out.Len()
	fmt.Fprintf(&o.out, "%d 0 obj\n<<%s /Length %d>>\nstream\n", int(r), entries, len(raw))
	o.out.Write(raw)
	o.out.WriteString("\nendstream\nendobj\n")
	return r
}

// packed is how many objects one stream holds: a reader unpacks a stream for any of them.
const packed = 200

// pack writes the objects that are no streams.
func (o *objects) pack() error {
	var numbers []int
	for n, body := range o.bodies {
		if body != "" {
			numbers = append(numbers, n)
		}
	}
	for chunk := range slices.Chunk(numbers, packed) {
		var head, bodies strings.Builder
		for _, n := range chunk {
			fmt.Fprintf(&head, "%d %d ", n+1, bodies.Len())
			bodies.WriteString(o.bodies[n] + "\n")
		}
		r, err := o.stream(
			fmt.Sprintf("/Type /ObjStm /N %d /First %d", len(chunk), head.Len()),
			[]byte(head.String()+bodies.String()),
		)
		if err != nil {
			return err
		}
		for k, n := range chunk {
			o.places[n] = position{stream: int(r), number: k}
		}
	}
	return nil
}

// end writes the table of objects, a stream itself (7.5.8). id is 32 hexadecimal digits.
func (o *objects) end(root, info ref, id string) ([]byte, error) {
	if err := o.pack(); err != nil {
		return nil, err
	}
	at := o.out.Len()
	o.places = append(o.places, position{offset: at}) // of the table itself, which is the next object
	table := []byte{0, 0, 0, 0, 0, 0xff, 0xff}
	for _, p := range o.places {
		kind, first, second := byte(1), p.offset, 0
		if p.stream > 0 {
			kind, first, second = 2, p.stream, p.number
		}
		table = append(table, kind)
		table = binary.BigEndian.AppendUint32(table, uint32(first))
		table = binary.BigEndian.AppendUint16(table, uint16(second))
	}
	o.places = o.places[:len(o.places)-1]
	entries := fmt.Sprintf("/Type /XRef /Size %d /W [1 4 2] /Root %s /Info %s /ID [<%s> <%s>]",
		len(o.places)+2, root, info, id, id)
	if _, err := o.stream(entries, table); err != nil {
		return nil, err
	}
	fmt.Fprintf(&o.out, "startxref\n%d\n%%%%EOF\n", at)
	return o.out.Bytes(), nil
}

// words is a text string: UTF-16 with a byte order mark, in hexadecimal digits, so that no character of it means
// anything.
func words(s string) string {
	var out strings.Builder
	out.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&out, "%04X", u)
	}
	return out.String() + ">"
}

// literal is a string of bytes, for addresses.
func literal(s string) string {
	return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`, "\r", `\r`, "\n", `\n`).Replace(s) + ")"
}

// number writes a number with so many digits as a page needs: a thousandth of a point.
func number(v float64) string {
	s := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}
