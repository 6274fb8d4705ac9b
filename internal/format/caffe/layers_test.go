package caffe

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// weight is a blob of a layer in a made-up file.
type weight struct {
	layer  string
	shape  []int
	values []float32
}

// weightsFile is a .caffemodel; in the old form, with layers of the time before types were strings.
func weightsFile(old bool, all ...weight) []byte {
	var file []byte
	byLayer := map[string][]byte{}
	var order []string
	blobs, name, layers := protowire.Number(layerBlobs), protowire.Number(layerName), protowire.Number(netLayer)
	if old {
		blobs, name, layers = oldBlobs, oldName, netLayers
	}
	for _, w := range all {
		var data, blob []byte
		for _, v := range w.values {
			data = protowire.AppendFixed32(data, math.Float32bits(v))
		}
		if old {
			four := append(make([]int, 0, 4), 1, 1, 1, 1)
			copy(four[4-len(w.shape):], w.shape)
			for i, n := range four {
				blob = protowire.AppendVarint(protowire.AppendTag(blob, protowire.Number(blobNum+i), protowire.VarintType), uint64(n))
			}
		} else {
			var dims []byte
			for _, n := range w.shape {
				dims = protowire.AppendVarint(dims, uint64(n))
			}
			dims = protowire.AppendBytes(protowire.AppendTag(nil, shapeDim, protowire.BytesType), dims)
			blob = protowire.AppendBytes(protowire.AppendTag(blob, blobShape, protowire.BytesType), dims)
		}
		blob = protowire.AppendBytes(protowire.AppendTag(blob, blobData, protowire.BytesType), data)
		if byLayer[w.layer] == nil {
			order = append(order, w.layer)
			byLayer[w.layer] = protowire.AppendBytes(protowire.AppendTag(nil, name, protowire.BytesType), []byte(w.layer))
			if old {
				byLayer[w.layer] = protowire.AppendVarint(protowire.AppendTag(byLayer[w.layer], oldType, protowire.VarintType), 4)
			}
		}
		byLayer[w.layer] = protowire.AppendBytes(protowire.AppendTag(byLayer[w.layer], blobs, protowire.BytesType), blob)
	}
	for _, l := range order {
		file = protowire.AppendBytes(protowire.AppendTag(file, layers, protowire.BytesType), byLayer[l])
	}
	return file
}

// layerCase is a layer "l" from "x" to "y" with a result worked out by hand from its definition.
type layerCase struct {
	name    string
	shape   []int
	layer   string
	weights []weight
	x, want []float32
	result  string // its type
}

// file is the .prototxt.
func (c layerCase) file() string {
	file := `input: "x" input_shape { `
	for _, n := range c.shape {
		file += fmt.Sprintf("dim: %d ", n)
	}
	return file + "}\nlayer { name: \"l\" top: \"y\" bottom: \"x\" " + c.layer + " }\n"
}

