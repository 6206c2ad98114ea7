//go:build unix

package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

// usage is what the process took of the machine: seconds of CPU, bytes of memory.
type usage struct {
	user, system float64
	rss, maxRSS  int64
}

func readUsage() usage {
	var raw syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &raw) != nil {
		return usage{}
	}
	maxRSS := int64(raw.Maxrss)
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" {
		maxRSS *= 1024 // kibibytes everywhere else
	}
	rss := residentBytes(maxRSS)
	return usage{
		user:   float64(raw.Utime.Sec) + float64(raw.Utime.Usec)/1e6,
		system: float64(raw.Stime.Sec) + float64(raw.Stime.Usec)/1e6,
		rss:    rss,
		maxRSS: max(rss, maxRSS), // the system brings its maximum up to date only now and then
	}
}

// residentBytes falls back to the highest value so far where there is no /proc.
func residentBytes(fallback int64) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fallback
	}
	columns := bytes.Fields(statm)
	if len(columns) < 2 {
		return fallback
	}
	pages, err := strconv.ParseInt(string(columns[1]), 10, 64)
	if err != nil {
		return fallback
	}
	return pages * int64(os.Getpagesize())
}
