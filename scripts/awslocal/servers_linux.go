package awslocal

import (
	"os/exec"
	"syscall"
)

// endsWithUs has a server end when this process does, however that ends: a test that panics closes nothing.
func endsWithUs(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
