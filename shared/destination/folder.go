package destination

import (
	"cmp"
	"embed"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Folder is what a system's folder holds beside its code: what a person sees of the system.
type Folder struct {
	// SetUp is Markdown shown beside the form (setup.md), "" when the system needs no steps at its own side.
	SetUp string
	// SetUpIn is SetUp in further languages (setup.<language>.md, such as setup.ja.md), by language.
	SetUpIn map[string]string
	// Icon is the path of a drawing of 24 units with one stroke (icon.svg; SVG 2, "The d property"). A system's own
	// logo is its owner's.
	Icon string
	// Texts are those of the system's title, form and set-up in further languages (<language>.json, such as ja.json),
	// by language and by the English text.
	Texts map[string]map[string]string
}

// ReadFolder reads the files that a system embeds. It panics where one is damaged or the icon is missing: a test of
// every system would fail.
func ReadFolder(files embed.FS) Folder {
	f := Folder{SetUpIn: map[string]string{}, Texts: map[string]map[string]string{}}
	setUp, err := files.ReadFile("setup.md")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic(err) // embedded files can always be read
	}
	f.SetUp = string(setUp)
	if f.Icon, err = icon(files); err != nil {
		panic(fmt.Sprintf("a system's folder: icon.svg: %v", err))
	}
	translated, err := fs.Glob(files, "setup.*.md")
	for _, name := range translated {
		raw, failed := files.ReadFile(name)
		err = cmp.Or(err, failed)
		f.SetUpIn[strings.TrimSuffix(strings.TrimPrefix(name, "setup."), ".md")] = string(raw)
	}
	if err != nil {
		panic(err) // embedded files can always be read
	}
	names, err := fs.Glob(files, "*.json")
	for _, name := range names {
		texts := map[string]string{}
		raw, failed := files.ReadFile(name)
		err = cmp.Or(err, failed, json.Unmarshal(raw, &texts))
		f.Texts[strings.TrimSuffix(name, ".json")] = texts
	}
	if err != nil {
		panic(fmt.Sprintf("a system's folder: its texts: %v", err))
	}
	return f
}

// icon is the path of icon.svg, which holds just one.
func icon(files embed.FS) (string, error) {
	raw, err := files.ReadFile("icon.svg")
	if err != nil {
		return "", err
	}
	var drawing struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal(raw, &drawing); err != nil {
		return "", err
	}
	if len(drawing.Paths) != 1 || drawing.Paths[0].D == "" || drawing.ViewBox != "0 0 24 24" {
		return "", fmt.Errorf("it has %d paths in %q: one path of 24 units is drawn", len(drawing.Paths),
			drawing.ViewBox)
	}
	return drawing.Paths[0].D, nil
}
