package rest

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/plaintext"
)

// csvBytes is after how much a file ends. API Gateway and Lambda answer with at most 6 MB.
const csvBytes = 4 << 20

// CSVFile is a part of a list as CSV.
type CSVFile struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	NextCursor  string `header:"X-Next-Cursor" doc:"there is more: ask again with it; the file has no headings then"`
	Body        []byte
}

// CSVAnswers is how an operation that answers with a CSVFile is documented.
func CSVAnswers() map[string]*huma.Response {
	return map[string]*huma.Response{strconv.Itoa(http.StatusOK): {Description: "OK",
		Content: map[string]*huma.MediaType{"text/csv": {}}}}
}

// CSVPage is a page of a list, and where the list goes on: "" at its end.
type CSVPage struct {
	Lines [][]string
	Rows  int // of the list; one can have several lines
	Next  string
	// Whole: it is as long as was asked for. The file ends with a page that is not: who reads asks again, with the
	// cursor.
	Whole bool
}

// CSV writes pages of a list, the first one from its id, until there are so many rows. Every value is a Cell.
func (k Kit) CSV(name string, headings []string, rows int, list List, tenant, from string,
	read func(from string) (CSVPage, error)) (*CSVFile, error) {
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	if from == "" {
		_ = w.Write(headings) // a buffer takes everything
	}
	for n := 0; n < rows && file.Len() < csvBytes; {
		page, err := read(from)
		if err != nil {
			return nil, err
		}
		for _, line := range page.Lines {
			for i := range line {
				line[i] = plaintext.Cell(line[i])
			}
			_ = w.Write(line)
		}
		w.Flush()
		n += page.Rows
		if from = page.Next; from == "" || !page.Whole {
			break
		}
	}
	out := &CSVFile{ContentType: "text/csv; charset=utf-8", Body: file.Bytes(),
		Disposition: `attachment; filename="` + name + "-" + k.Now().UTC().Format(time.DateOnly) + `.csv"`}
	if from != "" {
		out.NextCursor = MakeCursor(list, tenant, from)
	}
	return out, nil
}
