package convert_test

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	octet "github.com/octet-nn/octet"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mace/convert"
	"github.com/octet-nn/octet/internal/numeric"
)

// reloaded is a graph written as ONNX and loaded as every model is, in text form.
func reloaded(t testing.TB, g *graph.Graph) string {
	t.Helper()
	var file, text bytes.Buffer
	if err := onnx.Write(&file, g, onnx.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	m, err := octet.Read(fstest.MapFS{"m.onnx": {Data: file.Bytes()}}, "m.onnx", octet.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

var constantLine = regexp.MustCompile(`(?m)^const "([^"]+)" (\S+)(?: from "[^"]*")?`)

// withoutNames is the text of a graph whose constants are numbered: a file may name them otherwise.
func withoutNames(text string) string {
	names := constantLine.FindAllStringSubmatch(text, -1)
	text = constantLine.ReplaceAllString(text, `const "$1" $2`)
	for i, name := range names {
		text = strings.ReplaceAll(text, `"`+name[1]+`"`, fmt.Sprintf("%q", fmt.Sprint("constant ", i)))
	}
	return text
}

// TestFilesGiveTheModelBack writes quantized models and loads them.
func TestFilesGiveTheModelBack(t *testing.T) {
	for _, s := range samples {
		for _, row := range []numeric.Arithmetic{numeric.ONNX, numeric.MACE} {
			o := s.quantized(t, "overall_range_percentile0")
			o.Arithmetic = row
			g, _, err := convert.Convert(s.graph(t), o)
			if err != nil {
				t.Fatal(err)
			}
			want, got := strings.Split(withoutNames(g.Text()), "\n"), strings.Split(withoutNames(reloaded(t, g)), "\n")
			for i := range min(len(want), len(got)) {
				if want[i] != got[i] {
					t.Errorf("%s, arithmetic %s: line %d is\n%s\nwant\n%s", s.folder, row, i, got[i], want[i])
					break
				}
			}
			if len(want) != len(got) {
				t.Errorf("%s, arithmetic %s: %d lines, want %d", s.folder, row, len(got), len(want))
			}
		}
	}
}
