// Package house holds tests of the project's own rules: which room may import which, and how files look.
package house

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/octet-nn/octet"

// mayImport is, for each room, the rooms of this module and the other modules that its code (tests apart) may import
// directly. ARCHITECTURE.md has the same table in words.
var mayImport = map[string][]string{
	"tensor":               {},
	"internal/numeric":     {},
	"internal/suggest":     {},
	"internal/atomicfile":  {},
	"internal/house":       {},
	"internal/testdata":    {"tensor"},
	"internal/cpu":         {"golang.org/x/sys/cpu", "golang.org/x/sys/unix"},
	"internal/graph":       {"tensor", "internal/numeric"},
	"internal/op":          {"tensor", "internal/numeric", "internal/graph"},
	"internal/interp":      {"tensor", "internal/numeric", "internal/graph", "internal/op"},
	"internal/rewrite":     {"tensor", "internal/numeric", "internal/graph", "internal/op"},
	"internal/format/onnx": {"tensor", "internal/numeric", "internal/graph", "internal/op", "internal/rewrite", "google.golang.org/protobuf/encoding/protowire"},
	"internal/kernel":      {"tensor", "internal/numeric", "internal/cpu"},
	"internal/runtime":     {"tensor", "internal/graph"},
	"internal/compile":     {"tensor", "internal/numeric", "internal/cpu", "internal/graph", "internal/op", "internal/rewrite", "internal/kernel", "internal/runtime"},
	"internal/dataset":     {"tensor", "internal/suggest", "github.com/goccy/go-yaml", "golang.org/x/image"},
	"internal/calibrate":   {"tensor", "internal/graph"},
	"internal/quantize":    {"tensor", "internal/numeric", "internal/suggest", "internal/graph", "internal/op", "internal/rewrite", "internal/calibrate"},
	"": {"tensor", "internal/numeric", "internal/atomicfile", "internal/graph", "internal/op", "internal/interp", "internal/rewrite",
		"internal/format", "internal/runtime", "internal/compile", "internal/dataset", "internal/calibrate", "internal/quantize"},
	"cmd/octet": {"", "tensor", "internal", "github.com/spf13", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
}

// root is the top of the checkout.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	room := func(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		name := room(fields[0])
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("room %q is not in the table: say what it may import, here and in ARCHITECTURE.md", name)
		}
		for _, path := range fields[1:] {
			if path == "C" {
				t.Errorf("%s uses cgo", name)
			}
			if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
				continue // the standard library
			}
			short := path
			if path == module || strings.HasPrefix(path, module+"/") {
				short = room(path)
			}
			ok := slices.ContainsFunc(allowed, func(a string) bool { return short == a || a != "" && strings.HasPrefix(short, a+"/") })
			if !ok {
				t.Errorf("%s imports %s, which it may not", name, path)
			}
		}
	}
}

var (
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	initFunc   = regexp.MustCompile(`(?m)^func init\(\)`)
)

func TestFilesFollowTheRules(t *testing.T) {
	const longest = 700
	err := filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "." {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root(t), path)
		if err != nil {
			return err
		}
		if n := bytes.Count(b, []byte("\n")); n > longest {
			t.Errorf("%s has %d lines: is there a second thing in it that wants a file of its own?", name, n)
		}
		if m := unfinished.Find(b); m != nil {
			t.Errorf("%s has %s: do it or delete the line", name, m)
		}
		if initFunc.Match(b) {
			t.Errorf("%s has an init function: use an explicit table", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
