package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"io/fs"
	"time"
)

// file is one of an archive.
type file struct {
	name string
	body []byte
	mode fs.FileMode
}

func extension(p platform) string {
	if p.os == "windows" {
		return ".zip"
	}
	return ".tar.gz"
}

// pack makes an archive whose files lie in a folder. Nothing in it depends on who packs, or when.
func pack(p platform, files []file, folder string, made time.Time) ([]byte, error) {
	var out bytes.Buffer
	write := tarred
	if p.os == "windows" {
		write = zipped
	}
	err := write(&out, files, folder, made)
	return out.Bytes(), err
}

func tarred(out io.Writer, files []file, folder string, made time.Time) error {
	z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: folder + "/" + f.name, Mode: int64(f.mode), Size: int64(len(f.body)),
			ModTime: made, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := w.Write(f.body); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return z.Close()
}

func zipped(out io.Writer, files []file, folder string, made time.Time) error {
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(out, flate.BestCompression)
	})
	for _, f := range files {
		h := &zip.FileHeader{Name: folder + "/" + f.name, Method: zip.Deflate, Modified: made}
		h.SetMode(f.mode)
		one, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := one.Write(f.body); err != nil {
			return err
		}
	}
	return w.Close()
}
