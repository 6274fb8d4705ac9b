package tflite

import (
	"fmt"
	"slices"

	"github.com/google/flatbuffers/go"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// written is a file before it is encoded.
type written struct {
	name            string
	tensors         []writtenTensor
	operators       []writtenOperator
	inputs, outputs []int
	metadata        map[string]string
}

type writtenTensor struct {
	name  string
	dtype tensor.DType
	shape []int
	quant *graph.Quant
	data  []byte // nil unless it is constant
	state bool   // it begins as zeros and is changed by its operator
}

type writtenOperator struct {
	name    string
	version int
	kind    int // of the table of options; 0 for none
	options []option
	in, out []int // tensors; −1 where an operand is absent
	between []int // tensors that only say how values within the operator are quantized
}

// option is a field of an operator's options: an int8, bool, int32, float32 or []int32.
type option struct {
	id    int
	value any
}

// dtypeNumber is the inverse of dtypes; −1 if TFLite has no such type.
func dtypeNumber(d tensor.DType) int {
	for number, dtype := range dtypes {
		if dtype == d {
			return number
		}
	}
	return -1
}

// alignment is that of constants, which TFLite reads where they lie.
const alignment = 16

// encode makes the bytes of the file. They depend on w only.
func (w *written) encode() []byte {
	size := 4096
	for _, t := range w.tensors {
		size += len(t.data) + 256
	}
	b := flatbuffers.NewBuilder(size)
	buffers := [][]byte{nil} // the first one is empty by convention
	numbers := make([]int, len(w.tensors))
	for i, t := range w.tensors {
		if t.data != nil {
			numbers[i] = len(buffers)
			buffers = append(buffers, t.data)
		}
	}
	keys := make([]string, 0, len(w.metadata))
	for k := range w.metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	first := len(buffers)
	for _, k := range keys {
		buffers = append(buffers, []byte(w.metadata[k]))
	}

	codes := map[string]int{}
	var kinds []writtenOperator
	for _, o := range w.operators {
		key := fmt.Sprint(o.name, o.version)
		if _, ok := codes[key]; !ok {
			codes[key] = len(kinds)
			kinds = append(kinds, o)
		}
	}

	var metadata []flatbuffers.UOffsetT
	for i, k := range keys {
		name := b.CreateString(k)
		metadata = append(metadata, object(b, []field{{metadataName, name}, {metadataBuffer, uint32(first + i)}}))
	}
	metadataVector := offsets(b, metadata)
	description := b.CreateString("octet")
	var encoded []flatbuffers.UOffsetT
	for _, data := range buffers {
		if data == nil {
			encoded = append(encoded, object(b, nil))
			continue
		}
		encoded = append(encoded, object(b, []field{{bufferData, alignedBytes(b, data)}}))
	}
	bufferVector := offsets(b, encoded)
	subgraphVector := offsets(b, []flatbuffers.UOffsetT{w.subgraph(b, codes, numbers)})
	encoded = nil
	for _, o := range kinds {
		number := slices.Index(builtins, o.name)
		encoded = append(encoded, object(b, []field{
			{codeOldBuiltin, int8(min(number, firstLarge))}, {codeVersion, int32(o.version)}, {codeBuiltin, int32(number)},
		}))
	}
	codeVector := offsets(b, encoded)
	root := object(b, []field{{modelVersion, uint32(schemaVersion)}, {modelOperatorCodes, codeVector}, {modelSubgraphs, subgraphVector},
		{modelDescription, description}, {modelBuffers, bufferVector}, {modelMetadata, metadataVector}})
	b.FinishWithFileIdentifier(root, []byte(identifier))
	return b.FinishedBytes()
}

func (w *written) subgraph(b *flatbuffers.Builder, codes map[string]int, buffers []int) flatbuffers.UOffsetT {
	var encoded []flatbuffers.UOffsetT
	for _, o := range w.operators {
		fields := []field{{operatorCode, uint32(codes[fmt.Sprint(o.name, o.version)])},
			{operatorInputs, numbers(b, o.in)}, {operatorOutputs, numbers(b, o.out)}}
		if o.between != nil {
			fields = append(fields, field{operatorIntermediates, numbers(b, o.between)})
		}
		if o.kind != 0 {
			fields = append(fields, field{operatorOptionsType, uint8(o.kind)}, field{operatorOptions, optionTable(b, o.options)})
		}
		encoded = append(encoded, object(b, fields))
	}
	operators := offsets(b, encoded)
	encoded = nil
	for i, t := range w.tensors {
		fields := []field{{tensorShape, numbers(b, t.shape)}, {tensorType, int8(dtypeNumber(t.dtype))},
			{tensorBuffer, uint32(buffers[i])}, {tensorName, b.CreateString(t.name)}, {tensorHasRank, true}}
		if t.state {
			fields = append(fields, field{tensorVariable, true})
		}
		if t.quant != nil {
			fields = append(fields, field{tensorQuantization, quantTable(b, t.quant)})
		}
		encoded = append(encoded, object(b, fields))
	}
	tensors := offsets(b, encoded)
	return object(b, []field{{subgraphTensors, tensors}, {subgraphInputs, numbers(b, w.inputs)},
		{subgraphOutputs, numbers(b, w.outputs)}, {subgraphOperators, operators}, {subgraphName, b.CreateString(w.name)}})
}

func quantTable(b *flatbuffers.Builder, q *graph.Quant) flatbuffers.UOffsetT {
	b.StartVector(4, len(q.Scale), 4)
	for _, s := range slices.Backward(q.Scale) {
		b.PrependFloat32(s)
	}
	scales := b.EndVector(len(q.Scale))
	b.StartVector(8, len(q.ZeroPoint), 8)
	for _, z := range slices.Backward(q.ZeroPoint) {
		b.PrependInt64(int64(z))
	}
	return object(b, []field{{quantScale, scales}, {quantZeroPoint, b.EndVector(len(q.ZeroPoint))}, {quantDimension, int32(q.Axis)}})
}

func optionTable(b *flatbuffers.Builder, options []option) flatbuffers.UOffsetT {
	fields := make([]field, len(options))
	for i, o := range options {
		fields[i] = field{o.id, o.value}
		if list, ok := o.value.([]int32); ok {
			ints := make([]int, len(list))
			for j, n := range list {
				ints[j] = int(n)
			}
			fields[i].value = numbers(b, ints)
		}
	}
	return object(b, fields)
}

// field is a field of a table; its value's Go type is that of the field. Offsets have to be made before.
type field struct {
	id    int
	value any
}

// object makes a table. Fields are written as they are, never left out because they have the default value.
func object(b *flatbuffers.Builder, fields []field) flatbuffers.UOffsetT {
	count := 0
	for _, f := range fields {
		count = max(count, f.id+1)
	}
	b.StartObject(count)
	for _, f := range fields {
		switch v := f.value.(type) {
		case int8:
			b.PrependInt8(v)
		case uint8:
			b.PrependUint8(v)
		case bool:
			b.PrependBool(v)
		case int32:
			b.PrependInt32(v)
		case uint32:
			b.PrependUint32(v)
		case float32:
			b.PrependFloat32(v)
		case flatbuffers.UOffsetT:
			b.PrependUOffsetT(v)
		default:
			panic(fmt.Sprintf("tflite: a field of type %T", v))
		}
		b.Slot(f.id)
	}
	return b.EndObject()
}

func offsets(b *flatbuffers.Builder, list []flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	b.StartVector(4, len(list), 4)
	for _, o := range slices.Backward(list) {
		b.PrependUOffsetT(o)
	}
	return b.EndVector(len(list))
}

func numbers(b *flatbuffers.Builder, list []int) flatbuffers.UOffsetT {
	b.StartVector(4, len(list), 4)
	for _, n := range slices.Backward(list) {
		b.PrependInt32(int32(n))
	}
	return b.EndVector(len(list))
}

func alignedBytes(b *flatbuffers.Builder, data []byte) flatbuffers.UOffsetT {
	b.StartVector(1, len(data), alignment)
	for _, c := range slices.Backward(data) {
		b.PlaceByte(c)
	}
	return b.EndVector(len(data))
}
