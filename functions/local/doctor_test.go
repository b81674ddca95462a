package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheDoctorLooksAtARunningProgramAndAtAStoppedOne(t *testing.T) {
	folder := furnished(t)
	p := running(t, folder)
	at := append(files(folder), "-listen", strings.TrimPrefix(p.URL, "http://"), "-listen-bus",
		strings.TrimPrefix(p.Bus, "http://"))
	said := command(t, append([]string{"doctor", "-offline"}, at...)...)
	require.Contains(t, said, "and is ready")
	require.Contains(t, said, "opens all 4 secrets")
	_, err := p.Stop()
	require.NoError(t, err)
	require.Contains(t, command(t, append([]string{"doctor", "-offline"}, at...)...), "(-listen) is free")

	require.NoError(t, os.Remove(folder+"/tocsin.key"))
	binary, err := build()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), binary,
		append([]string{"doctor", "-json", "-offline"}, at...)...).Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, string(exit.Stderr), "1 of ")
	var found struct {
		Faults   int
		Findings []struct{ Check, Verdict, Mend string }
	}
	require.NoError(t, json.Unmarshal(out, &found))
	require.Equal(t, 1, found.Faults)
	require.Contains(t, fails(t, "doctor", "-colour", "red"), "usage: tocsin doctor")
}

// TestTheDoctorRefusesWhatAStartRefuses: variables of traces, and addresses that are none.
func TestTheDoctorRefusesWhatAStartRefuses(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	t.Setenv(endpoint, "http://localhost:4318")
	t.Setenv("OTEL_TRACES_SAMPLER", "foo")
	for _, command := range [][]string{{"doctor", "-offline"}, nil} {
		require.Contains(t, fails(t, append(command, files(t.TempDir())...)...), `OTEL_TRACES_SAMPLER is "foo"`)
	}
	t.Setenv(endpoint, "")
	for _, command := range [][]string{{"doctor", "-offline"}, nil} {
		for _, wrong := range [][2]string{{"-listen-metrics", "29122"}, {"-listen", "0.0.0.0:99999"},
			{"-listen-bus", "localhost"}} {
			said := fails(t, append(append(command, files(t.TempDir())...), wrong[:]...)...)
			require.Contains(t, said, wrong[0]+` "`+wrong[1]+`" is no address: write host:port`)
			require.NotContains(t, said, "other machines")
		}
	}
}

// TestTheDoctorsOwnFlagsAreFlags: with a value, and in its help.
func TestTheDoctorsOwnFlagsAreFlags(t *testing.T) {
	at := append(files(furnished(t)), "-listen", "127.0.0.1:0", "-listen-bus", "127.0.0.1:0", "-offline=true",
		"--json=true")
	require.True(t, json.Valid([]byte(command(t, append([]string{"doctor"}, at...)...))))
	binary, err := build()
	require.NoError(t, err)
	help, err := exec.CommandContext(t.Context(), binary, "doctor", "-help").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(help), "usage: tocsin doctor [-json] [-offline]")
	require.Contains(t, string(help), "  -json\n")
	require.Contains(t, string(help), "  -offline\n")
}

func TestHelpThatCanNotBeWrittenIsNoSuccess(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no device here is always full: ", err)
	}
	defer full.Close()
	binary, err := build()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), binary, "help")
	c.Stdout = full
	require.Error(t, c.Run())
}
