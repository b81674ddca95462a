// Command fonts packs the fonts of the PDFs (shared/report/pdf) for the program. The WOFF files of the npm packages
// that pdf's package comment names become the sfnt files that they hold, compressed by zstd. The Chinese and the Korean
// font share outlines with the Japanese one, and are compressed with that one before them. So all are a fifth smaller
// than the WOFF files.
//
//	npm install --no-save --ignore-scripts @fontsource/noto-sans@5.3.0 ...
//	go run ./scripts/fonts node_modules/@fontsource/*/files/NAME.woff ...
//
// It needs the program zstd. The tables of a font are not changed: a test compares them with their checksums.
package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"tocsin/scripts/tool"
	"tocsin/shared/report/pdf"
)

func main() { tool.Main("fonts", run) }

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("fonts", flag.ContinueOnError)
	out := f.String("out", filepath.FromSlash("shared/report/pdf/fonts"), "the folder to write to")
	if err := f.Parse(args); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tocsin-fonts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	unpacked := func(name string) string { return filepath.Join(work, name+".ttf") }
	var names []string
	for _, file := range f.Args() {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		font, err := sfnt(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".woff")
		if err := os.WriteFile(unpacked(name), font, 0o600); err != nil {
			return err
		}
		names = append(names, name)
	}
	for _, name := range names {
		command := []string{"--quiet", "--force", "--ultra", "-22", "--single-thread", "--no-check"}
		if before, ok := pdf.After[name]; ok {
			command = append(command, "--patch-from="+unpacked(before))
		}
		command = append(command, unpacked(name), "-o", filepath.Join(*out, name+".ttf.zst"))
		if said, err := exec.CommandContext(ctx, "zstd", command...).CombinedOutput(); err != nil {
			return fmt.Errorf("compress %s: %w: %s", name, err, said)
		}
	}
	return nil
}

// woffHeader is the first of a file, and woffTable tells of each table. WOFF File Format 1.0, 3 and 4.
type woffHeader struct {
	Signature, Flavor, Length uint32
	Tables, _                 uint16
	Size                      uint32
	_                         [6]uint32
}

type woffTable struct{ Tag, Offset, Packed, Size, Checksum uint32 }

// sfnt is the font in a WOFF file, its tables in the order in which they come there.
func sfnt(woff []byte) ([]byte, error) {
	in := bytes.NewReader(woff)
	var h woffHeader
	if err := binary.Read(in, binary.BigEndian, &h); err != nil {
		return nil, err
	}
	if h.Signature != 0x774f4646 {
		return nil, errors.New("it is no WOFF file")
	}
	tables := make([]woffTable, h.Tables)
	if err := binary.Read(in, binary.BigEndian, tables); err != nil {
		return nil, err
	}
	var head, body bytes.Buffer
	begins := 12 + 16*len(tables)
	put := func(v ...any) {
		for _, v := range v {
			_ = binary.Write(&head, binary.BigEndian, v) // a buffer takes all
		}
	}
	put(h.Flavor, h.Tables, [3]uint16{}) // the three are for a binary search that no reader needs
	for _, t := range tables {
		put(t.Tag, t.Checksum, uint32(begins+body.Len()), t.Size)
		raw := io.Reader(io.NewSectionReader(bytes.NewReader(woff), int64(t.Offset), int64(t.Packed)))
		if t.Packed < t.Size {
			var err error
			if raw, err = zlib.NewReader(raw); err != nil {
				return nil, err
			}
		}
		n, err := io.Copy(&body, raw)
		if err != nil {
			return nil, err
		}
		if n != int64(t.Size) {
			return nil, fmt.Errorf("a table has %d bytes, and should have %d", n, t.Size)
		}
		body.Write(make([]byte, -n&3))
	}
	return append(head.Bytes(), body.Bytes()...), nil
}
