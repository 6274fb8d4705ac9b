package compile

import (
	"archive/zip"
	"bufio"
	"bytes"
	stored "encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/testdata"
	"github.com/octet-nn/octet/tensor"
)

// message is a protobuf message in text form: fields by name, in order; values are strings or messages.
type message map[string][]any

func (m message) text(name string) string {
	if len(m[name]) == 0 {
		return ""
	}
	return m[name][0].(string)
}

func (m message) int(name string) int {
	n, _ := strconv.Atoi(m.text(name))
	return n
}

func (m message) ints(name string) []int {
	var list []int
	for _, v := range m[name] {
		n, _ := strconv.Atoi(v.(string))
		list = append(list, n)
	}
	return list
}

func (m message) float(name string) float32 {
	f, _ := strconv.ParseFloat(m.text(name), 32)
	return float32(f)
}

func (m message) messages(name string) []message {
	var list []message
	for _, v := range m[name] {
		list = append(list, v.(message))
	}
	return list
}

func readMessage(s *bufio.Scanner) message {
	m := message{}
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "}" {
			break
		}
		if name, ok := strings.CutSuffix(line, " {"); ok {
			m[name] = append(m[name], readMessage(s))
		} else if name, value, ok := strings.Cut(line, ": "); ok {
			m[name] = append(m[name], strings.Trim(value, `"`))
		}
	}
	return m
}

