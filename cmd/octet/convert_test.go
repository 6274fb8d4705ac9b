package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/testdata"
)

// TestConvertBetweenFormats writes a model as TensorFlow Lite and back, float and quantized: it says the same.
func TestConvertBetweenFormats(t *testing.T) {
	f := newTiny(t)
	for _, model := range []string{f.model, f.quantized(t)} {
		lite, back := f.path("there.tflite"), f.path("back.onnx")
		succeed(t, "convert", model, "-o", lite)
		succeed(t, "convert", lite, "-o", back)
		for _, other := range []string{lite, back} {
			r := succeed(t, "evaluate", model, other, "--samples", f.samples)
			if !strings.Contains(r.stdout, "equal") {
				t.Errorf("%s against %s:\n%s", other, model, r.stdout)
			}
		}
	}
}

// TestConvertOpenSizes: what TensorFlow Lite needs and the model leaves open is the line to type, which then works.
func TestConvertOpenSizes(t *testing.T) {
	f := newTiny(t)
	open := f.path("open.onnx")
	writeModel(t, open, tinyGraph(graph.Shape{{Size: graph.Unknown, Symbol: "N"}, graph.Fixed(3), {Size: graph.Unknown, Symbol: "H"}, {Size: graph.Unknown, Symbol: "W"}}))
	lite := f.path("open.tflite")
	r := fail(t, exitError, []string{"octet convert " + open + " -o " + lite + " --shape x=1,3,224,224"}, "convert", open, "-o", lite)
	if _, err := os.Stat(lite); err == nil {
		t.Errorf("a failed command left a file:\n%s", r.stderr)
	}
	succeed(t, "convert", open, "-o", lite, "--shape", "x=2,3,8,8")
	if r := succeed(t, "inspect", lite); !strings.Contains(r.stdout, "2,3,8,8") {
		t.Errorf("not the sizes that were asked for:\n%s", r.stdout)
	}
}

