package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/testdata"
)

func noEnvironment(string) (string, bool) { return "", false }

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// whole is a legal file; tests change lines of it.
const whole = `library_name: lib
target_abis: [host]
model_graph_format: file
model_data_format: file
models:
  net:
    platform: onnx
    model_file_path: net.onnx
    model_sha256_checksum: ` + sum + `
    subgraphs:
      - input_tensors:
          - a
          - b
        input_shapes:
          - 1,3, 8,8
          - 1,4
        input_ranges:
          - -1.0,1.0
        output_tensors: y:0
        output_shapes: 1,10
    runtime: cpu
    quantize: 1
    quantize_range_file: ranges
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("net.yml", []byte(text), noEnvironment)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, text)
	}
	return f
}

func TestWholeFile(t *testing.T) {
	f := parse(t, whole)
	if f.LibraryName != "lib" || f.QuantizeStat || len(f.Models) != 1 || f.Warnings != nil || f.Notes != nil {
		t.Errorf("got %+v", f)
	}
	m := f.Models[0]
	g := m.Graphs[0]
	if m.Name != "net" || m.Platform != "onnx" || m.File.Text != "net.onnx" || m.File.Checksum != sum || m.File.At != (Position{8, 22}) {
		t.Errorf("model: %+v", m)
	}
	want := []Input{
		{Name: "a", At: Position{12, 13}, Shape: []int{1, 3, 8, 8}, Type: "float32", Format: "NHWC", Range: [2]float64{-1, 1}},
		{Name: "b", At: Position{13, 13}, Shape: []int{1, 4}, Type: "float32", Format: "NHWC", Range: [2]float64{-1, 1}},
	}
	if !reflect.DeepEqual(g.Inputs, want) {
		t.Errorf("inputs\n%+v, want\n%+v", g.Inputs, want)
	}
	if len(g.Outputs) != 1 || g.Outputs[0].Name != "y:0" || !reflect.DeepEqual(g.Outputs[0].Shape, []int{1, 10}) {
		t.Errorf("outputs: %+v", g.Outputs)
	}
	if !g.Quantize || g.Schema != "" || g.Ranges.Text != "ranges" || m.Threshold(&g) != 0.98 {
		t.Errorf("graph: %+v", g)
	}
	if dir := f.Folder("build", &m); dir != filepath.Join("build", "lib", "model") {
		t.Errorf("folder %s", dir)
	}
}

// TestSpellings: what MACE takes, in all the spellings it takes.
func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		got            func(f *File) any
		want           any
	}{
		{"mapping of subgraphs", "subgraphs:\n      - input_tensors:", "subgraphs:\n      first:\n        input_tensors:",
			func(f *File) any { return f.Models[0].Graphs[0].Name }, "first"},
		{"subgraph without a dash", "      - input_tensors:", "        input_tensors:",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Name }, "b"},
		{"shape of a number", "          - 1,4\n", "          - 4\n",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Shape }, []int{4}},
		{"shape as a list", "          - 1,4\n", "          - [1, 4]\n",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Shape }, []int{1, 4}},
		{"empty shape", "          - 1,4\n", "          - ''\n",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Shape }, []int{1}},
		{"one shape as a list of numbers", "output_shapes: 1,10", "output_shapes: [1, 10]",
			func(f *File) any { return f.Models[0].Graphs[0].Outputs[0].Shape }, []int{1, 10}},
		{"one range for all", "- -1.0,1.0", "- -5,15",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Range }, [2]float64{-5, 15}},
		{"two ranges", "- -1.0,1.0", "- -5,15\n          - [0, 255]",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Range }, [2]float64{0, 255}},
		{"default range", "        input_ranges:\n          - -1.0,1.0\n", "",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[0].Range }, [2]float64{-1, 1}},
		{"range of the model", "    quantize: 1", "    quantize: 1\n    input_ranges: 0,1",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[0].Range }, [2]float64{-1, 1}},
		{"on and off", "quantize: 1", "quantize: OFF\n    change_concat_ranges: on",
			func(f *File) any {
				return []bool{f.Models[0].Graphs[0].Quantize, f.Models[0].Graphs[0].ChangeConcatRanges}
			}, []bool{false, true}},
		{"quoted", "quantize: 1", `quantize: "1"`, func(f *File) any { return f.Models[0].Graphs[0].Quantize }, true},
		{"subgraph over model", "        output_shapes: 1,10", "        output_shapes: 1,10\n        quantize: 0",
			func(f *File) any { return f.Models[0].Graphs[0].Quantize }, false},
		{"capitals", "platform: onnx", "platform: ONNX", func(f *File) any { return f.Models[0].Platform }, "onnx"},
		{"one format for all", "output_tensors: y:0", "input_data_formats: nchw\n        output_tensors: y:0",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Format }, "NCHW"},
		{"types", "output_tensors: y:0", "input_data_types: [float32, int32]\n        output_tensors: y:0",
			func(f *File) any { return f.Models[0].Graphs[0].Inputs[1].Type }, "int32"},
		{"schema", "quantize: 1", "quantize: 1\n    quantize_schema: int8", func(f *File) any { return f.Models[0].Graphs[0].Schema }, "int8"},
		{"empty schema", "quantize: 1", "quantize: 1\n    quantize_schema: ''", func(f *File) any { return f.Models[0].Graphs[0].Schema }, ""},
		{"quantize_stat", "library_name: lib", "library_name: lib\nquantize_stat: 1", func(f *File) any { return f.QuantizeStat }, true},
		{"threshold", "quantize: 1", "quantize: 1\n    validation_threshold: {QUANTIZE: 0.9, GPU: 1}",
			func(f *File) any { return f.Models[0].Threshold(&f.Models[0].Graphs[0]) }, 0.9},
		{"float threshold", "quantize: 1", "quantize: 0", func(f *File) any { return f.Models[0].Threshold(&f.Models[0].Graphs[0]) }, 0.999},
		{"no library", "library_name: lib\n", "", func(f *File) any { return f.Folder("out", &f.Models[0]) }, filepath.Join("out", "net", "model")},
		{"checks", "output_tensors: y:0", "check_tensors: z\n        check_shapes: 1,1,1,7\n        output_tensors: y:0",
			func(f *File) any { return f.Models[0].Graphs[0].Checks[0].Shape }, []int{1, 1, 1, 7}},
		{"several models", "models:\n", "models:\n  first: &first\n    platform: onnx\n    model_file_path: f.onnx\n    model_sha256_checksum: " + sum +
			"\n    subgraphs: [{input_tensors: x, input_shapes: '1', output_tensors: y, output_shapes: '1'}]\n  second:\n    <<: *first\n    quantize: 1\n",
			func(f *File) any {
				return fmt.Sprint(len(f.Models), f.Models[1].File.Text, f.Models[1].Graphs[0].Quantize)
			}, "3f.onnxtrue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(whole, c.old) {
				t.Fatalf("no %q", c.old)
			}
			f := parse(t, strings.Replace(whole, c.old, c.new, 1))
			if got := c.got(f); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if f.Warnings != nil {
				t.Errorf("warnings: %v", f.Warnings)
			}
		})
	}
}

// TestProblems: each mistake has a message with its place and what to do.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"no YAML", "models:", "models: [", "net.yml:"},
		{"empty", whole, "", "net.yml: the file is empty"},
		{"a list", whole, "- a", "net.yml:1:1: a deployment file is a mapping"},
		{"no models", "models:\n", "modles:\n", `there are no models`},
		{"empty models", whole, "models:\n", "net.yml:1:1: there are no models"},
		{"unknown platform", "platform: onnx", "platform: onxx", `net.yml:7:15: platform: "onxx" is none of tensorflow, caffe, onnx, megengine, keras, pytorch (did you mean "onnx"?)`},
		{"no platform", "    platform: onnx\n", "", "net.yml:6:3: model net: platform is missing"},
		{"no path", "    model_file_path: net.onnx\n", "", "model net: model_file_path is missing"},
		{"short checksum", sum, "abc", `net.yml:9:28: model_sha256_checksum: "abc" is no SHA-256`},
		{"no subgraphs", "subgraphs:", "micro:", "subgraphs is missing"},
		{"no inputs", "      - input_tensors:", "      - x:", "net.yml:11:9: model net: input_tensors is missing"},
		{"no outputs", "        output_tensors: y:0\n", "", "output_tensors is missing"},
		{"no output shapes", "        output_shapes: 1,10\n", "", "net.yml:11:9: model net: output_shapes is missing"},
		{"a shape too few", "          - 1,4\n", "", "net.yml:14:9: input_shapes has 1, input_tensors has 2"},
		{"no shape", "- 1,4", "- 1,x", `net.yml:16:13: input_shapes: "1,x" is no shape`},
		{"zero", "- 1,4", "- 1,0", `is no shape`},
		{"huge", "- 1,4", "- 2000000000,2000000000", `elements`},
		{"three ranges", "- -1.0,1.0", "- 0,1\n          - 0,1\n          - 0,1", "input_ranges has 3, input_tensors has 2"},
		{"no range", "- -1.0,1.0", "- 1.0", `net.yml:18:13: input_ranges: "1.0" is no range`},
		{"reversed range", "- -1.0,1.0", "- 1,-1", `the lowest value of "1,-1" is above the highest`},
		{"nan range", "- -1.0,1.0", "- nan,1", `is no range`},
		{"repeated name", "          - b\n", "          - a\n", `net.yml:13:13: input_tensors: "a" is there twice`},
		{"unknown schema", "quantize: 1", "quantize: 1\n    quantize_schema: int4", `quantize_schema: "int4" is none of int8`},
		{"both", "quantize: 1", "quantize: 1\n    quantize_large_weights: 1", "exclude each other"},
		{"no flag", "quantize: 1", "quantize: 2", `net.yml:22:15: quantize: "2" is neither 0 nor 1`},
		{"code data", "model_data_format: file", "model_data_format: code", "net.yml:4:1: model_data_format: code does not go with"},
		{"folder", "library_name: lib", "library_name: ../lib", `net.yml:1:15: library_name: "../lib" cannot be`},
		{"model name", "  net:\n", "  a/b:\n", `"a/b" cannot be`},
		{"python tag", "runtime: cpu", "runtime: !!python/object:os.system cpu", "the tag !!python/object:os.system"},
		{"variable", "net.onnx", "${MODELS}/net.onnx", "net.yml:8:22: the environment variable MODELS is not set"},
		{"threshold", "quantize: 1", "quantize: 1\n    validation_threshold: {CPU: 1.5}", `validation_threshold: "1.5" is no similarity`},
		{"caffe", "platform: onnx", "platform: caffe", "weight_file_path is missing"},
		{"second document", "library_name: lib", "a: 1\n---\nlibrary_name: lib", "second YAML document"},
		{"unknown alias", "runtime: cpu", "runtime: *cpu", "cpu"},
		{"validation inputs", "runtime: cpu", "runtime: cpu\n    validation_inputs_data: [a.npy]", "validation_inputs_data has 1, input_tensors has 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(whole, c.old) {
				t.Fatalf("no %q", c.old)
			}
			f, err := Parse("net.yml", []byte(strings.Replace(whole, c.old, c.new, 1)), noEnvironment)
			var problems *Error
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v, want %q", f, err, c.want)
			}
		})
	}
}

// TestHostileFiles: files that would keep the parser of YAML busy for minutes are refused.
func TestHostileFiles(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("[", maxFile), strings.Repeat("{a: ", maxFile/4), strings.Repeat("- ", maxFile/2), strings.Repeat("? ", maxFile/2),
		strings.Repeat("&a ", maxFile/3), strings.Repeat(" ", 2*maxFile),
	} {
		if _, err := Parse("f.yml", []byte(text), noEnvironment); err == nil {
			t.Errorf("accepted %q...", text[:8])
		}
	}
}

// TestEncodings: files as Windows writes them.
func TestEncodings(t *testing.T) {
	const text = "models:\n  m: {platform: onnx, model_file_path: m.onnx, model_sha256_checksum: '', subgraphs: [{input_tensors: x, input_shapes: '1', output_tensors: y, output_shapes: '1'}]}\n"
	plain, err := Parse("f.yml", []byte(text), noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	marked, err := Parse("f.yml", []byte("\xef\xbb\xbf"+strings.ReplaceAll(text, "\n", "\r\n")), noEnvironment)
	if err != nil || !reflect.DeepEqual(plain, marked) {
		t.Errorf("with a byte order mark: %v\n%+v\n%+v", err, marked, plain)
	}
	for _, wide := range []string{"\xff\xfem\x00", "\xfe\xff\x00m"} {
		if _, err := Parse("f.yml", []byte(wide), noEnvironment); err == nil || !strings.Contains(err.Error(), "UTF-16") {
			t.Errorf("UTF-16: %v", err)
		}
	}
}

// TestAllAtOnce: problems come together, in the order of their places.
func TestAllAtOnce(t *testing.T) {
	text := strings.NewReplacer("platform: onnx", "platform: onxx", "- 1,4", "- one", "quantize: 1", "quantize: maybe").Replace(whole)
	_, err := Parse("net.yml", []byte(text), noEnvironment)
	var problems *Error
	if !errors.As(err, &problems) || len(problems.Problems) != 3 {
		t.Fatalf("got %v", err)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"net.yml:7:15:", "net.yml:16:13:", "net.yml:22:15:"} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %q, want %q first", i, lines[i], want)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	f := parse(t, strings.Replace(whole, "runtime: cpu", "runtime: cpu\n    quantise_range_file: other", 1)+"    frobnicate: 1\n")
	if len(f.Warnings) != 2 {
		t.Fatalf("warnings: %v", f.Warnings)
	}
	if got, want := f.Warnings[0].Error(), `net.yml:22:5: unknown key "quantise_range_file" in model net (did you mean "quantize_range_file"`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	if got := f.Warnings[1].Error(); !strings.Contains(got, `unknown key "frobnicate"`) || strings.Contains(got, "did you mean") {
		t.Errorf("got %s", got)
	}
}

// TestMistypedKeyOfWhatIsMissing: a file without a required key names the unknown key that was meant for it.
func TestMistypedKeyOfWhatIsMissing(t *testing.T) {
	_, err := Parse("net.yml", []byte(strings.Replace(whole, "platform:", "platfrom:", 1)), noEnvironment)
	if err == nil || !strings.Contains(err.Error(), "platform is missing") || !strings.Contains(err.Error(), `unknown key "platfrom" in model net (did you mean "platform"`) {
		t.Errorf("got %v", err)
	}
}

// TestNotes: what has no meaning here is said once for each kind, and MACE's defaults say nothing.
func TestNotes(t *testing.T) {
	text := strings.Replace(whole, "runtime: cpu", "runtime: cpu+gpu\n    winograd: 4\n    cl_mem_type: buffer\n    obfuscate: 1\n    nnlib_graph_mode: 0\n    limit_opencl_kernel_time: 1", 1)
	text = strings.Replace(text, "target_abis: [host]", "target_abis: [arm64-v8a, host]\ntarget_socs: ALL", 1)
	f := parse(t, text)
	want := []string{
		"target_abis arm64-v8a, target_socs all: there is no device to connect to; models run on this machine",
		"runtime cpu+gpu: models run on the processor",
		"winograd 4, cl_mem_type buffer, limit_opencl_kernel_time 1: settings of GPUs have no meaning here",
		"obfuscate 1: names are not obfuscated; range logs and files always have the model's own",
	}
	if !reflect.DeepEqual(f.Notes, want) {
		t.Errorf("got %q", f.Notes)
	}
	if f.Warnings != nil {
		t.Errorf("warnings: %v", f.Warnings)
	}
}

func TestEnvironment(t *testing.T) {
	variables := map[string]string{"MODELS": "/m", "N": "net", "LONG": strings.Repeat("x", 40), "LINES": "a\nb"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	text := strings.Replace(whole, "model_file_path: net.onnx", "model_file_path: ${MODELS}/${N}.onnx # not ${ABSENT}", 1)
	f, err := Parse("net.yml", []byte(text), lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Models[0].File.Text; got != "/m/net.onnx" {
		t.Errorf("got %q", got)
	}
	// Places are those of the file, not of the text after substitution, on either side of a reference.
	for _, variable := range []string{"N", "LONG"} {
		text = strings.Replace(whole, "runtime: cpu", "input_aliases: [${"+variable+"}, b], quantize: 3", 1)
		text = strings.Replace(text, "runtime: cpu", "", 1)
		text = strings.Replace(text, "input_aliases: [${"+variable+"}, b], quantize: 3", "micro: {x: ${"+variable+"}, y: 1}\n    input_data_types: [${"+variable+"}, flat]", 1)
		_, err = Parse("net.yml", []byte(text), lookup)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("net.yml:22:%d: input_data_types: \"flat\"", 29+len(variable))) {
			t.Errorf("%s: got %v", variable, err)
		}
	}
	_, err = Parse("net.yml", []byte(strings.Replace(whole, "net.onnx", "${LINES}", 1)), lookup)
	if err == nil || !strings.Contains(err.Error(), "several lines") {
		t.Errorf("got %v", err)
	}
}

// chdir makes an empty working directory and returns it.
func chdir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	return dir
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}

func TestFind(t *testing.T) {
	chdir(t)
	right := write(t, "zoo/model.onnx", "right")
	write(t, "model.onnx", "wrong")
	write(t, "here.onnx", "here")
	write(t, "zoo/ranges", "1")
	write(t, "ranges", "2")
	write(t, "zoo/build/cache/fetched.pb", "fetched")
	write(t, "build/net/org_model/own.pb-"+right+".pb", "right")
	f := &File{Path: filepath.Join("zoo", "net.yml")}
	m := &Model{Name: "net"}
	for _, c := range []struct {
		name, text, checksum string
		path, warning, err   string
	}{
		{name: "beside", text: "model.onnx", checksum: right, path: "zoo/model.onnx"},
		{name: "working directory", text: "here.onnx", path: "here.onnx"},
		{name: "two", text: "ranges", path: "zoo/ranges", warning: "there are two files"},
		{name: "none", text: "modell.onnx", err: `zoo/net.yml:3:4: model_file_path: there is no file modell.onnx, neither beside the deployment file nor in the working directory (did you mean "model.onnx"?)`},
		{name: "checksum", text: "here.onnx", checksum: right, err: "zoo/net.yml:5:6: here.onnx has the SHA-256 checksum"},
		{name: "folder", text: "build", err: "folder"},
		{name: "cache", text: "https://example.org/x/fetched.pb?a=b", path: "zoo/build/cache/fetched.pb"},
		{name: "MACE's own", text: "https://example.org/own.pb", checksum: right, path: "build/net/org_model/own.pb-" + right + ".pb"},
		{name: "cached, another", text: "https://example.org/fetched.pb", checksum: right, err: "checksum"},
		{name: "network", text: "https://example.org/x/absent.pb", err: "curl -L -o build/cache/absent.pb 'https://example.org/x/absent.pb'"},
		{name: "bare host", text: "https://example.org", err: "names no file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Resource{Key: "model_file_path", Text: c.text, Checksum: c.checksum, At: Position{3, 4}, ChecksumAt: Position{5, 6}}
			found, err := f.Find(m, r)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, %v, want %q", found, err, c.err)
				}
				return
			}
			if err != nil || found.Path != filepath.FromSlash(c.path) {
				t.Errorf("got %v, %v", found, err)
			}
			if (found.Warning != nil) != (c.warning != "") || found.Warning != nil && !strings.Contains(found.Warning.Error(), c.warning) {
				t.Errorf("warning: %v", found.Warning)
			}
		})
	}
}

// TestZoo: every deployment file of MACE's own zoo, and those that were used to make the shared data, parse without a
// warning.
func TestZoo(t *testing.T) {
	zoo := testdata.Shared(t, "mace")
	count := 0
	err := filepath.WalkDir(zoo, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yml" {
			return err
		}
		count++
		f, err := Load(path, noEnvironment)
		if err != nil {
			t.Error(err)
			return nil
		}
		for _, w := range f.Warnings {
			t.Error(w)
		}
		for _, m := range f.Models {
			for _, g := range m.Graphs {
				if len(g.Inputs) == 0 || len(g.Outputs) == 0 {
					t.Errorf("%s: %s has no inputs or outputs", path, m.Name)
				}
			}
			if found, err := f.Find(&m, m.File); strings.Contains(path, "zoo") {
				if err == nil || !strings.Contains(err.Error(), "nothing is ever downloaded") {
					t.Errorf("%s: model file %v, %v", path, found, err)
				}
			} else if err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil || count < 60 {
		t.Errorf("%d files, %v", count, err)
	}
}

// FuzzParse: no file makes the reader panic or take forever, and what it accepts can be used.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	f.Add("models: {a: &x {platform: onnx, subgraphs: [*x]}}")
	f.Add("a: &a [*a]\nmodels: *a")
	f.Add("models:\n  m:\n    <<: {platform: ${X}}\n    <<: *q\n? [a, b]\n: c")
	f.Add("models: !!str |\n  text")
	f.Add("{models: {m: {input_tensors: [[[a]]], input_shapes: [[1, [2]], null]}}}")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("f.yml", []byte(text), func(name string) (string, bool) { return "{v}", name == "X" })
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a message")
			}
			return
		}
		for i := range file.Models {
			m := &file.Models[i]
			file.Folder("build", m)
			for j := range m.Graphs {
				g := &m.Graphs[j]
				if len(g.Inputs) == 0 || len(g.Outputs) == 0 || g.Inputs[0].Shape == nil {
					t.Errorf("accepted a graph without inputs or outputs: %+v", g)
				}
				m.Threshold(g)
			}
		}
	})
}
