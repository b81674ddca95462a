//go:build profile

package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// profileFile is where a program of make bench-parts writes its CPU profile.
const profileFile = "TOCSIN_CPU_PROFILE"

func init() {
	name := os.Getenv(profileFile)
	if name == "" {
		return
	}
	file, err := os.Create(name)
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tocsin: no CPU profile:", err)
		os.Exit(1)
	}
	stopProfile = func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "tocsin: the CPU profile is not whole:", err)
		}
	}
}
