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
	"tensor":                     {},
	"internal/numeric":           {},
	"internal/suggest":           {},
	"internal/atomicfile":        {},
	"internal/mapped":            {},
	"internal/house":             {},
	"internal/testdata":          {"tensor"},
	"internal/cpu":               {"golang.org/x/sys/cpu"},
	"internal/graph":             {"tensor", "internal/numeric"},
	"internal/op":                {"tensor", "internal/numeric", "internal/graph"},
	"internal/interp":            {"tensor", "internal/numeric", "internal/graph", "internal/op"},
	"internal/rewrite":           {"tensor", "internal/numeric", "internal/graph", "internal/op"},
	"internal/format":            {},
	"internal/format/protobuf":   {"internal/format", "google.golang.org/protobuf/encoding/protowire"},
	"internal/format/onnx":       {"tensor", "internal/numeric", "internal/graph", "internal/op", "internal/rewrite", "internal/format", "internal/format/protobuf", "google.golang.org/protobuf/encoding/protowire"},
	"internal/format/tensorflow": {"tensor", "internal/suggest", "internal/graph", "internal/op", "internal/format", "internal/format/protobuf", "google.golang.org/protobuf/encoding/protowire"},
	"internal/format/caffe":      {"tensor", "internal/graph", "internal/op", "internal/suggest", "internal/format", "internal/format/protobuf", "google.golang.org/protobuf/encoding/protowire"},
	"internal/format/tflite":     {"tensor", "internal/numeric", "internal/graph", "internal/op", "internal/rewrite", "internal/format", "github.com/google/flatbuffers/go"},
	"internal/kernel":            {"internal/numeric", "internal/cpu"},
	"internal/runtime":           {"tensor", "internal/graph"},
	"internal/testmodel":         {"tensor", "internal/graph", "internal/op"},
	"internal/compile":           {"tensor", "internal/numeric", "internal/cpu", "internal/graph", "internal/op", "internal/rewrite", "internal/kernel", "internal/runtime"},
	"internal/dataset":           {"tensor", "internal/suggest", "github.com/goccy/go-yaml", "golang.org/x/image"},
	"internal/mace/convert":      {"tensor", "internal/numeric", "internal/suggest", "internal/graph", "internal/op", "internal/rewrite"},
	"internal/mace/deploy":       {"internal/suggest", "github.com/goccy/go-yaml"},
	"internal/mace/flow": {"tensor", "internal/numeric", "internal/suggest", "internal/atomicfile", "internal/graph", "internal/op", "internal/rewrite",
		"internal/quantize", "internal/format", "internal/runtime", "internal/compile", "internal/mace"},
	"internal/mace/stat":  {},
	"internal/mace/image": {"internal/dataset"},
	"internal/calibrate":  {"tensor", "internal/graph"},
	"internal/quantize":   {"tensor", "internal/numeric", "internal/suggest", "internal/graph", "internal/op", "internal/rewrite", "internal/calibrate"},
	"": {"tensor", "internal/numeric", "internal/atomicfile", "internal/mapped", "internal/graph", "internal/op", "internal/interp", "internal/rewrite",
		"internal/format", "internal/runtime", "internal/compile", "internal/dataset", "internal/calibrate", "internal/quantize"},
	"benchmarks": {"", "tensor", "internal/atomicfile", "internal/cpu", "internal/format/onnx", "internal/testdata", "internal/testmodel"},
	"cmd/octet":  {"", "tensor", "internal", "github.com/spf13", "github.com/schollz/progressbar/v3", "golang.org/x/term"},
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

// goList is what go list prints, run in the top folder with cgo allowed, so that files that use it are seen.
func goList(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = root(t)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=1"), env...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, problem.Bytes())
	}
	return out
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, target := range []string{"linux/amd64", "linux/arm64", "windows/amd64", "darwin/arm64", "js/wasm"} {
		t.Run(target, func(t *testing.T) { checkImports(t, target) })
	}
}

// checkImports looks at the files that are built for a target, GOOS/GOARCH.
func checkImports(t *testing.T, target string) {
	system, arch, _ := strings.Cut(target, "/")
	out := goList(t, []string{"GOOS=" + system, "GOARCH=" + arch}, "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
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

// A program that imports package octet gets these modules and no others: none for command lines or progress bars.
func TestPublicPackageStaysLight(t *testing.T) {
	want := []string{
		"github.com/goccy/go-yaml",      // preprocessing files
		"github.com/google/flatbuffers", // the encoding of TensorFlow Lite files
		"golang.org/x/image",            // BMP and WebP
		"golang.org/x/sys",              // processor features
		"google.golang.org/protobuf",    // the wire format of ONNX
	}
	var got []string
	for path := range strings.FieldsSeq(string(goList(t, nil, "-deps", "-f", `{{with .Module}}{{.Path}}{{end}}`, "."))) {
		if path != module && !slices.Contains(got, path) {
			got = append(got, path)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("package octet depends on %q, want %q", got, want)
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)`)

func TestDocumentsLinkToFilesThatExist(t *testing.T) {
	for _, pattern := range []string{"*.md", "docs/*.md", "benchmarks/*.md"} {
		files, err := filepath.Glob(filepath.Join(root(t), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no documents match %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range link.FindAllSubmatch(text, -1) {
				target := string(m[1])
				if strings.Contains(target, "://") {
					continue
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
					t.Errorf("%s links to %s, which does not exist", filepath.Base(file), target)
				}
			}
		}
	}
}
