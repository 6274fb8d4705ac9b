package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/octet-nn/octet/tensor"
)

// TestMain is the program itself where a test starts this binary as one.
func TestMain(m *testing.M) {
	if os.Getenv("OCTET_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is a process of octet, started by a shell command in which "$@" is its command line.
func program(ctx context.Context, t *testing.T, shell string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", shell, "sh", self}, args...)...)
	cmd.Env = append(os.Environ(), "OCTET_TEST_PROGRAM=1")
	return cmd
}

func needShell(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: limits and signals are tried on Linux only")
	}
}

// TestBadModels: whatever a model file contains, every command says what is wrong with which file.
func TestBadModels(t *testing.T) {
	f := newTiny(t)
	good, err := os.ReadFile(f.model)
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 4096)
	source := rand.New(rand.NewPCG(5, 5))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	for name, text := range map[string]string{
		"empty.onnx":     "",
		"random.onnx":    string(random),
		"text.onnx":      "this is not a model\n",
		"truncated.onnx": string(good[:len(good)/2]),
	} {
		path := writeText(t, f.path(name), text)
		for _, line := range []string{
			"inspect M", "run M --samples S", "bench M", "evaluate M --samples S", "quantize M --samples S -o Q",
		} {
			line = strings.NewReplacer("M", path, "S", f.samples, "Q", f.path("q.onnx")).Replace(line)
			fail(t, exitError, []string{name}, strings.Fields(line)...)
		}
	}
	fail(t, exitError, []string{"fetch or export it again"}, "inspect", f.path("truncated.onnx"))
	fail(t, exitError, []string{"absent.onnx", "no such file"}, "inspect", f.path("absent.onnx"))
	fail(t, exitError, []string{f.samples, "folder"}, "inspect", f.samples)
	if _, err := os.Stat(f.path("q.onnx")); err == nil {
		t.Error("a failed command left a file")
	}
}

func TestBadSamples(t *testing.T) {
	f := newTiny(t)
	wrong := f.path("wrong")
	empty := f.path("empty")
	broken := f.path("broken")
	for _, dir := range []string{wrong, empty, broken} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	writeNPY(t, filepath.Join(wrong, "a.npy"), tensor.New(tensor.Float32, 1, 3, 9, 8))
	writeText(t, filepath.Join(broken, "a.png"), "no image")
	writeText(t, filepath.Join(broken, "b.png"), "no image either")
	fail(t, exitError, []string{"a.npy", "9,8", "8,8"}, "evaluate", f.model, "--samples", wrong)
	fail(t, exitError, []string{"empty"}, "evaluate", f.model, "--samples", empty)
	fail(t, exitError, []string{"absent"}, "evaluate", f.model, "--samples", f.path("absent"))
	fail(t, exitError, []string{"a.png"}, "quantize", f.model, "--samples", broken, "--preprocess", "unit", "-o", f.path("q.onnx"))
	fail(t, exitError, []string{"--offset 1000"}, "run", f.model, "--samples", f.samples, "--offset", "1000")
	fail(t, exitError, []string{"imagenett", "imagenet"}, "run", f.model, "--samples", f.samples, "--preprocess", "imagenett")
	fail(t, exitError, []string{"absent.csv"}, "evaluate", f.model, "--samples", f.samples, "--labels", f.path("absent.csv"))
	fail(t, exitError, []string{"absent.txt"}, "run", f.model, "--samples", f.samples, "--classes", f.path("absent.txt"))
	fail(t, exitError, []string{`no output "z"`}, "evaluate", f.model, "--samples", f.samples, "--output", "z")

	var good bytes.Buffer
	if err := png.Encode(&good, image.NewRGBA(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(broken, "c.png"), good.String())
	r := succeed(t, "evaluate", f.model, "--samples", broken, "--preprocess", "unit")
	if !strings.Contains(r.stderr, "left out 2 files") || !strings.Contains(r.stderr, "a.png") || !strings.Contains(r.stdout, "1 sample") {
		t.Errorf("unreadable files:\n%s%s", r.stdout, r.stderr)
	}
}

func TestUnwritableOutput(t *testing.T) {
	f := newTiny(t)
	quantize := []string{"quantize", f.model, "--samples", f.samples, "-o"}
	fail(t, exitError, []string{"cannot write", "no/such/q.onnx"}, append(quantize, f.path("no/such/q.onnx"))...)
	fail(t, exitError, []string{"it is a folder"}, append(quantize, f.samples)...)
	fail(t, exitError, []string{"float model itself"}, append(quantize, f.model)...)
	fail(t, exitError, []string{"quantized already"}, "quantize", f.quantized(t), "--samples", f.samples, "-o", f.path("again.onnx"))
}

// TestFullDisk: a limit on the size of files stands for a full disk.
func TestFullDisk(t *testing.T) {
	needShell(t)
	f := newTiny(t)
	if err := os.Mkdir(f.path("out"), 0o777); err != nil {
		t.Fatal(err)
	}
	q := f.path("out/q.onnx")
	cmd := program(t.Context(), t, `ulimit -f 1; "$@"`, "quantize", f.model, "--samples", f.samples, "-o", q)
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitError || !strings.Contains(string(output), "cannot write "+q) {
		t.Errorf("%v\n%s", err, output)
	}
	if left, err := os.ReadDir(f.path("out")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
	cmd = program(t.Context(), t, `"$@" > /dev/full`, "inspect", f.model)
	output, err = cmd.CombinedOutput()
	if !errors.As(err, &exit) || exit.ExitCode() != exitError || !strings.Contains(string(output), "cannot write the results") {
		t.Errorf("results on a full disk: %v\n%s", err, output)
	}
}

// TestCtrlC: the program ends soon after a signal, with its own exit code.
func TestCtrlC(t *testing.T) {
	needShell(t)
	f := newTiny(t)
	cmd := program(t.Context(), t, `exec "$@"`, "bench", f.model, "--duration", "60s")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	sent := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || stderr.String() != "octet: interrupted\n" {
		t.Errorf("%v\n%s", err, &stderr)
	}
	if late := time.Since(sent); late > 2*time.Second {
		t.Errorf("it took %v to stop", late)
	}
}

// TestProgress: nothing before the delay, a count and a prediction after it.
func TestProgress(t *testing.T) {
	var early, late bytes.Buffer
	report, done := progressOn(&early, "calibrating", time.Hour)
	report(1, 10)
	done()
	if early.Len() > 0 {
		t.Errorf("too early: %q", &early)
	}
	report, done = progressOn(&late, "calibrating", -time.Second)
	for i := range 10 {
		report(i, 10)
		time.Sleep(30 * time.Millisecond)
	}
	done()
	if !strings.Contains(late.String(), "calibrating") || !strings.Contains(late.String(), "/10") {
		t.Errorf("no progress: %q", &late)
	}
	if report, _ := progress(&late, "calibrating"); report != nil {
		t.Error("progress on something that is no terminal")
	}
}
