package timezone_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/timezone"
)

func TestAZoneIsOneThatSomebodyIsIn(t *testing.T) {
	for name, says := range map[string]string{
		"UTC": "", "Europe/Berlin": "", "Asia/Tokyo": "", "America/Argentina/Buenos_Aires": "", "EST5EDT": "",
		"Etc/GMT+5": "", "": "must be a time zone such as Europe/Berlin",
		"Local": "must be a time zone", "Factory": "must be a time zone", "localtime": "must be a time zone",
		"posixrules": "must be a time zone", "posix/Europe/Berlin": "is none", "right/Europe/Berlin": "is none",
		"Mars": `"Mars" is none`, "../etc/passwd": "is none", "/etc/localtime": "is none", "zone.tab": "is none",
		"Europe": "is none", "Europe/": "is none",
	} {
		err := timezone.Check(name)
		if says == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, timezone.Err, name)
		require.ErrorContains(t, err, says, name)
	}
	require.Equal(t, "UTC", timezone.Open("").String())
	require.Equal(t, "UTC", timezone.Open("Mars").String())
	require.Equal(t, "Asia/Tokyo", timezone.Open("Asia/Tokyo").String())
}

// TestEveryPlaceOfTheDatabaseIsAZone: zone1970.tab lists the places that the database has, where the system has it.
func TestEveryPlaceOfTheDatabaseIsAZone(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("/usr/share/zoneinfo", "zone1970.tab"))
	if err != nil {
		t.Skip("this system has no list of zones")
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name := strings.TrimSpace(strings.Split(line, "\t")[2])
		require.NoError(t, timezone.Check(name))
		require.Equal(t, name, timezone.Open(name).String())
		n++
	}
	require.Greater(t, n, 300)
}
