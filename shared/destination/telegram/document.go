package telegram

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/notification"
)

// Limits of sendDocument. Telegram, Bot API, "sendDocument": a caption of 1024 characters, counted as UTF-16, files of
// 50 MB.
const (
	maxCaption  = 1024
	maxDocument = 50_000_000
)

// uploadTimeout of one document: a report of some megabytes takes longer than a message.
const uploadTimeout = time.Minute

// documents sends the files of a report, the first with the headline numbers as its caption.
func (d Destination) documents(chat int64, m notification.Notification) ([]destination.Request, error) {
	var out []destination.Request
	for n, f := range m.Report.Files {
		caption := ""
		if n == 0 {
			caption = m.Report.Caption
			if note := m.LateNote(); note != "" {
				caption = note + "\n" + caption
			}
			caption = cut.UTF16(destination.Printable(caption), maxCaption)
		}
		q, err := d.document(chat, caption, f)
		if err != nil {
			return nil, fmt.Errorf("write the Telegram document %s: %w", f.Name, err)
		}
		out = append(out, q)
	}
	return out, nil
}

func (d Destination) document(chat int64, caption string, f notification.File) (destination.Request, error) {
	if len(f.Data) > maxDocument {
		return destination.Request{}, fmt.Errorf("it has %d bytes, Telegram takes %d: ask for a shorter period",
			len(f.Data), maxDocument)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	// The same file gives the same request: a boundary made of its content is in no part of it.
	sum := sha256.Sum256(f.Data)
	if err := w.SetBoundary(hex.EncodeToString(sum[:])); err != nil {
		return destination.Request{}, err
	}
	if err := w.WriteField("chat_id", strconv.FormatInt(chat, 10)); err != nil {
		return destination.Request{}, err
	}
	if caption != "" {
		if err := w.WriteField("caption", caption); err != nil {
			return destination.Request{}, err
		}
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="document"; filename=%q`, f.Name)},
		"Content-Type":        {f.Type},
	})
	if err != nil {
		return destination.Request{}, err
	}
	if _, err := part.Write(f.Data); err != nil {
		return destination.Request{}, err
	}
	if err := w.Close(); err != nil {
		return destination.Request{}, err
	}
	return destination.Request{
		Method: http.MethodPost, URL: d.bot.URL("sendDocument"), Body: body.Bytes(),
		Header:    http.Header{"Content-Type": {w.FormDataContentType()}},
		Transport: destination.Transport{Timeout: uploadTimeout},
	}, nil
}
