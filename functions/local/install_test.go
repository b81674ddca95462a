package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// installing is the page with what stands for a service and for a container.
func installing(t *testing.T) (page, unit, image string) {
	t.Helper()
	text := func(name string) string {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(raw)
	}
	return text("../../docs/install.md"), text("../../infra/systemd/tocsin.service"),
		text("../../infra/container/Dockerfile")
}

// The commands that the page has for a service are run beside a program with the unit's files, in another folder, as
// they stand but for the folder and sudo; and so is what the page has for a container, with the image's variables.
func TestTheCommandsThatInstallingHasForAServiceAndAContainerAreRun(t *testing.T) {
	page, unit, image := installing(t)
	folder := t.TempDir()
	const files = "TOCSIN_STATE=/var/lib/tocsin/tocsin.db TOCSIN_KEY=/var/lib/tocsin/tocsin.key"
	require.Contains(t, unit, "\nEnvironment="+files+"\n")
	require.Contains(t, regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(image, " "), "\nENV "+files+" ")
	p := running(t, folder)
	binary, err := build()
	require.NoError(t, err)
	t.Setenv("TOCSIN_PASSPHRASE", "correct horse battery staple")
	said := map[string]string{}
	do := func(command string, env ...string) {
		words := regexp.MustCompile(`^\S+`).ReplaceAllString(strings.ReplaceAll(command, "/var/lib/tocsin", folder), "")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "'"+binary+"'"+words)
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
		said[command] = string(out)
	}
	if runtime.GOOS == "windows" {
		t.Skip("the page is for a shell")
	}
	service := regexp.MustCompile("sudo ((?:/usr/local/bin/)?tocsin [^`\n]*)")
	for _, m := range service.FindAllStringSubmatch(page, -1) {
		do(m[1])
	}
	inside := regexp.MustCompile("(?:docker exec tocsin|kubectl exec deployment/tocsin --) (/tocsin [^`\n]*)")
	for _, m := range inside.FindAllStringSubmatch(page, -1) {
		do(m[1], strings.Fields(strings.ReplaceAll(files, "/var/lib/tocsin", folder))...)
	}
	for command, has := range map[string]string{
		"/usr/local/bin/tocsin sign-in admin@example.com -state /var/lib/tocsin/tocsin.db": p.URL + "/sign-in#code=",
		"/tocsin sign-in admin@example.com":                                                p.URL + "/sign-in#code=",
		"tocsin token create NAME -state /var/lib/tocsin/tocsin.db":                        "The API token NAME",
		"/tocsin token create NAME":                                                        "The API token NAME",
		"tocsin publisher-key add NAME -key /var/lib/tocsin/tocsin.key":                    "AWS_SECRET_ACCESS_KEY=",
		"/tocsin publisher-key add NAME":                                                   "AWS_SECRET_ACCESS_KEY=",
	} {
		require.Contains(t, said[command], has, command)
	}
	require.NotContains(t, p.Output(), "#code=")
}

// Some of the variables are secrets.
func TestTheFileOfVariablesThatInstallingMakesIsForNobodyElse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the page is for a shell")
	}
	page, _, _ := installing(t)
	made := regexp.MustCompile("(?m)^(echo TOCSIN_PUBLIC_URL=.*)$").FindStringSubmatch(page)
	require.NotNil(t, made)
	folder := t.TempDir()
	command := strings.NewReplacer("sudo ", "", "/etc/tocsin", folder).Replace(made[1])
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "umask 022; "+command)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	info, err := os.Stat(filepath.Join(folder, "environment"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	raw, err := os.ReadFile(filepath.Join(folder, "environment"))
	require.NoError(t, err)
	require.Equal(t, "TOCSIN_PUBLIC_URL=https://tocsin.example.com\n", string(raw))
}

// A long step of the layout was killed after a minute, and begun anew at the next start, without an end.
func TestKubernetesWaitsForAStartThatTakesLong(t *testing.T) {
	raw, err := os.ReadFile("../../infra/kubernetes/tocsin.yaml")
	require.NoError(t, err)
	probe := regexp.MustCompile(`(?s)startupProbe:\s+httpGet: \{ path: (\S+), port: console \}\s+periodSeconds: (\d+)\s+` +
		`failureThreshold: (\d+)`).FindStringSubmatch(string(raw))
	require.NotNil(t, probe)
	require.Equal(t, "/livez", probe[1], "what liveness asks")
	period, err := strconv.Atoi(probe[2])
	require.NoError(t, err)
	failures, err := strconv.Atoi(probe[3])
	require.NoError(t, err)
	require.Equal(t, 6*time.Hour, time.Duration(period*failures)*time.Second, "as the page says")
}
