package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/octet-nn/octet/internal/testdata"
)

var modelsFlag = flag.Bool("models", false, "run the tests of real models on real data (minutes)")

// TestMemoryOfCalibration: the largest resident size of a fresh process (VmHWM) with 400 samples is within 5 % of that with
// 10.
func TestMemoryOfCalibration(t *testing.T) {
	needShell(t)
	if !*modelsFlag {
		t.Skip("SKIP: calibrates on 400 images only with -models")
	}
	model := testdata.Shared(t, "onnx", "mobilenet_v2_dq.onnx")
	images := testdata.Shared(t, "data", "imagenet_even.zip")
	var peaks [2]float64
	for i, n := range []int{10, 400} {
		cmd := program(t.Context(), t, `exec "$@"`, "quantize", model, "--samples", images, "--limit", strconv.Itoa(n),
			"--preprocess", "imagenet", "--ranges-out", filepath.Join(t.TempDir(), "ranges.json"))
		peaks[i] = peak(t, cmd)
		t.Logf("%d samples: %.1f MB", n, peaks[i]/1e3)
	}
	if ratio := peaks[1] / peaks[0]; ratio > 1.05 || ratio < 0.95 {
		t.Errorf("400 samples take %.3f times the memory of 10", ratio)
	}
}

// peak runs a process and returns its VmHWM in kB.
func peak(t *testing.T, cmd *exec.Cmd) (kilobytes float64) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil || kilobytes == 0 {
				t.Fatalf("%v, %v kB", err, kilobytes)
			}
			return kilobytes
		case <-time.After(20 * time.Millisecond):
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil {
			continue
		}
		if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
			if kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64); err == nil {
				kilobytes = max(kilobytes, kb)
			}
		}
	}
}
