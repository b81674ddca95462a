package telegram_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"tocsin/shared/destination"
	"tocsin/shared/destination/destinationtest"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/event"
	"tocsin/shared/notification"
)

func report(caption string, files ...notification.File) notification.Notification {
	return notification.Notification{
		Platform: destinationtest.Platform, Event: event.Event{ID: "e", Tenant: "42", Kind: event.Report,
			Time: destinationtest.Now, Data: []byte(`{}`)},
		Report: &notification.Report{Title: "Weekly report", Caption: caption, Files: files},
	}
}

// form reads a request as a server does, with the standard library's reader.
func form(t *testing.T, r destination.Request) (fields map[string]string, file []byte, name string) {
	t.Helper()
	require.Equal(t, "https://api.telegram.org/bot"+token+"/sendDocument", r.URL)
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/form-data", kind)
	got, err := multipart.NewReader(bytes.NewReader(r.Body), params["boundary"]).ReadForm(60 << 20)
	require.NoError(t, err)
	fields = map[string]string{}
	for k, v := range got.Value {
		fields[k] = v[0]
	}
	h := got.File["document"][0]
	require.NotEmpty(t, h.Header.Get("Content-Type"))
	f, err := h.Open()
	require.NoError(t, err)
	file, err = io.ReadAll(f)
	require.NoError(t, err)
	return fields, file, h.Filename
}

func TestAReportIsADocument(t *testing.T) {
	pdf := notification.File{Name: "tocsin-weekly-report-2023-W09.pdf", Type: "application/pdf",
		Data: []byte("%PDF-\x00\r\n--x\xff")}
	n := report("Weekly report\nAcme 注文\n\n7 malicious requests <b>", pdf,
		notification.File{Name: "b.csv", Type: "text/csv", Data: []byte("a\r\n")})
	rs := destinationtest.Encode(t, suite, n)
	require.Len(t, rs, 2)
	fields, file, name := form(t, rs[0])
	require.Equal(t, "-1001557912345", fields["chat_id"])
	require.Equal(t, "Weekly report\nAcme 注文\n\n7 malicious requests <b>", fields["caption"],
		"no markup: nothing is to be escaped")
	require.Empty(t, fields["parse_mode"])
	require.Equal(t, pdf.Data, file)
	require.Equal(t, pdf.Name, name)
	fields, _, _ = form(t, rs[1])
	require.Empty(t, fields["caption"])
	require.Equal(t, rs, destinationtest.Encode(t, suite, n), "a repeat is the same request")
	n.Late = true
	fields, _, _ = form(t, destinationtest.Encode(t, suite, n)[0])
	require.Equal(t, "Made on 1 March 2023, 00:00 UTC; sent late.\n"+n.Report.Caption, fields["caption"])
}

func TestACaptionIsCut(t *testing.T) {
	fields, _, _ := form(t, destinationtest.Encode(t, suite,
		report(strings.Repeat("🚨", 5000), notification.File{Name: "a.pdf", Type: "application/pdf",
			Data: []byte{1}}))[0])
	require.LessOrEqual(t, len(utf16.Encode([]rune(fields["caption"]))), 1024)
}

func TestADocumentOverTheLimitIsRefused(t *testing.T) {
	n := report("x", notification.File{Name: "a.csv", Type: "text/csv", Data: make([]byte, 50_000_001)})
	parameters, err := suite.Destination.System().Parameters.Open([]byte(suite.Parameters))
	require.NoError(t, err)
	_, err = telegram.New(telegram.Bot{Token: token}).Encode(destination.Target{Parameters: parameters},
		[]notification.Notification{n})
	require.ErrorContains(t, err, "ask for a shorter period")
}
