package graph_test

import (
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

func TestArrangeReportsEveryProblem(t *testing.T) {
	n := graph.Dim{Size: graph.Unknown, Symbol: "N"}
	inputs := []*graph.Value{
		{Name: "image", Type: graph.Type{DType: tensor.Float32, Shape: graph.Shape{n, graph.Fixed(3)}}},
		{Name: "mask", Type: graph.Type{DType: tensor.Bool, Shape: graph.Shape{n}}},
		{Name: "any", Type: graph.Type{DType: tensor.Int64}},
	}
	f, b, i := tensor.Float32, tensor.Bool, tensor.Int64
	for _, c := range []struct {
		name  string
		given map[string]*tensor.Tensor
		want  []string
	}{
		{"fitting", map[string]*tensor.Tensor{"image": tensor.New(f, 2, 3), "mask": tensor.New(b, 2), "any": tensor.New(i)}, nil},
		{"nothing", nil, []string{`"image" (f32[N,3]) is missing`, `"mask" (bool[N]) is missing`, `"any"`}},
		{"wrong", map[string]*tensor.Tensor{"image": tensor.New(f, 2, 4), "mask": tensor.New(f, 2), "any": tensor.New(i), "extra": nil},
			[]string{"dimension 1 must be 3", "element type must be bool", `no input "extra"`}},
		{"symbols", map[string]*tensor.Tensor{"image": tensor.New(f, 2, 3), "mask": tensor.New(b, 5), "any": tensor.New(i)},
			[]string{`dimension 0 is N, which is 2 in input "image"`}},
		{"rank", map[string]*tensor.Tensor{"image": tensor.New(f, 2, 3, 1), "mask": tensor.New(b, 5), "any": tensor.New(i)},
			[]string{"must have 2 dimensions"}},
	} {
		arranged, err := graph.Arrange(inputs, c.given)
		if len(c.want) == 0 {
			if err != nil || len(arranged) != 3 || arranged[1] != c.given["mask"] {
				t.Errorf("%s: %v, %v", c.name, arranged, err)
			}
			continue
		}
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", c.name, err, w)
			}
		}
	}
}
