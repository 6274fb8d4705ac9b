package octet

import (
	"archive/tar"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// largeLight are the models whose weights, made as they run, have 200 MB and more.
var largeLight = []string{"light_bvlc_alexnet", "light_vgg19", "light_zfnet512"}

// TestLightModels runs ONNX's own tests of whole networks, whose weights are all one number. The input is that of ONNX's
// runner: the index of each element divided by their number.
func TestLightModels(t *testing.T) {
	archive, err := os.Open(testdata.Shared(t, "golden", "onnx_backend_tests_6be0677.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	z, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.Name, "/light/") || h.Typeflag != tar.TypeReg {
			continue
		}
		if files[path.Base(h.Name)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for name, data := range files {
		base, isModel := strings.CutSuffix(name, ".onnx")
		if !isModel {
			continue
		}
		count++
		t.Run(base, func(t *testing.T) {
			if slices.Contains(largeLight, base) && !*modelsFlag {
				t.Skip("SKIP: its weights have 200 MB and more (run with -models)")
			}
			m, err := Read(fstest.MapFS{name: {Data: data}}, name, LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := m.Compile(CompileOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			in := m.Inputs()[0]
			x := tensor.New(tensor.Float32, in.Shape...)
			for i := range tensor.Values[float32](x) {
				tensor.Values[float32](x)[i] = float32(i) / float32(x.Len())
			}
			results, err := s.Run(t.Context(), map[string]*tensor.Tensor{in.Name: x})
			if err != nil {
				t.Fatal(err)
			}
			y := tensor.Values[float32](results[m.Outputs()[0].Name])
			// The file is a TensorProto that ends with the raw data.
			want := files[base+"_output_0.pb"]
			if len(want) < 4*len(y) {
				t.Fatalf("the expected output has %d bytes", len(want))
			}
			want = want[len(want)-4*len(y):]
			for i, v := range y {
				w := math.Float32frombits(binary.LittleEndian.Uint32(want[4*i:]))
				if math.Abs(float64(v-w)) > 1e-7+1e-3*math.Abs(float64(w)) {
					t.Fatalf("y[%d] is %v instead of %v", i, v, w)
				}
			}
		})
	}
	if count != 9 {
		t.Errorf("%d models", count)
	}
}