// TestConvertOtherFiles: files of formats that are not read are named, with what to do about them.
func TestConvertOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		parts   []string
	}{
		"m.pt":            {"PK\x03\x04\x00\x00archive/data.pkl", []string{"PyTorch", "torch.onnx.export"}},
		"old.pth":         {"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", []string{"PyTorch", "torch.onnx.export"}},
		"m.keras":         {"PK\x03\x04\x00\x00config.json", []string{"Keras", "tf2onnx"}},
		"m.h5":            {"\x89HDF\r\n\x1a\n0000", []string{"HDF5", "tf2onnx"}},
		"models.zip":      {"PK\x03\x04\x00\x00m.onnx", []string{"zip archive", "unpack"}},
		"m.onnx.gz":       {"\x1f\x8b\x08\x00", []string{"gzip", "unpack"}},
		"m.gguf":          {"GGUF\x03\x00\x00\x00", []string{"GGUF"}},
		"m.safetensors":   {"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}", []string{"safetensors", "torch.onnx.export"}},
		"m.ort":           {"\x20\x00\x00\x00ORTM", []string{"ONNX Runtime", ".onnx"}},
		"saved_model.pb":  {"\x08\x01\x12\x05\x0a\x03abc", []string{"SavedModel", "freeze"}},
		"tensor.pb":       {"\x08\x01\x08\x03\x10\x01\x4a\x02ab", []string{"tensor, not a model"}},
		"labels.txt":      {"cat\ndog\n", []string{"text", "octet reads ONNX"}},
		"model.tflite":    {"\x1c\x00\x00\x00TFL3", []string{"model.tflite"}},
		"random.caffenet": {"\x00\x01\x02\x03", []string{"random.caffenet"}},
	} {
		path := writeText(t, filepath.Join(dir, name), c.content)
		fail(t, exitError, append(c.parts, name), "convert", path, "-o", filepath.Join(dir, "out.onnx"))
	}
	fail(t, exitError, []string{"SavedModel"}, "inspect", dir)
	if left, err := filepath.Glob(filepath.Join(dir, "out*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestConvertCaffeAndTensorFlow: the weights may have any name, and where a network is cut is said.
func TestConvertCaffeAndTensorFlow(t *testing.T) {
	dir := t.TempDir()
	shared := func(elements ...string) string { return testdata.Shared(t, elements...) }
	structure, err := os.ReadFile(shared("caffe", "lenet.prototxt"))
	if err != nil {
		t.Fatal(err)
	}
	path := writeText(t, filepath.Join(dir, "deploy.prototxt"), string(structure))
	fail(t, exitError, []string{"deploy.caffemodel"}, "convert", path, "-o", filepath.Join(dir, "a.onnx"))
	succeed(t, "convert", path, "--weights", shared("caffe", "lenet.caffemodel"), "-o", filepath.Join(dir, "a.onnx"))
	speech := shared("tf", "kws_ds_cnn_s.pb")
	r := succeed(t, "convert", speech, "-o", filepath.Join(dir, "b.tflite"), "--shape", "Mfcc=1,49,10")
	if !strings.Contains(r.stderr, "cut after Mfcc") {
		t.Errorf("where it is cut is not said: %s", r.stderr)
	}
	succeed(t, "convert", shared("tf", "mobilenet_v1_0.25_128_float.pb"), "--outputs", "op05/Relu6", "-o", filepath.Join(dir, "c.tflite"))
	if r := succeed(t, "inspect", filepath.Join(dir, "c.tflite")); !strings.Contains(r.stdout, "op05/Relu6") {
		t.Errorf("it does not end where asked:\n%s", r.stdout)
	}
}

// TestConvertEveryFile converts all models of the shared folder into both formats, as a person would.
func TestConvertEveryFile(t *testing.T) {
	sizes := map[string][]string{
		"bert_toy_optimized.onnx": {"input_ids=1,12", "token_type_ids=1,12", "input_mask=1,12"},
		"ppocr_v2_cls.onnx":       {"x=1,3,48,192"}, "ppocr_v4_det.onnx": {"x=1,3,64,96"},
		"kws_cnn_s.pb": {"Mfcc=1,49,10"}, "kws_dnn_s.pb": {"Mfcc=1,25,10"}, "kws_ds_cnn_m.pb": {"Mfcc=1,49,10"},
		"kws_ds_cnn_s.pb": {"Mfcc=1,49,10"}, "kws_lstm_s.pb": {"Mfcc=1,25,10"},
	}
	// What a format has no word for is an error that says so.
	refused := map[string]string{"mnist_lstm_int8.tflite onnx": "computes on codes",
		"kws_lstm_s.pb tflite": "no such operator"}
	dir := t.TempDir()
	for _, pattern := range []string{"tflite/*/*.tflite", "tf/*.pb", "caffe/*.prototxt", "onnx/*.onnx"} {
		files, err := filepath.Glob(filepath.Join(append([]string{testdata.Shared(t)}, strings.Split(pattern, "/")...)...))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for i, file := range files {
			for _, ending := range []string{"onnx", "tflite"} {
				out := filepath.Join(dir, fmt.Sprintf("%d.%s", i, ending))
				args := []string{"convert", file, "-o", out}
				if ending == "tflite" {
					for _, s := range sizes[filepath.Base(file)] {
						args = append(args, "--shape", s)
					}
				}
				r := octetWith(t.Context(), args...)
				if why := refused[filepath.Base(file)+" "+ending]; why != "" {
					if r.code != exitError || !strings.Contains(r.stderr, why) {
						t.Errorf("octet %s: code %d, %s", strings.Join(args, " "), r.code, r.stderr)
					}
					continue
				}
				if r.code != 0 {
					t.Errorf("octet %s:\n%s", strings.Join(args, " "), r.stderr)
					continue
				}
				if r := octetWith(t.Context(), "inspect", out); r.code != 0 {
					t.Errorf("what octet %s wrote cannot be read:\n%s", strings.Join(args, " "), r.stderr)
				}
			}
		}
	}
}
