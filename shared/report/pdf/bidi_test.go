package pdf

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// seen is a text as the eye reads it, from left to right.
func seen(s string) string {
	out := ""
	for _, part := range inVisualOrder(s, []run{{0, s}}) {
		text := []rune(part.text)
		if part.backwards {
			for i, j := 0, len(text)-1; i < j; i, j = i+1, j-1 {
				text[i], text[j] = text[j], text[i]
			}
		}
		out += string(text)
	}
	return out
}

// What is wanted is what GNU FriBidi (fribidi --ltr --nomirror) makes of these texts.
func TestTextOfBothDirectionsStandsInTheOrderOfTheEye(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"abc":                   "abc",
		"שלום":                  "םולש",
		"abc שלום def":          "abc םולש def",
		"שלום.example":          "םולש.example",
		"שלום 12 abc":           "12 םולש abc",
		"שלום 12 עולם":          "םלוע 12 םולש",
		"שלום 1,200.50 עולם x":  "םלוע 1,200.50 םולש x",
		"שלום 50% x":            "50% םולש x",
		"GET /שלום/12/x?a=עולם": "GET /12/םולש/x?a=םלוע",
		"שלום, עולם 7":          "7 םלוע ,םולש",
		"1 שלום 2":              "1 2 םולש",
	} {
		require.Equal(t, want, seen(in), in)
	}
}

// TestTheOrderOfTheEyeIsThatOfFriBidi compares 5,000 short texts with GNU FriBidi. Brackets are not among their
// letters: the library of Go pairs some around numbers in another way.
func TestTheOrderOfTheEyeIsThatOfFriBidi(t *testing.T) {
	path, err := exec.LookPath("fribidi")
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("TOCSIN_NEED_POPPLER") == "" {
		t.Skip("fribidi is not installed: make test-reports installs it")
	}
	require.NoError(t, err)
	letters := []rune("אבגمر 12٣ .,%/-abc:=?&")
	draw := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for len(texts) < 5000 {
		s := make([]rune, 1+draw.IntN(14))
		for i := range s {
			s[i] = letters[draw.IntN(len(letters))]
		}
		if strings.TrimSpace(string(s)) != "" {
			texts = append(texts, strings.TrimSpace(string(s)))
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "--ltr", "--nopad", "--nobreak", "--levels", "--novisual")
	cmd.Stdin = strings.NewReader(strings.Join(texts, "\n") + "\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	want := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Len(t, want, len(texts))
	for n, s := range texts {
		levels := levels(s)
		var got []string
		for i := range s {
			got = append(got, strconv.Itoa(levels[i]))
		}
		require.Equal(t, strings.TrimSpace(want[n]), strings.Join(got, " "), "%q", s)
	}
}
