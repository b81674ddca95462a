package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"go.yaml.in/yaml/v3"
)

// settings is the content of the file in which a person keeps where Tocsin is.
type settings struct {
	URL       string `yaml:"url"`
	Token     string `yaml:"token"`
	TokenFile string `yaml:"token_file"`
	Tenant    string `yaml:"tenant"`
	EventsURL string `yaml:"events_url"`
}

// maxSettings bounds the file, in bytes.
const maxSettings = 64 << 10

// read reads the file, where there is one.
func (s *Session) read() (kept settings, err error) {
	path, named := or(s.file, s.Getenv("TOCSIN_CONFIG")), true
	if path == "" {
		folder, err := os.UserConfigDir()
		if err != nil { // as for a service, which has no home
			return kept, nil //nolint:nilerr // then there is none
		}
		path, named = filepath.Join(folder, "tocsin", "client.yaml"), false
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return kept, nil
	}
	if err != nil {
		return kept, fmt.Errorf("read the file of -config: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return kept, fmt.Errorf("read %s: %w", path, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if decoder.Decode(&kept) != nil && len(bytes.TrimSpace(raw)) > 0 {
		// What is wrong is not repeated: it can be the token.
		return settings{}, fmt.Errorf("%s can not be read: it has lines such as `url: https://…`, with url, token, "+
			"token_file, tenant and events_url", path)
	}
	about, err := f.Stat()
	if err != nil {
		return settings{}, fmt.Errorf("look at %s: %w", path, err)
	}
	if kept.Token != "" && runtime.GOOS != "windows" && about.Mode().Perm()&0o077 != 0 {
		return settings{}, fmt.Errorf("%s holds a token, and others can read it: chmod 600 %s", path, path)
	}
	if kept.TokenFile != "" && !filepath.IsAbs(kept.TokenFile) {
		kept.TokenFile = filepath.Join(filepath.Dir(path), kept.TokenFile)
	}
	return kept, nil
}
