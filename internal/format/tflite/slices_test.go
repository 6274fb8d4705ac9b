package tflite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// Slices with an ellipsis, new axes and axes that go, on floats and on codes, are those of stock TensorFlow Lite.
func TestStridedSlices(t *testing.T) {
	stock := testdata.OpenTFLite(t)
	list := func(values ...int32) []int32 { return values }
	for name, c := range map[string]struct {
		begin, end, stride                            []int32
		beginMask, endMask, ellipsis, newAxis, shrink int32
		shape                                         []int
	}{
		"plain":                    {list(0, 1), list(2, 3), list(1, 1), 0, 0, 0, 0, 0, []int{2, 2, 4}},
		"backwards":                {list(0, 0, 0), list(0, 0, 0), list(1, -1, -2), 7, 7, 0, 0, 0, []int{2, 3, 2}},
		"one row":                  {list(1, 0), list(2, 0), list(1, 1), 2, 2, 0, 0, 1, []int{3, 4}},
		"last element":             {list(0, 0, -1), list(0, 0, 0), list(1, 1, 1), 3, 3, 0, 0, 4, []int{2, 3}},
		"ellipsis":                 {list(0, 1), list(0, 3), list(1, 1), 0, 0, 1, 0, 0, []int{2, 3, 2}},
		"ellipsis between":         {list(1, 0, 1), list(2, 0, 4), list(1, 1, 2), 0, 0, 2, 0, 1, []int{3, 2}},
		"new axis":                 {list(0, 0), list(1, 2), list(1, 1), 0, 0, 0, 1, 0, []int{1, 2, 3, 4}},
		"new axis at the end":      {list(0, 0), list(0, 0), list(1, 1), 0, 0, 1, 2, 0, []int{2, 3, 4, 1}},
		"one goes and one is new":  {list(1, 0, 0), list(2, 1, 3), list(1, 1, 1), 0, 0, 0, 2, 1, []int{1, 3, 4}},
		"new axis behind ellipsis": {list(0, 0, 2), list(0, 0, 3), list(1, 1, 1), 0, 0, 1, 2, 4, []int{2, 3, 1}},
	} {
		for _, coded := range []bool{false, true} {
			x := floats(2, 3, 4)
			var q *graph.Quant
			if coded {
				x, q = codes(2, 3, 4), inputCodes
			}
			constant := func(name string, values []int32) writtenTensor {
				return writtenTensor{name: name, dtype: tensor.Int32, shape: []int{len(values)}, data: tensor.Of(values, len(values)).Bytes()}
			}
			f := &written{name: "slice", inputs: []int{0}, outputs: []int{4}, tensors: []writtenTensor{{name: "x", dtype: x.DType(), shape: x.Shape(), quant: q},
				constant("begin", c.begin), constant("end", c.end), constant("stride", c.stride), {name: "y", dtype: x.DType(), shape: c.shape, quant: q}}}
			f.operators = []writtenOperator{{name: "STRIDED_SLICE", version: 2, kind: 32,
				options: []option{{0, c.beginMask}, {1, c.endMask}, {2, c.ellipsis}, {3, c.newAxis}, {4, c.shrink}}, in: []int{0, 1, 2, 3}, out: []int{4}}}
			data := f.encode()
			path := filepath.Join(t.TempDir(), "m.tflite")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			want, err := tensor.FromBytes(x.DType(), c.shape, stock.Run(t, path, []*tensor.Tensor{x}, 1)[0])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			g, err := Read(data, Options{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compare(t, name, evaluate(t, g, x), want)
		}
	}
}
