package tflite

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/flatbuffers/go"

	"github.com/octet-nn/octet/internal/format"
)

// cheap reads a file and checks what that took.
func cheap(t *testing.T, name string, data []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	_, err := Read(data, Options{File: name})
	runtime.ReadMemStats(&after)
	if took, made := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > 10*time.Second || made > 1<<30 {
		t.Errorf("%s: %v and %d MiB for %d bytes (%v)", name, took, made>>20, len(data), err)
	}
	return err
}

// TestAliases: in a flatbuffer any number of offsets may lead to the same table, so that a small file says the same thing
// very often. Each file here is under 1 MiB.
func TestAliases(t *testing.T) {
	const many = 150_000
	times := func(b *flatbuffers.Builder, n int, table flatbuffers.UOffsetT) flatbuffers.UOffsetT {
		return offsets(b, slices.Repeat([]flatbuffers.UOffsetT{table}, n))
	}
	build := func(make func(b *flatbuffers.Builder) []field) []byte {
		b := flatbuffers.NewBuilder(1 << 20)
		root := object(b, append([]field{{modelVersion, uint32(schemaVersion)}}, make(b)...))
		b.FinishWithFileIdentifier(root, []byte(identifier))
		return b.FinishedBytes()
	}
	code := func(b *flatbuffers.Builder) flatbuffers.UOffsetT {
		return object(b, []field{{codeOldBuiltin, int8(19)}})
	}
	tensorOf := func(b *flatbuffers.Builder, name string) flatbuffers.UOffsetT {
		return object(b, []field{{tensorShape, numbers(b, []int{1, 2, 3, 4})}, {tensorName, b.CreateString(name)}})
	}
	text := strings.Repeat("a text that travels along ", 16<<10)
	for name, data := range map[string][]byte{
		"tensors": build(func(b *flatbuffers.Builder) []field {
			tensors := times(b, many, tensorOf(b, "name"))
			return []field{{modelSubgraphs, times(b, 1, object(b, []field{{subgraphTensors, tensors}, {subgraphInputs, numbers(b, []int{0})}, {subgraphOutputs, numbers(b, []int{0})}}))}}
		}),
		"tensors of long names": build(func(b *flatbuffers.Builder) []field {
			tensors := times(b, many, tensorOf(b, strings.Repeat("n", maxText)))
			return []field{{modelSubgraphs, times(b, 1, object(b, []field{{subgraphTensors, tensors}}))}}
		}),
		"operators": build(func(b *flatbuffers.Builder) []field {
			o := object(b, []field{{operatorInputs, numbers(b, []int{0})}, {operatorOutputs, numbers(b, []int{1})}})
			operators, tensors := times(b, many, o), offsets(b, []flatbuffers.UOffsetT{tensorOf(b, "x"), tensorOf(b, "y")})
			return []field{{modelOperatorCodes, times(b, 1, code(b))}, {modelSubgraphs, times(b, 1, object(b, []field{{subgraphTensors, tensors},
				{subgraphInputs, numbers(b, []int{0})}, {subgraphOutputs, numbers(b, []int{1})}, {subgraphOperators, operators}}))}}
		}),
		"operators with many operands": build(func(b *flatbuffers.Builder) []field {
			o := object(b, []field{{operatorInputs, numbers(b, make([]int, 50_000))}, {operatorOutputs, numbers(b, nil)}})
			operators, tensors := times(b, many, o), offsets(b, []flatbuffers.UOffsetT{tensorOf(b, "x")})
			return []field{{modelOperatorCodes, times(b, 1, code(b))}, {modelSubgraphs, times(b, 1, object(b, []field{{subgraphTensors, tensors},
				{subgraphInputs, numbers(b, []int{0})}, {subgraphOperators, operators}}))}}
		}),
		"subgraphs": build(func(b *flatbuffers.Builder) []field {
			tensors := times(b, 1000, tensorOf(b, "x"))
			return []field{{modelSubgraphs, times(b, many, object(b, []field{{subgraphTensors, tensors}}))}}
		}),
		"codes and buffers": build(func(b *flatbuffers.Builder) []field {
			buffer := object(b, []field{{bufferData, alignedBytes(b, []byte(text))}})
			return []field{{modelOperatorCodes, times(b, many/2, code(b))}, {modelBuffers, times(b, many/2, buffer)}, {modelSubgraphs, times(b, 1, object(b, nil))}}
		}),
		"metadata": build(func(b *flatbuffers.Builder) []field {
			buffers := times(b, 1, object(b, []field{{bufferData, alignedBytes(b, []byte(text))}}))
			entry := object(b, []field{{metadataName, b.CreateString("key")}, {metadataBuffer, uint32(0)}})
			return []field{{modelBuffers, buffers}, {modelMetadata, times(b, many/2, entry)}, {modelSubgraphs, times(b, 1, object(b, nil))}}
		}),
	} {
		if len(data) > 1<<20 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		_ = cheap(t, name, data) // read or refused
	}
}

// TestHostileOffsets: offsets that lead to the table they are in, to another kind of table, before the file or behind it,
// and vectors that claim more than there is, are errors at a byte.
func TestHostileOffsets(t *testing.T) {
	w := &written{name: "main", inputs: []int{0}, outputs: []int{1}, tensors: []writtenTensor{{name: "x", shape: []int{1, 2}}, {name: "y", shape: []int{1, 2}}},
		operators: []writtenOperator{{name: "RELU", version: 1, in: []int{0}, out: []int{1}}}}
	w.tensors[0].dtype, w.tensors[1].dtype = dtypes[0], dtypes[0]
	good := w.encode()
	if _, err := Read(good, Options{}); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 0; at+4 <= len(good); at += 2 {
		for _, value := range []uint32{0, 1, 4, 0x7fffffff, 0x80000000, 0xffffffff, uint32(len(good) - at), uint32(len(good) - at - 1), uint32(-int32(at)), uint32(at)} {
			damaged := slices.Clone(good)
			binary.LittleEndian.PutUint32(damaged[at:], value)
			err := cheap(t, "damaged", damaged)
			var e *format.Error
			switch {
			case err == nil:
			case !errors.As(err, &e) || e.File != "damaged" || e.Offset > len(damaged):
				t.Fatalf("%#x at %d: %v", value, at, err)
			default:
				refused++
			}
		}
	}
	if refused < len(good) {
		t.Errorf("only %d files of %d bytes were refused", refused, len(good))
	}
}
