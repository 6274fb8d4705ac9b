package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/octet-nn/octet/internal/cpu"
)

// tick is the unit of processor time in Linux's /proc (USER_HZ, 100 on every architecture that Go knows).
const tick = 10 * time.Millisecond

// machineTime is the processor time that everything on the machine has used, and that its host took from it; ok is
// false where it is not known.
func machineTime() (used time.Duration, ok bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	return parseMachineTime(string(text))
}

// parseMachineTime reads the first line of /proc/stat: cpu user nice system idle iowait irq softirq steal …, in ticks.
func parseMachineTime(text string) (used time.Duration, ok bool) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, false
	}
	for i, field := range fields[1:9] {
		const idle, iowait = 3, 4
		if i == idle || i == iowait {
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, false
		}
		used += time.Duration(n) * tick
	}
	return used, true
}

// processTime is the processor time that a process has used; 0 if it is not known.
func processTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseProcessTime(string(text))
}

// parseProcessTime adds fields 14 and 15 (utime, stime) of /proc/PID/stat. The name in field 2 may have blanks.
func parseProcessTime(text string) time.Duration {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * tick
}

// processPeak is the largest resident size of a process so far (VmHWM), in bytes; 0 if it is not known.
func processPeak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	if !found {
		return 0
	}
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}

// machine is where the results hold.
type machine struct {
	processor string
	count     int
	features  []string
	tier      string
	system    string // GOOS/GOARCH
	compiler  string
	commit    string // of the sources; "" if not known
	load      string // the three load averages when measuring began; "" if not known
}

func thisMachine() (machine, error) {
	d, err := cpu.Describe()
	if err != nil {
		return machine{}, err
	}
	m := machine{
		processor: d.Architecture + " processor", count: runtime.NumCPU(), features: d.Features, tier: d.Tier,
		system: runtime.GOOS + "/" + runtime.GOARCH, compiler: runtime.Version(),
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(text), "model name"); found {
			line, _, _ := strings.Cut(rest, "\n")
			m.processor = strings.Trim(line, "\t :")
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	if text, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.commit = strings.TrimSpace(string(text))
	}
	return m, nil
}
