package main

import (
	"strings"
	"testing"
)

func TestHelp(t *testing.T) {
	golden(t, "help", succeed(t).stdout)
	for _, command := range []string{"quantize", "evaluate", "run", "inspect", "bench", "convert", "quantize-stat", "image-to-tensor", "demo", "version"} {
		t.Run(command, func(t *testing.T) {
			r := succeed(t, command, "--help")
			golden(t, "help_"+command, r.stdout)
			if r.stderr != "" {
				t.Errorf("help that was asked for belongs on stdout only:\n%s", r.stderr)
			}
		})
	}
}

// TestWrongUsage: every wrong command line gives code 2, says why, and names what was probably meant.
func TestWrongUsage(t *testing.T) {
	for _, c := range []struct {
		line  string
		parts []string
	}{
		{"quantise", []string{`unknown command "quantise"`, `"quantize"`}},
		{"frobnicate", []string{`unknown command "frobnicate"`, "octet help"}},
		{"frobnicate m.onnx --hard", []string{`unknown command "frobnicate"`, "octet help"}},
		{"--hard", []string{"unknown flag --hard"}},
		{"bench m.onnx --thread 1", []string{"unknown flag --thread", `"--threads"`, "octet bench --help"}},
		{"bench", []string{"needs a model file", "octet bench MODEL"}},
		{"bench m.onnx --threads many", []string{`--threads wants a whole number, not "many"`}},
		{"bench m.onnx --threads 99999999999999999999", []string{"not so large"}},
		{"quantize m.onnx -o q.onnx --percentile much", []string{`--percentile wants a number, not "much"`}},
		{"bench m.onnx --duration -1s", []string{"positive"}},
		{"inspect", []string{"needs a model file"}},
		{"inspect a.onnx b.onnx", []string{"one model file", "b.onnx"}},
		{"inspect a.onnx --json --text", []string{"not both"}},
		{"inspect a.onnx -x", []string{"unknown flag -x"}},
		{"evaluate m.onnx", []string{"needs samples", "octet evaluate m.onnx --samples FOLDER"}},
		{"evaluate m.onnx --samples d --limit -1", []string{"cannot be negative"}},
		{"run m.onnx", []string{"octet run m.onnx --samples FILE", "--input NAME=FILE"}},
		{"run m.onnx --samples a --input x=b", []string{"not both"}},
		{"run m.onnx --samples a --top 0", []string{"--top"}},
		{"run m.onnx --samples a --output-format nyp", []string{"raw, npy", `did you mean "npy"`}},
		{"quantize m.onnx --samples d", []string{"needs a file to write", "octet quantize m.onnx --samples d -o FILE.onnx"}},
		{"quantize m.onnx -o q.onnx", []string{"needs samples", "--samples FOLDER"}},
		{"quantize m.onnx -o q.onnx --samples d --scheme int4", []string{"int8, int8-per-tensor, uint8, dynamic"}},
		{"quantize m.onnx -o q.onnx --samples d --method percentil", []string{`did you mean "percentile"`}},
		{"quantize m.onnx -o q.onnx --samples d --percentile 12", []string{"above 50", "99.99"}},
		{"quantize m.onnx -o q.onnx --samples d --percentile 99 --method mse", []string{"--method percentile, not mse"}},
		{"quantize m.onnx -o q.onnx --samples d --resume", []string{"--ranges-out"}},
		{"quantize m.onnx -o q.onnx --scheme dynamic --ranges-out r.json", []string{"learns no ranges"}},
		{"version now", []string{"takes no arguments"}},
	} {
		t.Run(c.line, func(t *testing.T) { fail(t, exitUsage, c.parts, strings.Fields(c.line)...) })
	}
}

func TestWrongShapes(t *testing.T) {
	f := newTiny(t)
	for _, c := range []struct {
		flag  string
		code  int
		parts []string
	}{
		{"--shape=x", exitUsage, []string{"--shape x=1,3,224,224"}},
		{"--shape=x=1,3,8,q", exitUsage, []string{`"q" is no size`}},
		{"--shape=z=1,3,8,8", exitError, []string{`no input "z"`, "x f32[N,3,8,8]"}},
		{"--shape=x=1,3,8,9", exitError, []string{"8", "9", `"x"`}},
		{"--shape=x=1,3", exitError, []string{"dimensions"}},
		{"--batch=-2", exitUsage, []string{"--batch"}},
	} {
		t.Run(c.flag, func(t *testing.T) { fail(t, c.code, c.parts, "inspect", f.model, c.flag) })
	}
}

func TestQuotedLine(t *testing.T) {
	line := commandLine{"run", "my model.onnx", "it's"}
	if got, want := line.with("--top", "5"), `octet run 'my model.onnx' 'it'\''s' --top 5`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
