package tflite

import (
	"fmt"

	"github.com/octet-nn/octet/internal/format"
)

// model is what a file says, offsets followed.
type model struct {
	codes       []operatorKind
	subgraphs   []subgraph
	buffers     []buffer
	description string
	metadata    []metadataEntry
}

type metadataEntry struct {
	name   string
	buffer int
}

type operatorKind struct {
	name   string // of a builtin operator or, for custom ones, the file's
	custom bool
}

type subgraph struct {
	name            string
	tensors         []tensorRecord
	inputs, outputs []int
	operators       []operatorRecord
}

type tensorRecord struct {
	at               int // offset in the file
	name             string
	shape, signature []int
	dtype, buffer    int
	variable, ranked bool
	sparse           bool
	scale            []float32
	zero             []int64
	axis             int
	details          int
	blockScales      int // tensors with the scales and zero points of blocks
	blockZeros       int
	blockSize        int
}

type operatorRecord struct {
	at              int
	code            int
	inputs, outputs []int
	intermediates   []int
	optionsType     int
	options         table
	custom          []byte
}

type buffer struct {
	at   int
	data []byte
	size uint64 // of data outside the tables, at offset
	from uint64
}

// model reads everything but the options of operators.
func (d *decoder) model(limits format.Limits) (*model, error) {
	root := d.root()
	if version := root.uint(modelVersion); d.err == nil && version != schemaVersion {
		d.fail(root.at, "the file has version %d of TFLite's schema; known is %d", version, schemaVersion)
	}
	m := &model{description: root.string(modelDescription)}
	for _, t := range root.tables(modelOperatorCodes) {
		m.codes = append(m.codes, t.operatorKind())
	}
	for _, t := range root.tables(modelBuffers) {
		m.buffers = append(m.buffers, buffer{t.at, t.bytes(bufferData), t.long(bufferSize), t.long(bufferOffset)})
	}
	for _, t := range root.tables(modelMetadata) {
		m.metadata = append(m.metadata, metadataEntry{t.string(metadataName), t.uint(metadataBuffer)})
	}
	nodes := 0
	for _, t := range root.tables(modelSubgraphs) {
		s := subgraph{name: t.string(subgraphName), inputs: t.ints(subgraphInputs), outputs: t.ints(subgraphOutputs)}
		for _, record := range t.tables(subgraphTensors) {
			s.tensors = append(s.tensors, record.tensorRecord())
		}
		for _, record := range t.tables(subgraphOperators) {
			s.operators = append(s.operators, record.operatorRecord())
		}
		nodes += len(s.operators)
		m.subgraphs = append(m.subgraphs, s)
		if d.err != nil {
			return nil, d.err
		}
	}
	if d.err == nil && nodes > limits.MaxNodes {
		d.fail(-1, "the model has %d nodes, the limit is %d", nodes, limits.MaxNodes)
	}
	return m, d.err
}

func (t table) operatorKind() operatorKind {
	number := max(t.byte(codeOldBuiltin), t.int(codeBuiltin, 0))
	k := operatorKind{name: fmt.Sprintf("BUILTIN_%d", number)}
	if number >= 0 && number < len(builtins) {
		k.name = builtins[number]
	}
	if k.name == "CUSTOM" {
		k.custom = true
		if name := t.string(codeCustom); name != "" {
			k.name = name
		}
	}
	return k
}

func (t table) tensorRecord() tensorRecord {
	r := tensorRecord{at: t.at, name: t.string(tensorName), shape: t.ints(tensorShape), signature: t.ints(tensorSignature),
		dtype: t.byte(tensorType), buffer: t.uint(tensorBuffer), variable: t.bool(tensorVariable),
		ranked: t.bool(tensorHasRank), sparse: t.table(tensorSparsity).d != nil}
	q := t.table(tensorQuantization)
	r.scale, r.zero, r.axis = q.floats(quantScale), q.longs(quantZeroPoint), q.int(quantDimension, 0)
	r.details = q.byte(quantDetailsType)
	if r.details == blockwise {
		b := q.table(quantDetails)
		r.blockScales, r.blockZeros = b.int(blockwiseScales, 0), b.int(blockwiseZeros, 0)
		r.blockSize = b.int(blockwiseBlockSize, 0)
	}
	return r
}

func (t table) operatorRecord() operatorRecord {
	return operatorRecord{at: t.at, code: t.uint(operatorCode), inputs: t.ints(operatorInputs),
		outputs: t.ints(operatorOutputs), intermediates: t.ints(operatorIntermediates),
		optionsType: t.byte(operatorOptionsType), options: t.table(operatorOptions), custom: t.bytes(operatorCustomOptions)}
}
