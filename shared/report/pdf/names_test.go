package pdf_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"tocsin/shared/report/pdf"
	"tocsin/shared/wording"
)

var update = flag.Bool("update", false, "write countries.tsv anew")

// Every code of two letters has the name that the CLDR gives it in both languages.
func TestCountriesHaveTheNamesOfTheCLDR(t *testing.T) {
	var rows []byte
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			region, err := language.ParseRegion(code)
			if err != nil || !region.IsCountry() {
				require.Equal(t, code, pdf.CountryName(code, wording.English))
				continue
			}
			english, japanese := display.English.Regions().Name(region), display.Japanese.Regions().Name(region)
			if english == "" || japanese == "" {
				require.Empty(t, english+japanese, "%s has a name in one language", code)
				continue
			}
			if region.String() == code {
				rows = append(rows, (code + "\t" + english + "\t" + japanese + "\n")...)
			}
			if *update {
				continue
			}
			require.Equal(t, english, pdf.CountryName(code, wording.English))
			require.Equal(t, japanese, pdf.CountryName(code, wording.Japanese))
		}
	}
	if *update {
		require.NoError(t, os.WriteFile("countries.tsv", rows, 0o644))
	}
}
