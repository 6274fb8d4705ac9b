package stat

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
	"pgregory.net/rapid"
)

func read(t *testing.T, log string) *Log {
	t.Helper()
	l, err := ReadLog(t.Context(), strings.NewReader(log), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestFilesOfMACE reduces MACE's own logs and compares with the files that its quantize_stat.py made of them.
func TestFilesOfMACE(t *testing.T) {
	for file, o := range map[string]Options{
		"mobilenet_v2/overall_range_percentile0":           {},
		"mobilenet_v2/overall_range_percentile5":           {Percentile: 5},
		"resnet8_cifar10/overall_range_percentile0":        {},
		"resnet8_cifar10/overall_range_percentile0enhance": {Enhance: true},
		"resnet8_cifar10/overall_range_percentile5":        {Percentile: 5},
		"resnet8_cifar10/overall_range_percentile5enhance": {Percentile: 5, Enhance: true},
	} {
		t.Run(file, func(t *testing.T) {
			folder, _, _ := strings.Cut(file, "/")
			log, err := os.ReadFile(testdata.Shared(t, "mace", folder, "range_log"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(testdata.Shared(t, "mace", file))
			if err != nil {
				t.Fatal(err)
			}
			l, err := ReadLog(t.Context(), bytes.NewReader(log), "range_log", nil)
			if err != nil {
				t.Fatal(err)
			}
			ranges, warnings, err := l.Reduce(o)
			if err != nil || len(warnings)+len(l.Warnings) > 0 {
				t.Fatal(warnings, l.Warnings, err)
			}
			var got bytes.Buffer
			if err := WriteRanges(&got, ranges, MACE); err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%swant\n%s", got.String(), want)
			}
		})
	}
}

// TestLines has what logs look like in the wild.
func TestLines(t *testing.T) {
	l := read(t, "\x1b[32m* Run 'net' with round=1\x1b[0m\r\n"+
		"I mace/core/net/serial_net.cc:199] Tensor range @@a:0@@-1.5,2\r\n"+
		"06-01 12:00:00.000  123  123 I MACE  : Tensor range @@b@@1e-05,inf\n"+
		"@@1@@ \x1b[33mI x:1] Tensor range @@a:0@@-0,3e+06@@[1,2,3]\x1b[0m\n"+
		"time          1.000       2.000       3.000       4.000\n"+
		"I x:1] Tensor range @@b@@3.40282e+38,-3.40282e+38\n"+
		"I x:1] Tensor range @@b@@-nan(ind),1")
	if l.Lines != 5 || l.Histograms != 1 || l.Tensors() != 2 || len(l.Warnings) != 1 {
		t.Errorf("%d lines, %d histograms, %d tensors, warnings %q", l.Lines, l.Histograms, l.Tensors(), l.Warnings)
	}
	ranges, warnings, err := l.Reduce(Options{})
	if err != nil || len(ranges) != 1 || ranges[0] != (Range{"a:0", -1.5, 3e6}) || len(warnings) != 1 {
		t.Errorf("%v %v %v", ranges, warnings, err)
	}
}

// TestHistograms: of a range with a histogram, the part that has counts is the sample's.
func TestHistograms(t *testing.T) {
	for histogram, want := range map[string]Range{
		"[3,0,0,2]":       {"a", -1, 1},
		"[0,1,0,0]":       {"a", -0.5, 0},
		" [ 0, 0 ,5, 1 ]": {"a", 0, 1},
		"[0,0,0,0]":       {"a", -1, 1},
		"[7]":             {"a", -1, 1},
	} {
		ranges, _, err := read(t, "Tensor range @@a@@-1,1@@"+histogram+"\n").Reduce(Options{})
		if err != nil || ranges[0] != want {
			t.Errorf("%s: %v %v, want %v", histogram, ranges, err, want)
		}
	}
}

// TestPercentile compares with numpy.percentile's formula, worked out by hand.
func TestPercentile(t *testing.T) {
	sorted := []float32{-3.25, -1, 0.1, 0.7, 12.5}
	for p, want := range map[float64]float64{0: -3.25, 5: -2.8, 12.5: -2.125, 50: 0.1, 60: 0.33999999999999997, 95: 10.139999999999997, 99.9: 12.4528, 100: 12.5} {
		if got := percentile(sorted, p); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
	if got := percentile([]float32{7}, 33); got != 7 {
		t.Errorf("of one number: %v", got)
	}
}

func TestConstantTensorIsWidened(t *testing.T) {
	for _, v := range []string{"0,0", "5,5", "-2,-2"} {
		ranges, warnings, err := read(t, "Tensor range @@c@@"+v+"\n").Reduce(Options{Enhance: true})
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "constant tensor") || !(ranges[0].Min < ranges[0].Max) {
			t.Errorf("%s: %v %q %v", v, ranges, warnings, err)
		}
	}
}

func TestBadLogs(t *testing.T) {
	for log, parts := range map[string][]string{
		"":                              {"log has no line", "--quantize_stat"},
		"I nothing here\n":              {"log has no line", "MACE_LOG_TENSOR_RANGE"},
		"Tensor range @@a\n":            {"log:1:", "has no range"},
		"x\nTensor range @@a@@1;2":      {"log:2:", `tensor "a"`, "comma"},
		"Tensor range @@a@@1,two\n":     {"log:1:", `"two" is not a number`},
		"Tensor range @@a@@1,2@@[1":     {"log:1:", "cut off"},
		"Tensor range @@a@@1,2@@[1,-2]": {"log:1:", `bin 1 of its histogram is "-2"`},
		"\xff\xfeT\x00e\x00":            {"log is UTF-16", "UTF-8"},
		"Tensor range @@a@@1\nTensor range @@b@@2\n": {"log:1:", "log:2:"},
	} {
		_, err := ReadLog(t.Context(), strings.NewReader(log), "log", nil)
		if err == nil {
			t.Errorf("%q was read", log)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q lacks %q", log, err, part)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadLog(ctx, strings.NewReader(strings.Repeat("x\n", 5000)), "log", nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	for _, p := range []float64{-1, 51, math.NaN()} {
		if _, _, err := read(t, "Tensor range @@a@@1,2\n").Reduce(Options{Percentile: p}); err == nil {
			t.Errorf("percentile %v was taken", p)
		}
	}
}

func TestRangeFiles(t *testing.T) {
	text := "\xef\xbb\xbfa@@-1,2\n\n  b:0@@0.000000,1e-9@@[1,2]\r\nI x:1] Tensor range @@c@@3,4\na@@-2,2\n"
	ranges, warnings, err := ReadRanges(strings.NewReader(text), "file")
	if err != nil || fmt.Sprint(ranges) != "[{a -2 2} {b:0 0 1e-09} {c 3 4}]" || len(warnings) != 1 || !strings.Contains(warnings[0], "file:5") {
		t.Errorf("%v %q %v", ranges, warnings, err)
	}
	for text, parts := range map[string][]string{
		"":                        {"file has no ranges", "quantize-stat"},
		"a\nb@@1\nc@@3,2\n":       {"file:1:", "file:2:", "file:3:", "no range"},
		"@@1,2":                   {"file:1:", "name@@min,max"},
		"a@@nan,1":                {"no range"},
		strings.Repeat("a\n", 99): {"more problems"},
	} {
		_, _, err := ReadRanges(strings.NewReader(text), "file")
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v lacks %q", text, err, part)
			}
		}
	}
}

// TestNumbersComeBack writes logs with any float32 and files with any float64.
func TestNumbersComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 3*chunk).Draw(t, "samples")
		digits := rapid.IntRange(-99999, 99999).Draw(t, "digits")
		exponent := rapid.IntRange(-30, 30).Draw(t, "exponent")
		v := fmt.Sprintf("%de%d", digits, exponent)
		l, err := ReadLog(context.Background(), strings.NewReader(strings.Repeat("Tensor range @@a@@"+v+","+v+"\n", count)), "log", nil)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := parseNumber([]byte(v))
		mins := l.tensors[0].mins.take()
		if len(mins) != count {
			t.Fatalf("%d of %d samples", len(mins), count)
		}
		for _, m := range mins {
			if decimal(m) != want {
				t.Fatalf("%s became %v", v, decimal(m))
			}
		}
		ranges := []Range{{"x", rapid.Float64Range(-1e9, 0).Draw(t, "min"), rapid.Float64Range(0, 1e9).Draw(t, "max")}}
		var file bytes.Buffer
		if err := WriteRanges(&file, ranges, Exact); err != nil {
			t.Fatal(err)
		}
		if again, _, err := ReadRanges(&file, "file"); err != nil || again[0] != ranges[0] {
			t.Fatalf("%v became %v: %v", ranges, again, err)
		}
	})
}

func TestFormatNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 1e-5: "1e-05", 123456: "123456", 1234567: "1.23457e+06", 1e6: "1e+06",
		100000: "100000", 0.0001: "0.0001", 0.1234567: "0.123457", -2.5: "-2.5", math.Inf(1): "inf", math.Inf(-1): "-inf"} {
		if got := FormatNumber(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	if got := FormatNumber(math.Copysign(0, -1)); got != "-0" {
		t.Errorf("negative zero is %q", got)
	}
	if got := FormatNumber(math.NaN()); got != "nan" {
		t.Errorf("NaN is %q", got)
	}
}

func TestWrittenLogsAreRead(t *testing.T) {
	var log bytes.Buffer
	if err := WriteLine(&log, "a", -1.5, 2.25); err != nil {
		t.Fatal(err)
	}
	if err := WriteHistogram(&log, "b", 0, 1e-7, []int64{3, 0, 12}); err != nil {
		t.Fatal(err)
	}
	if want := "I octet/run.go:1] Tensor range @@a@@-1.5,2.25\nI octet/run.go:1] Tensor range @@b@@0,1e-07@@[3,0,12]\n"; log.String() != want {
		t.Errorf("wrote\n%swant\n%s", log.String(), want)
	}
	if ranges, _, err := read(t, log.String()).Reduce(Options{}); err != nil || fmt.Sprint(ranges) != "[{a -1.5 2.25} {b 0 1e-07}]" {
		t.Error(ranges, err)
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte("I mace/core/net/serial_net.cc:199] Tensor range @@a@@-1.5,2\n"))
	f.Add([]byte("Tensor range @@a@@1,2@@[1,2,3]\nx@@y@@z\n"))
	f.Add([]byte("Tensor range @@@@nan,inf\n@@Tensor range @@"))
	f.Add([]byte("\x1b[31mTensor range @@a@@3.40282e+38,-3.40282e+38\x1b[0m\nTensor range @@a@@1e39,-nan(ind)\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ReadLog(context.Background(), bytes.NewReader(data), "log", nil)
		if err != nil {
			return
		}
		ranges, _, err := l.Reduce(Options{Percentile: 5, Enhance: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range ranges {
			if !(r.Min < r.Max) {
				t.Errorf("%v is no range", r)
			}
		}
	})
}

func FuzzReadRanges(f *testing.F) {
	f.Add([]byte("a@@-1,2\nb:0@@0.000000,1e-9@@[1,2]\n"))
	f.Add([]byte("\n@@\na@@b@@c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ranges, _, err := ReadRanges(bytes.NewReader(data), "file")
		if err == nil && len(ranges) == 0 {
			t.Error("no ranges and no error")
		}
	})
}

// TestMemoryOfLongLogs: a line costs its two numbers and next to nothing else, so that logs of many millions of lines fit
// into memory.
func TestMemoryOfLongLogs(t *testing.T) {
	const tensors, samples = 20, 10_000
	var block strings.Builder
	for i := range tensors {
		fmt.Fprintf(&block, "I mace/core/net/serial_net.cc:199] Tensor range @@layer_%d/Relu:0@@-%d.25,%d.5\n", i, i, i)
	}
	log := strings.NewReader(strings.Repeat(block.String(), samples))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := ReadLog(t.Context(), log, "log", nil)
	runtime.ReadMemStats(&after)
	if err != nil || l.Lines != tensors*samples {
		t.Fatal(err)
	}
	const most = 24 // bytes a line: two numbers of 4, partly filled chunks, the buffer of the reader
	if each := (after.TotalAlloc - before.TotalAlloc) / (tensors * samples); each > most {
		t.Errorf("%d bytes a line, want at most %d", each, most)
	} else {
		t.Logf("%d bytes a line", each)
	}
}
