package rewrite

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

var update = flag.Bool("update", false, "write what the passes make of the graphs in testdata into the files")

// goldenPasses are what the first line of a file in testdata names: the pass, and whether it keeps results.
var goldenPasses = map[string]struct {
	run   func(g *graph.Graph) error
	exact bool
}{
	"simplify":      {func(g *graph.Graph) error { return Simplify(g, SimplifyOptions{}) }, true},
	"simplify keep": {func(g *graph.Graph) error { return Simplify(g, SimplifyOptions{Keep: []string{"kept"}}) }, true},
	"relayout NHWC": {func(g *graph.Graph) error { return Relayout(g, op.NHWC) }, true},
	"relayout NCHW": {func(g *graph.Graph) error { return Relayout(g, op.NCHW) }, true},
	"widen":         {Widen, false},
	"expand":        {Expand, false},
	"absorb": {func(g *graph.Graph) error {
		_, err := Absorb(g, AbsorbOptions{})
		return err
	}, false},
}

// TestGolden compares what passes make of graphs with the text after the line of dashes, and where the pass keeps
// results, the results.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no graphs in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, _ := strings.Cut(string(data), "---\n")
			first, _, _ := strings.Cut(text, "\n")
			pass, ok := goldenPasses[strings.TrimPrefix(first, "# ")]
			if !ok {
				t.Fatalf("%s: there is no pass %q", file, first)
			}
			g, err := graph.Parse(text, op.Lookup)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := op.Infer(g); err != nil {
				t.Fatal(err)
			}
			check(t, g)
			before := g.Clone()
			if err := pass.run(g); err != nil {
				t.Fatal(err)
			}
			check(t, g)
			if pass.exact {
				sameResults(t, before, g)
			} else {
				run(t, g)
			}
			got := g.Text()
			if *update {
				if err := os.WriteFile(file, []byte(text+"---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
