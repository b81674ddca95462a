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
