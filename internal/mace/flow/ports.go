// Package flow does what MACE's tools do with models and deployment files: it converts models, feeds them files of raw
// values by MACE's rules for names, logs ranges, compares quantized models with float ones and prints MACE's tables of
// times. The command line is a thin layer over it.
package flow

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/octet-nn/octet/internal/mace/deploy"
	"github.com/octet-nn/octet/tensor"
)

// FormatName is a tensor's name as MACE has it in file names: what is neither a letter nor a digit becomes _, byte by
// byte.
func FormatName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			b[i] = '_'
		}
	}
	return string(b)
}

// Port is an input or output of a converted model, as its files of raw values have it. All elements of files have four
// bytes: float32, or int32 where the deployment file says so.
type Port struct {
	Name    string
	Shape   []int // of the model's tensor: channels last, whatever the order in files
	Integer bool  // elements of files are int32
	// ChannelsFirst says that files have a four-dimensional tensor in the order NCHW.
	ChannelsFirst bool
	Range         [2]float64 // of random values for an input
}

// Inputs are the ports of a graph's inputs. fileFormat is the order in files, NHWC or NCHW; "" means what the
// deployment file says.
func Inputs(g *deploy.Graph, fileFormat string) []Port {
	var ports []Port
	for _, in := range g.Inputs {
		p := newPort(in.Name, in.Shape, in.Type, in.Format, fileFormat)
		p.Range = in.Range
		ports = append(ports, p)
	}
	return ports
}

// Outputs are the ports of a graph's outputs, or of those that replace them while a quantized model is checked.
func Outputs(g *deploy.Graph, fileFormat string) []Port {
	var ports []Port
	for _, out := range outputsOf(g) {
		ports = append(ports, newPort(out.Name, out.Shape, out.Type, out.Format, fileFormat))
	}
	return ports
}

// outputsOf are the outputs that a converted model has.
func outputsOf(g *deploy.Graph) []deploy.Output {
	if g.Quantize && len(g.Checks) > 0 {
		return g.Checks
	}
	return g.Outputs
}

// asFloat is a graph that is not to be quantized and needs no range file, which may not be there yet.
func asFloat(g *deploy.Graph) *deploy.Graph {
	float := *g
	float.Quantize, float.Ranges = false, nil
	return &float
}

func newPort(name string, shape []int, dtype, format, fileFormat string) Port {
	p := Port{Name: name, Shape: shape, Integer: dtype == "int32"}
	if len(shape) != 4 || format == "NONE" {
		return p
	}
	if format == "NCHW" {
		p.Shape = []int{shape[0], shape[2], shape[3], shape[1]}
	}
	if fileFormat == "" {
		fileFormat = format
	}
	p.ChannelsFirst = fileFormat == "NCHW"
	return p
}

// Bytes is the size of a file.
func (p Port) Bytes() int {
	n := 4
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// FileShape is the shape in the order of files.
func (p Port) FileShape() []int {
	if p.ChannelsFirst {
		return []int{p.Shape[0], p.Shape[3], p.Shape[1], p.Shape[2]}
	}
	return p.Shape
}

// dims is a shape as deployment files write it: 1,224,224,3.
func dims(shape []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", ","), "[]")
}

// Tensor is the model's input of a file's bytes; dtype is what the model takes.
func (p Port) Tensor(data []byte, dtype tensor.DType) (*tensor.Tensor, error) {
	t, err := tensor.FromBytes(tensor.Float32, p.FileShape(), data)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", p.Name, err)
	}
	if p.ChannelsFirst {
		t = transposed(t, p.Shape, func(n, y, x, c, height, width, channels int) int { return ((n*channels+c)*height+y)*width + x })
	}
	out := tensor.New(dtype, p.Shape...)
	bits := func(i int) uint32 { return binary.LittleEndian.Uint32(t.Bytes()[4*i:]) }
	switch {
	case !p.Integer && dtype == tensor.Float32, p.Integer && dtype == tensor.Int32:
		copy(out.Bytes(), t.Bytes())
	case p.Integer && dtype == tensor.Int64:
		for i := range tensor.Values[int64](out) {
			tensor.Values[int64](out)[i] = int64(int32(bits(i)))
		}
	case p.Integer && dtype == tensor.Bool:
		for i := range out.Len() {
			if bits(i) != 0 {
				out.Bytes()[i] = 1
			}
		}
	default:
		given := "float32"
		if p.Integer {
			given = "int32"
		}
		return nil, fmt.Errorf("input %q: files have %s elements and the model takes %s; set input_data_types to what it takes", p.Name, given, dtype)
	}
	return out, nil
}

// Data is an output as the bytes of a file. Float values are float32, all others int32.
func (p Port) Data(t *tensor.Tensor, values []float32) []byte {
	data := make([]byte, 0, 4*t.Len())
	if t.DType().IsInteger() && values == nil || t.DType() == tensor.Bool {
		for _, v := range integers(t) {
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(v)))
		}
	} else {
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
	}
	if !p.ChannelsFirst || len(t.Shape()) != 4 {
		return data
	}
	s := t.Shape()
	last, _ := tensor.FromBytes(tensor.Float32, s, data) // the size is that of the tensor
	first := transposed(last, []int{s[0], s[3], s[1], s[2]}, func(n, c, y, x, channels, height, width int) int { return ((n*height+y)*width+x)*channels + c })
	return first.Bytes()
}

// transposed is a four-dimensional tensor of four-byte elements under another order; source is where an element of the
// result comes from, given its place and the three inner sizes of the result.
func transposed(t *tensor.Tensor, shape []int, source func(n, i, j, k, sizeI, sizeJ, sizeK int) int) *tensor.Tensor {
	out := tensor.New(t.DType(), shape...)
	to, from := out.Bytes(), t.Bytes()
	at := 0
	for n := range shape[0] {
		for i := range shape[1] {
			for j := range shape[2] {
				for k := range shape[3] {
					s := 4 * source(n, i, j, k, shape[1], shape[2], shape[3])
					copy(to[at:at+4], from[s:s+4])
					at += 4
				}
			}
		}
	}
	return out
}

func integers(t *tensor.Tensor) []int64 {
	out := make([]int64, t.Len())
	for i := range out {
		switch t.DType() {
		case tensor.Bool, tensor.Uint8:
			out[i] = int64(t.Bytes()[i])
		case tensor.Int8:
			out[i] = int64(int8(t.Bytes()[i]))
		case tensor.Int16:
			out[i] = int64(tensor.Values[int16](t)[i])
		case tensor.Uint16:
			out[i] = int64(tensor.Values[uint16](t)[i])
		case tensor.Int32:
			out[i] = int64(tensor.Values[int32](t)[i])
		case tensor.Uint32:
			out[i] = int64(tensor.Values[uint32](t)[i])
		case tensor.Int64:
			out[i] = tensor.Values[int64](t)[i]
		}
	}
	return out
}