// unzip is the contents of every file of an archive.
func unzip(t *testing.T, path string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	files := map[string][]byte{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// npyData is the elements of an array in NumPy's file format.
func npyData(file []byte) []byte { return file[10+int(stored.LittleEndian.Uint16(file[8:])):] }

// maceModel is a quantized MACE model in text form and its weights.
type maceModel struct {
	layers  []message
	tensors map[string]message
	data    []byte
}

func readMACE(t *testing.T, folder, name string) maceModel {
	t.Helper()
	text, err := os.ReadFile(testdata.Shared(t, "mace", folder, "model", name+".pb_txt"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(testdata.Shared(t, "mace", folder, "model", name+".data"))
	if err != nil {
		t.Fatal(err)
	}
	net := readMessage(bufio.NewScanner(bytes.NewReader(text))).messages("net_def")[0]
	m := maceModel{net.messages("op"), map[string]message{}, data}
	for _, c := range net.messages("tensors") {
		m.tensors[c.text("name")] = c
	}
	return m
}

func (m maceModel) quant(layer message) *graph.Quant {
	info := layer.messages("quantize_info")[0]
	return graph.PerTensor(info.float("scale"), int32(info.int("zero_point")))
}

// argument is the argument of a layer with a name.
func argument(layer message, name string) message {
	for _, a := range layer.messages("arg") {
		if a.text("name") == name {
			return a
		}
	}
	return message{}
}

// constants are the weights and the bias of a layer, the bias rounded to the scale of the input that it meets.
func (m maceModel) constants(s *sketch, layer message, inputScale float32) (weights, bias *graph.Value) {
	w, b := m.tensors[layer["input"][1].(string)], m.tensors[layer["input"][2].(string)]
	codes := tensor.New(tensor.Uint8, w.ints("dims")...)
	copy(codes.Bytes(), m.data[w.int("offset"):])
	weights = s.constant(codes, graph.PerTensor(w.float("scale"), int32(w.int("zero_point"))))
	sums := make([]int32, b.int("data_size"))
	scale := inputScale * w.float("scale")
	for i := range sums {
		sums[i] = int32(stored.LittleEndian.Uint32(m.data[b.int("offset")+4*i:]))
		if math.Abs(float64(b.float("scale")-scale)) > 1e-6 {
			sums[i] = int32(math.Round(float64(float32(sums[i]) * (b.float("scale") / scale))))
		}
	}
	return weights, s.constant(tensor.Of(sums, len(sums)), graph.PerTensor(scale, 0))
}

// TestMACELayers compares every layer of a model run by MACE, given the codes that MACE gave it, by reference and by
// kernels: the suite that proves the row mace.
func TestMACELayers(t *testing.T) {
	model := readMACE(t, "resnet8_cifar10", "r8_quant_p0")
	floats := unzip(t, testdata.Shared(t, "mace", "resnet8_cifar10", "inputs.zip"))
	compared, unlike := map[string]int{}, map[numeric.Arithmetic]int{}
	for _, sample := range []string{"input_1_0_airplane_0000", "input_1_0_airplane_0003", "input_1_2_bird_0000"} {
		outputs := unzip(t, testdata.Shared(t, "mace", "resnet8_cifar10", "layers_uint8", sample+".npz"))
		quants := map[string]*graph.Quant{}
		for _, layer := range model.layers {
			kind, name := layer.text("type"), layer.text("name")
			if kind == "Dequantize" {
				continue
			}
			shape := layer.messages("output_shape")[0].ints("dims")
			want := tensor.New(tensor.Uint8, shape...)
			copy(want.Bytes(), npyData(outputs[name+".npy"]))
			s := newSketch(t, 1)
			operand := func(i int) *graph.Value {
				from := layer["input"][i].(string)
				codes := tensor.New(tensor.Uint8, len(npyData(outputs[from+".npy"])))
				copy(codes.Bytes(), npyData(outputs[from+".npy"]))
				for _, l := range model.layers {
					if l.text("name") == from {
						codes = codes.Reshape(l.messages("output_shape")[0].ints("dims")...)
					}
				}
				v := &graph.Value{Name: from + strconv.Itoa(i), Type: graph.Type{DType: tensor.Uint8,
					Shape: graph.FixedShape(codes.Shape()...), Quant: quants[from]}}
				s.graph.Inputs = append(s.graph.Inputs, v)
				s.values[v] = codes
				return v
			}
			var result *graph.Value
			integer := func(o graph.Operator, q *graph.Quant, inputs ...*graph.Value) {
				result = s.integer(o, tensor.Uint8, q.Scale[0], q.ZeroPoint[0], inputs...)
				quants[name] = q
			}
			q := model.quant(layer)
			switch kind {
			case "Quantize":
				if floats[sample] == nil { // the range of this input is not known, nor what the first layer sees
					quants[name] = nil
					continue
				}
				x := tensor.New(tensor.Float32, shape...)
				copy(x.Bytes(), floats[sample])
				// The range is the input's own.
				least, greatest := float32(0), float32(0)
				for _, v := range tensor.Values[float32](x) {
					least, greatest = min(least, v), max(greatest, v)
				}
				if least < 0 {
					t.Fatal("this test expects images")
				}
				quants[name] = graph.PerTensor(greatest/255, 0)
				v := s.input(tensor.Float32, nil, shape...)
				v.Type.Shape = graph.FixedShape(shape...)
				s.values[v] = x
				result = s.typed(graph.Float, &op.Quantize{}, graph.Type{DType: tensor.Uint8, Quant: quants[name]}, v)
			case "Conv2D":
				x := operand(0)
				if x.Type.Quant == nil {
					quants[name] = q
					continue
				}
				w, b := model.constants(s, layer, x.Type.Quant.Scale[0])
				pads := argument(layer, "padding_values").ints("ints") // both ends together; the odd one at the end
				strides := argument(layer, "strides").ints("ints")
				integer(&op.Conv{Strides: strides, Pads: []int{pads[0] / 2, pads[1] / 2, pads[0] - pads[0]/2, pads[1] - pads[1]/2},
					Layout: op.NHWC, Filter: op.OHWI}, q, x, w, b)
			case "Eltwise":
				integer(&op.Add{}, q, operand(0), operand(1))
			case "Activation":
				x := operand(0)
				integer(op.Lookup("Relu"), x.Type.Quant, x)
			case "Pooling":
				x := operand(0)
				integer(&op.AveragePool{KernelShape: argument(layer, "kernels").ints("ints"), Strides: argument(layer, "strides").ints("ints"),
					Layout: op.NHWC}, x.Type.Quant, x)
			case "Softmax":
				integer(&op.Softmax{Axis: -1}, graph.PerTensor(1./255, 0), operand(0))
			default:
				t.Fatalf("%s: a layer of type %s", name, kind)
			}
			s.graph.Nodes[0].Arithmetic = numeric.MACE
			if err := s.bothGive(result, want); err != nil {
				t.Errorf("%s, layer %s (%s): %v", sample, name, kind, err)
			}
			compared[kind]++
			for _, row := range numeric.Arithmetics() {
				s.graph.Nodes[0].Arithmetic = row
				if s.referenceGives(result, want) != nil {
					unlike[row]++
				}
			}
		}
	}
	t.Logf("layers compared: %v; unlike other rows: %v", compared, unlike)
	for _, row := range numeric.Arithmetics() {
		if row != numeric.MACE && unlike[row] == 0 {
			t.Errorf("the row %s gives the same results, so that this suite proves nothing", row)
		}
	}
	if want := (map[string]int{"Quantize": 2, "Conv2D": 29, "Eltwise": 9, "Activation": 9, "Pooling": 3, "Softmax": 3}); !maps.Equal(compared, want) {
		t.Errorf("compared %v layers, want %v", compared, want)
	}
	total := 0
	for _, n := range compared {
		total += n
	}
	if total != layersOfMACE {
		t.Errorf("%d layers were compared, not %d", total, layersOfMACE)
	}
}

// referenceGives compares an expected result with the reference.
func (s *sketch) referenceGives(result *graph.Value, want *tensor.Tensor) error {
	in := map[string]*tensor.Tensor{}
	for v, x := range s.values {
		in[v.Name] = x
	}
	values, err := evaluate(s.t, s.graph, in)
	if err != nil {
		return err
	}
	return compare(values[result], want)
}

// bothGive compares an expected result with the reference and with the compiled graph, which must have a kernel.
func (s *sketch) bothGive(result *graph.Value, want *tensor.Tensor) error {
	s.graph.Outputs = []*graph.Value{result}
	if _, err := op.Infer(s.graph); err != nil {
		return err
	}
	if err := s.graph.Check(); err != nil {
		return err
	}
	if err := s.referenceGives(result, want); err != nil {
		return fmt.Errorf("by reference: %w", err)
	}
	in := map[string]*tensor.Tensor{}
	for v, x := range s.values {
		in[v.Name] = x
	}
	session, err := Compile(s.graph, Options{Threads: 2})
	if err != nil {
		return err
	}
	defer session.Close()
	got, err := session.Run(s.t.Context(), in)
	if err != nil {
		return err
	}
	if n := session.ReferenceEvaluations(); n > 0 {
		return fmt.Errorf("%d nodes have no kernel", n)
	}
	if err := compare(got[result.Name], want); err != nil {
		return fmt.Errorf("by kernels: %w", err)
	}
	return nil
}
