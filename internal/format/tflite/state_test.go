package tflite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/flatbuffers/go"

	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
)

// counterFile is y = variable + x, variable = y, as TensorFlow writes it: a subgraph that is called once assigns [1, 2].
func counterFile() []byte {
	b := flatbuffers.NewBuilder(0)
	const (
		callOnce = iota
		varHandle
		read
		assign
		add
	)
	var codes []flatbuffers.UOffsetT
	for _, number := range []int{129, 142, 143, 144, 0} {
		codes = append(codes, object(b, []field{{codeOldBuiltin, int8(min(number, firstLarge))}, {codeVersion, int32(1)}, {codeBuiltin, int32(number)}}))
	}
	tensorOf := func(name string, kind, buffer int, shape ...int) flatbuffers.UOffsetT {
		return object(b, []field{{tensorShape, numbers(b, shape)}, {tensorType, int8(kind)}, {tensorBuffer, uint32(buffer)},
			{tensorName, b.CreateString(name)}})
	}
	operator := func(code, kind int, options []field, in, out []int) flatbuffers.UOffsetT {
		fields := []field{{operatorCode, uint32(code)}, {operatorInputs, numbers(b, in)}, {operatorOutputs, numbers(b, out)}}
		if kind != 0 {
			fields = append(fields, field{operatorOptionsType, uint8(kind)}, field{operatorOptions, object(b, options)})
		}
		return object(b, fields)
	}
	name := b.CreateString("counter")
	handle := func(out int) flatbuffers.UOffsetT {
		return operator(varHandle, 111, []field{{1, name}}, nil, []int{out})
	}
	const f32, resource = 0, 13
	subgraph := func(name string, tensors, operators []flatbuffers.UOffsetT, in, out []int) flatbuffers.UOffsetT {
		return object(b, []field{{subgraphTensors, offsets(b, tensors)}, {subgraphInputs, numbers(b, in)}, {subgraphOutputs, numbers(b, out)},
			{subgraphOperators, offsets(b, operators)}, {subgraphName, b.CreateString(name)}})
	}
	main := subgraph("main",
		[]flatbuffers.UOffsetT{tensorOf("x", f32, 0, 2), tensorOf("handle", resource, 0), tensorOf("before", f32, 0, 2), tensorOf("y", f32, 0, 2)},
		[]flatbuffers.UOffsetT{operator(callOnce, 103, []field{{0, int32(1)}}, nil, nil), handle(1), operator(read, 112, nil, []int{1}, []int{2}),
			operator(add, 11, nil, []int{2, 0}, []int{3}), operator(assign, 113, nil, []int{1, 3}, nil)}, []int{0}, []int{3})
	first := subgraph("first", []flatbuffers.UOffsetT{tensorOf("handle", resource, 0), tensorOf("value", f32, 1, 2)},
		[]flatbuffers.UOffsetT{handle(0), operator(assign, 113, nil, []int{0, 1}, nil)}, nil, nil)
	subgraphs := offsets(b, []flatbuffers.UOffsetT{main, first})
	buffers := offsets(b, []flatbuffers.UOffsetT{object(b, nil), object(b, []field{{bufferData, alignedBytes(b, tensor.Of([]float32{1, 2}, 2).Bytes())}})})
	root := object(b, []field{{modelVersion, uint32(schemaVersion)}, {modelOperatorCodes, offsets(b, codes)}, {modelSubgraphs, subgraphs},
		{modelDescription, b.CreateString("counter")}, {modelBuffers, buffers}})
	b.FinishWithFileIdentifier(root, []byte(identifier))
	return b.FinishedBytes()
}

// A resource variable becomes a state, which begins with what the subgraph that is called once assigns. Stock TensorFlow
// Lite 2.9 answers [2 3], [3 4], [4 5] when this file is invoked again and again on ones.
func TestResourceVariables(t *testing.T) {
	path := filepath.Join("..", "..", "..", "testdata", "state", "counter.tflite")
	if *update {
		if err := os.WriteFile(path, counterFile(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(data, counterFile()) {
		t.Fatalf("%s is not what this test makes (renew it with -update): %v", path, err)
	}
	g, err := Read(data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Infer(g); err != nil {
		t.Fatal(err)
	}
	inputs, outputs := g.Ports()
	if len(inputs) != 1 || len(outputs) != 1 || len(g.States) != 1 || len(g.Nodes) != 1 || outputs[0].Name != "y" {
		t.Fatalf("not one addition with a state:\n%s", g.Text())
	}
	s := g.States[0]
	if got := tensor.Values[float32](s.Initial); got[0] != 1 || got[1] != 2 || g.Inputs[s.Input].Name != "before" || g.Outputs[s.Output] != outputs[0] {
		t.Errorf("state %v:\n%s", got, g.Text())
	}
}

// What begins as anything but constants, or does more than assign them, is not read as states; the operators stay.
func TestResourcesThatCannotBeRead(t *testing.T) {
	w := &written{name: "main", inputs: []int{0}, outputs: []int{2}}
	for i := range 3 {
		w.tensors = append(w.tensors, writtenTensor{name: string(rune('a' + i)), dtype: tensor.Float32, shape: []int{2}})
	}
	w.operators = []writtenOperator{{name: "CALL_ONCE", version: 1}, {name: "READ_VARIABLE", version: 1, in: []int{0}, out: []int{1}},
		{name: "ASSIGN_VARIABLE", version: 1, in: []int{0, 1}}, {name: "RELU", version: 1, in: []int{1}, out: []int{2}}}
	g, err := Read(w.encode(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var unsupported *op.UnsupportedError
	if err := op.CheckSupported(g); !errors.As(err, &unsupported) || len(unsupported.Nodes) != 3 {
		t.Errorf("%v does not list three operators", err)
	}
}