var layerCases = []layerCase{
	{"convolution", []int{1, 1, 2, 3}, `type: "Convolution" convolution_param { num_output: 2 kernel_h: 2 kernel_w: 1 }`,
		[]weight{{"l", []int{2, 1, 2, 1}, []float32{1, 10, 0, 1}}, {"l", []int{2}, []float32{0.5, -1}}},
		[]float32{1, 2, 3, 4, 5, 6}, []float32{41.5, 52.5, 63.5, 3, 4, 5}, "f32[1,2,1,3]"},
	{"convolution by groups, padded and dilated", []int{1, 2, 1, 3}, `type: "Convolution"
		convolution_param { num_output: 2 group: 2 bias_term: false kernel_size: [1, 2] pad: 0 pad: 1 stride: 1 dilation: 1 dilation: 2 weight_filler { type: "xavier" } }`,
		[]weight{{"l", []int{2, 1, 1, 2}, []float32{1, 1, 2, 0}}},
		[]float32{1, 2, 3, 4, 5, 6}, []float32{2, 4, 2, 0, 8, 10}, "f32[1,2,1,3]"},
	{"depthwise", []int{1, 2, 1, 1}, `type: "DepthwiseConvolution" convolution_param { num_output: 2 kernel_size: 1 bias_term: false }`,
		[]weight{{"l", []int{2, 1, 1, 1}, []float32{3, 5}}}, []float32{1, 2}, []float32{3, 10}, "f32[1,2,1,1]"},
	{"deconvolution", []int{1, 1, 1, 2}, `type: "Deconvolution" convolution_param { num_output: 1 kernel_size: 2 stride: 2 bias_term: false }`,
		[]weight{{"l", []int{1, 1, 2, 2}, []float32{1, 2, 3, 4}}}, []float32{1, 10}, []float32{1, 2, 10, 20, 3, 4, 30, 40}, "f32[1,1,2,4]"},
	{"inner product", []int{1, 1, 1, 2}, `type: "InnerProduct" inner_product_param { num_output: 2 }`,
		[]weight{{"l", []int{2, 2}, []float32{1, 2, 3, 4}}, {"l", []int{2}, []float32{0, 1}}}, []float32{1, 10}, []float32{21, 44}, "f32[1,2]"},
	{"inner product along the last axis", []int{1, 2, 2}, `type: "InnerProduct" inner_product_param { num_output: 1 axis: -1 transpose: true bias_term: false }`,
		[]weight{{"l", []int{2, 1}, []float32{1, 10}}}, []float32{1, 2, 3, 4}, []float32{21, 43}, "f32[1,2,1]"},
	{"largest, sizes rounded up", []int{1, 1, 1, 4}, `type: "Pooling" pooling_param { pool: MAX kernel_h: 1 kernel_w: 3 stride: 2 }`,
		nil, []float32{1, 5, 2, 4}, []float32{5, 4}, "f32[1,1,1,2]"},
	{"largest, sizes rounded down", []int{1, 1, 1, 4}, `type: "Pooling" pooling_param { pool: 0 kernel_h: 1 kernel_w: 3 stride: 2 ceil_mode: false }`,
		nil, []float32{1, 5, 2, 4}, []float32{5}, "f32[1,1,1,1]"},
	{"average counts padding but not what lies beyond it", []int{1, 1, 1, 4}, `type: "Pooling" pooling_param { pool: AVE kernel_h: 1 kernel_w: 3 stride: 2 pad_h: 0 pad_w: 1 }`,
		nil, []float32{3, 6, 9, 12}, []float32{3, 9, 6}, "f32[1,1,1,3]"},
	{"average of everything", []int{1, 1, 2, 2}, `type: "Pooling" pooling_param { pool: AVE global_pooling: true }`,
		nil, []float32{1, 2, 3, 6}, []float32{3}, "f32[1,1,1,1]"},
	{"batch norm", []int{1, 2, 1, 1}, `type: "BatchNorm" batch_norm_param { eps: 0 use_global_stats: true }`,
		[]weight{{"l", []int{2}, []float32{2, 4}}, {"l", []int{2}, []float32{8, 18}}, {"l", []int{1}, []float32{2}}}, []float32{5, 8}, []float32{2, 2}, "f32[1,2,1,1]"},
	{"scale", []int{1, 2, 1, 1}, `type: "Scale" scale_param { bias_term: true }`,
		[]weight{{"l", []int{2}, []float32{2, 4}}, {"l", []int{2}, []float32{1, -1}}}, []float32{5, 8}, []float32{11, 31}, "f32[1,2,1,1]"},
	{"scale along the last axis", []int{1, 1, 2, 2}, `type: "Scale" scale_param { axis: -1 bias_term: true }`,
		[]weight{{"l", []int{2}, []float32{2, 4}}, {"l", []int{2}, []float32{1, -1}}}, []float32{5, 8, 1, 1}, []float32{11, 31, 3, 3}, "f32[1,1,2,2]"},
	{"bias", []int{1, 2, 1, 1}, `type: "Bias"`, []weight{{"l", []int{2}, []float32{2, 4}}}, []float32{5, 8}, []float32{7, 12}, "f32[1,2,1,1]"},
	{"prelu", []int{1, 2, 1, 2}, `type: "PReLU"`, []weight{{"l", []int{2}, []float32{2, 4}}}, []float32{-1, 1, -1, 3}, []float32{-2, 1, -4, 3}, "f32[1,2,1,2]"},
	{"prelu, shared", []int{1, 2}, `type: "PReLU" prelu_param { channel_shared: true }`, []weight{{"l", nil, []float32{2}}}, []float32{-1, 1}, []float32{-2, 1}, "f32[1,2]"},
	{"relu", []int{2}, `type: "ReLU"`, nil, []float32{-1, 1}, []float32{0, 1}, "f32[2]"},
	{"leaky relu", []int{2}, `type: "ReLU" relu_param { negative_slope: 0.5 engine: CAFFE }`, nil, []float32{-1, 1}, []float32{-0.5, 1}, "f32[2]"},
	{"relu6", []int{3}, `type: "ReLU6"`, nil, []float32{-1, 1, 7}, []float32{0, 1, 6}, "f32[3]"},
	{"elu", []int{2}, `type: "ELU" elu_param { alpha: 2 }`, nil, []float32{0, 1}, []float32{0, 1}, "f32[2]"},
	{"selu", []int{2}, `type: "SELU"`, nil, []float32{0, 1}, []float32{0, 1.050701}, "f32[2]"},
	{"absolute", []int{2}, `type: "AbsVal"`, nil, []float32{-1, 1}, []float32{1, 1}, "f32[2]"},
	{"sigmoid", []int{1}, `type: "Sigmoid"`, nil, []float32{0}, []float32{0.5}, "f32[1]"},
	{"bnll", []int{1}, `type: "BNLL"`, nil, []float32{0}, []float32{float32(math.Ln2)}, "f32[1]"},
	{"power", []int{2}, `type: "Power" power_param { power: 2 scale: 3 shift: 1 }`, nil, []float32{0, 1}, []float32{1, 16}, "f32[2]"},
	{"power that is none", []int{2}, `type: "Power"`, nil, []float32{0, 1}, []float32{0, 1}, "f32[2]"},
	{"exponential", []int{2}, `type: "Exp" exp_param { base: 2 shift: 1 }`, nil, []float32{0, 2}, []float32{2, 8}, "f32[2]"},
	{"logarithm", []int{2}, `type: "Log" log_param { base: 2 scale: 4 }`, nil, []float32{1, 2}, []float32{2, 3}, "f32[2]"},
	{"softmax", []int{1, 2, 1, 1}, `type: "Softmax"`, nil, []float32{3, 3}, []float32{0.5, 0.5}, "f32[1,2,1,1]"},
	{"sum", []int{2}, `bottom: "x" type: "Eltwise" eltwise_param { coeff: 2 coeff: -1 }`, nil, []float32{1, 2}, []float32{1, 2}, "f32[2]"},
	{"product", []int{2}, `bottom: "x" bottom: "x" type: "Eltwise" eltwise_param { operation: PROD }`, nil, []float32{3, 2}, []float32{27, 8}, "f32[2]"},
	{"maximum", []int{2}, `bottom: "x" type: "Eltwise" eltwise_param { operation: MAX }`, nil, []float32{3, 2}, []float32{3, 2}, "f32[2]"},
	{"concat", []int{1, 2}, `bottom: "x" type: "Concat" concat_param { concat_dim: 1 }`, nil, []float32{3, 2}, []float32{3, 2, 3, 2}, "f32[1,4]"},
	{"permute", []int{1, 2, 1, 2}, `type: "Permute" permute_param { order: 0 order: 3 }`, nil, []float32{1, 2, 3, 4}, []float32{1, 3, 2, 4}, "f32[1,2,2,1]"},
	{"reshape", []int{1, 2, 2}, `type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }`, nil, []float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}, "f32[1,4]"},
	{"reshape of some axes", []int{1, 4, 3}, `type: "Reshape" reshape_param { axis: 1 num_axes: 1 shape { dim: 2 dim: 2 } }`, nil,
		make([]float32, 12), make([]float32, 12), "f32[1,2,2,3]"},
	{"reshape after the last axis", []int{1, 2}, `type: "Reshape" reshape_param { axis: -1 shape { dim: 1 } }`, nil, []float32{1, 2}, []float32{1, 2}, "f32[1,2,1]"},
	{"flatten", []int{1, 2, 2}, `type: "Flatten"`, nil, []float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}, "f32[1,4]"},
	{"flatten of some axes", []int{1, 2, 2, 1}, `type: "Flatten" flatten_param { axis: 0 end_axis: -2 }`, nil, []float32{1, 2, 3, 4}, []float32{1, 2, 3, 4}, "f32[4,1]"},
	{"lrn", []int{1, 2, 1, 1}, `type: "LRN" lrn_param { local_size: 3 alpha: 3 beta: 0.5 k: 3 }`, nil, []float32{1, 0}, []float32{0.5, 0}, "f32[1,2,1,1]"},
	{"lrn within a channel", []int{1, 1, 1, 2}, `type: "LRN" lrn_param { local_size: 3 alpha: 9 beta: 0.5 norm_region: WITHIN_CHANNEL }`, nil,
		[]float32{1, 1}, []float32{0.57735026, 0.57735026}, "f32[1,1,1,2]"},
	{"normalize", []int{1, 2, 1, 2}, `type: "Normalize" norm_param { across_spatial: false channel_shared: false eps: 0 }`,
		[]weight{{"l", []int{2}, []float32{10, 20}}}, []float32{3, 0, 4, 2}, []float32{6, 0, 16, 20}, "f32[1,2,1,2]"},
	{"normalize everything", []int{1, 2, 1, 2}, `type: "Normalize" norm_param { eps: 0 }`,
		[]weight{{"l", []int{1}, []float32{10}}}, []float32{3, 0, 4, 0}, []float32{6, 0, 8, 0}, "f32[1,2,1,2]"},
	{"shuffle", []int{1, 4, 1, 1}, `type: "ShuffleChannel" shuffle_channel_param { group: 2 }`, nil, []float32{1, 2, 3, 4}, []float32{1, 3, 2, 4}, "f32[1,4,1,1]"},
	{"interp", []int{1, 1, 1, 2}, `type: "Interp" interp_param { height: 1 width: 3 }`, nil, []float32{1, 2}, []float32{1, 1.5, 2}, "f32[1,1,1,3]"},
	{"interp by a factor", []int{1, 1, 1, 2}, `type: "Interp" interp_param { zoom_factor: 2 }`, nil, []float32{1, 2}, []float32{1, 1.5, 2}, "f32[1,1,1,3]"},
	{"upsample", []int{1, 1, 1, 2}, `type: "Upsample" upsample_param { scale: 2 }`, nil, []float32{1, 2}, []float32{1, 1, 2, 2, 1, 1, 2, 2}, "f32[1,1,2,4]"},
	{"prior boxes", []int{1, 1, 1, 1}, `bottom: "x" type: "PriorBox" prior_box_param { min_size: 4.9 max_size: 9 aspect_ratio: 4 aspect_ratio: 1 flip: true clip: false img_size: 8 variance: 0.5 }`,
		nil, []float32{0}, []float32{0.25, 0.25, 0.75, 0.75, 0.125, 0.125, 0.875, 0.875, 0, 0.375, 1, 0.625, 0.375, 0, 0.625, 1,
			0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, "f32[1,2,16]"},
	{"dropout", []int{2}, `type: "Dropout" dropout_param { dropout_ratio: 0.5 }`, nil, []float32{3, 2}, []float32{3, 2}, "f32[2]"},
	{"clip", []int{3}, `type: "Clip" clip_param { min: -1 max: 2 }`, nil, []float32{-3, 1, 7}, []float32{-1, 1, 2}, "f32[3]"},
	{"swish", []int{1}, `type: "Swish"`, nil, []float32{0}, []float32{0}, "f32[1]"},
	{"mvn", []int{1, 2, 1, 2}, `type: "MVN"`, nil, []float32{1, 3, 5, 9}, []float32{-1, 1, -1, 1}, "f32[1,2,1,2]"},
	{"mvn of the mean", []int{1, 2, 1, 1}, `type: "MVN" mvn_param { normalize_variance: false across_channels: true }`, nil,
		[]float32{1, 3}, []float32{-1, 1}, "f32[1,2,1,1]"},
	{"largest channel", []int{1, 3, 1, 1}, `type: "ArgMax" argmax_param { axis: 1 }`, nil, []float32{1, 3, 2}, []float32{1}, "f32[1,1,1,1]"},
	{"largest element", []int{1, 2, 1, 2}, `type: "ArgMax"`, nil, []float32{1, 3, 2, 9}, []float32{3}, "f32[1,1,1]"},
	{"reduction", []int{2, 2}, `type: "Reduction" reduction_param { operation: ASUM axis: 1 coeff: 2 }`, nil, []float32{1, -3, 2, 9}, []float32{8, 22}, "f32[N]"},
	{"mean, by its number", []int{1, 2}, `type: "Reduction" reduction_param { operation: 4 axis: -1 }`, nil, []float32{1, 3}, []float32{2}, "f32[1]"},
	{"tile", []int{1, 2}, `type: "Tile" tile_param { tiles: 2 }`, nil, []float32{1, 3}, []float32{1, 3, 1, 3}, "f32[1,4]"},
	{"axpy", []int{1, 2, 1, 1}, `bottom: "x" bottom: "x" type: "Axpy"`, nil, []float32{2, 3}, []float32{6, 12}, "f32[1,2,1,1]"},
}

func TestLayers(t *testing.T) {
	for _, c := range layerCases {
		t.Run(c.name, func(t *testing.T) {
			g, err := Read([]byte(c.file()), weightsFile(false, c.weights...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := g.Outputs[0].Type.String(); got != c.result {
				t.Errorf("the result is %s, want %s", got, c.result)
			}
			got := op.Float64s(outputs(t, g, tensor.Of(c.x, c.shape...))[0])
			for i, v := range c.want {
				if len(got) != len(c.want) || math.Abs(got[i]-float64(v)) > 1e-5*math.Abs(float64(v)) {
					t.Fatalf("%v becomes %v, want %v", c.x, got, c.want)
				}
			}
		})
	}
}

// TestSeveralTopsAndBottoms: layers with more than one of either.
func TestSeveralTopsAndBottoms(t *testing.T) {
	const file = `
input: "x" input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 2
layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 } }
layer { name: "half" type: "Slice" bottom: "b" top: "c" top: "d" }
layer { name: "split" type: "Split" bottom: "a" top: "a1" top: "a2" }
layer { name: "cut" type: "Crop" bottom: "x" bottom: "a1" top: "cut" crop_param { axis: 1 offset: 2 offset: 0 offset: 0 } }
layer { name: "gate" type: "Flatten" bottom: "c" top: "gate" flatten_param { axis: 2 } }
layer { name: "scaled" type: "Scale" bottom: "cut" bottom: "f" top: "scaled" scale_param { axis: 0 } }
layer { name: "sum" type: "Eltwise" bottom: "scaled" bottom: "d" bottom: "a2" top: "sum" eltwise_param { operation: SUM coeff: [1, -1, 0.5] } }
`
	// The gate is a [1,1] that is stretched over the image.
	text := strings.Replace(file, `layer { name: "scaled"`, `layer { name: "f" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX global_pooling: true } }
layer { name: "ff" type: "Flatten" bottom: "p" top: "f" }
layer { name: "scaled"`, 1)
	g, err := Read([]byte(text), nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	results := outputs(t, g, tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 1, 3, 1, 2))
	// a = 1 2, c = 3 4, d = cut = 5 6, f = 4: 4·(5 6) − (5 6) + (½ 1)
	for i, name := range []string{"gate", "sum"} {
		want := [][]float64{{3, 4}, {15.5, 19}}[i]
		if got := op.Float64s(results[i]); g.Outputs[i].Name != name || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %s %v", g.Outputs[i].Name, got, name, want)
		}
	}
}
