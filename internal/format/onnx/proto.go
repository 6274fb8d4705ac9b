package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
)

// The messages of onnx.proto, as far as they are used. Byte slices are parts of the file.
type (
	modelProto struct {
		irVersion int64
		producer  string
		graph     *graphProto
		opsets    []opsetProto
		metadata  [][2]string
		functions []*functionProto
	}
	opsetProto struct {
		domain  string
		version int64
	}
	graphProto struct {
		name         string
		nodes        []*nodeProto
		initializers []*tensorProto
		sparse       int
		inputs       []*valueProto
		outputs      []*valueProto
		values       []*valueProto
	}
	nodeProto struct {
		name, op, domain string
		inputs, outputs  []string
		attributes       []*attributeProto
		offset           int
	}
	attributeProto struct {
		name    string
		ref     string // the function's attribute that this one stands for
		kind    int64
		f       float32
		i       int64
		s       []byte
		t       *tensorProto
		floats  []float32
		ints    []int64
		strings []string
		graphs  []*graphProto
	}
	tensorProto struct {
		name     string
		dims     []int64
		dtype    int64
		raw      []byte
		hasRaw   bool
		floats   []byte // packed
		doubles  []byte // packed
		ints     []int64
		strings  int
		external map[string]string
		offset   int
	}
	valueProto struct {
		name   string
		tensor bool // its type is a tensor type
		dtype  int64
		ranked bool
		shape  []dimProto
		offset int
	}
	dimProto struct {
		size   int64
		known  bool
		symbol string
	}
	functionProto struct {
		domain, name    string
		inputs, outputs []string
		attributes      []string
		defaults        []*attributeProto
		nodes           []*nodeProto
		opsets          []opsetProto
	}
)

// field is one field of a message: bytes for length-delimited ones, number for others.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	offset int
}

// decoder reads messages under limits.
type decoder struct {
	limits  Limits
	nodes   int
	depth   int
	strings int // repeated small things, counted against limits.MaxEntries
}

// count refuses files with absurdly many small parts, which would take many times their size in memory.
func (d *decoder) count(offset int) error {
	d.strings++
	if d.strings > d.limits.MaxEntries {
		return wrong(offset, "the file has more than %d names, dimensions and attributes", d.limits.MaxEntries)
	}
	return nil
}

// message calls visit for every field.
func (d *decoder) message(b []byte, offset int, visit func(f field) error) error {
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > d.limits.MaxNesting {
		return wrong(offset, "messages are nested more than %d deep", d.limits.MaxNesting)
	}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return format.Damaged(offset, "the file is truncated or is not protobuf: %v", protowire.ParseError(n))
		}
		f := field{number: number, kind: kind, offset: offset}
		b, offset = b[n:], offset+n
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
			f.offset = offset + n - len(f.bytes)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return format.Damaged(f.offset, "field %d is truncated or malformed: %v", number, protowire.ParseError(n))
		}
		if err := visit(f); err != nil {
			return err
		}
		b, offset = b[n:], offset+n
	}
	return nil
}

// as checks a field's wire type.
func (f field) as(kind protowire.Type) error {
	if f.kind != kind {
		return wrong(f.offset, "field %d has wire type %d instead of %d", f.number, f.kind, kind)
	}
	return nil
}

func (f field) string(to *string) error {
	*to = string(f.bytes)
	return f.as(protowire.BytesType)
}

func (f field) int(to *int64) error {
	*to = int64(f.value)
	return f.as(protowire.VarintType)
}

// ints appends a repeated integer, packed or not.
func (f field) ints(to *[]int64) error {
	if f.kind == protowire.VarintType {
		*to = append(*to, int64(f.value))
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return wrong(f.offset, "a list of integers is malformed")
		}
		*to = append(*to, int64(v))
		b = b[n:]
	}
	return f.as(protowire.BytesType)
}

// packed appends a repeated fixed-width number, packed or not, as bytes; a single packed list is not copied.
func (f field) packed(to *[]byte) error {
	switch f.kind {
	case protowire.Fixed32Type:
		*to = protowire.AppendFixed32((*to)[:len(*to):len(*to)], uint32(f.value))
	case protowire.Fixed64Type:
		*to = protowire.AppendFixed64((*to)[:len(*to):len(*to)], f.value)
	case protowire.BytesType:
		if *to == nil {
			*to = f.bytes[:len(f.bytes):len(f.bytes)]
		} else {
			*to = append(*to, f.bytes...)
		}
	default:
		return f.as(protowire.BytesType)
	}
	return nil
}

func (d *decoder) model(b []byte) (*modelProto, error) {
	m := &modelProto{}
	err := d.message(b, 0, func(f field) (err error) {
		switch f.number {
		case 1:
			return f.int(&m.irVersion)
		case 2:
			return f.string(&m.producer)
		case 7:
			if err := f.as(protowire.BytesType); err != nil {
				return err
			}
			m.graph, err = d.graph(f)
		case 8:
			err = d.opset(f, &m.opsets)
		case 14:
			var pair [2]string
			pair, err = d.pair(f)
			m.metadata = append(m.metadata, pair)
		case 25:
			err = d.function(f, m)
		}
		return err
	})
	return m, err
}

func (d *decoder) opset(f field, to *[]opsetProto) error {
	o := opsetProto{}
	*to = append(*to, o)
	err := d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return f.string(&o.domain)
		case 2:
			return f.int(&o.version)
		}
		return nil
	})
	(*to)[len(*to)-1] = o
	return err
}

// sub visits the fields of a nested message.
func (d *decoder) sub(f field, visit func(f field) error) error {
	if err := f.as(protowire.BytesType); err != nil {
		return err
	}
	if err := d.count(f.offset); err != nil {
		return err
	}
	return d.message(f.bytes, f.offset, visit)
}

func (d *decoder) pair(f field) (pair [2]string, err error) {
	err = d.sub(f, func(f field) error {
		if f.number == 1 || f.number == 2 {
			return f.string(&pair[f.number-1])
		}
		return nil
	})
	return pair, err
}

func (d *decoder) graph(f field) (*graphProto, error) {
	g := &graphProto{}
	err := d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return d.node(f, &g.nodes)
		case 2:
			return f.string(&g.name)
		case 5:
			t, err := d.tensor(f)
			g.initializers = append(g.initializers, t)
			return err
		case 11:
			return d.value(f, &g.inputs)
		case 12:
			return d.value(f, &g.outputs)
		case 13:
			return d.value(f, &g.values)
		case 15:
			g.sparse++
		}
		return nil
	})
	return g, err
}

func (d *decoder) function(f field, m *modelProto) error {
	fn := &functionProto{}
	m.functions = append(m.functions, fn)
	return d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return f.string(&fn.name)
		case 4:
			return d.name(f, &fn.inputs)
		case 5:
			return d.name(f, &fn.outputs)
		case 6:
			return d.name(f, &fn.attributes)
		case 7:
			return d.node(f, &fn.nodes)
		case 9:
			return d.opset(f, &fn.opsets)
		case 10:
			return f.string(&fn.domain)
		case 11:
			a, err := d.attribute(f)
			fn.defaults = append(fn.defaults, a)
			return err
		}
		return nil
	})
}

// name appends a repeated string.
func (d *decoder) name(f field, to *[]string) error {
	if err := d.count(f.offset); err != nil {
		return err
	}
	*to = append(*to, string(f.bytes))
	return f.as(protowire.BytesType)
}

func (d *decoder) node(f field, to *[]*nodeProto) error {
	d.nodes++
	if d.nodes > d.limits.MaxNodes {
		return wrong(f.offset, "the model has more than %d nodes", d.limits.MaxNodes)
	}
	n := &nodeProto{offset: f.offset}
	*to = append(*to, n)
	return d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return d.name(f, &n.inputs)
		case 2:
			return d.name(f, &n.outputs)
		case 3:
			return f.string(&n.name)
		case 4:
			return f.string(&n.op)
		case 5:
			a, err := d.attribute(f)
			n.attributes = append(n.attributes, a)
			return err
		case 7:
			return f.string(&n.domain)
		}
		return nil
	})
}

func (d *decoder) attribute(f field) (*attributeProto, error) {
	a := &attributeProto{}
	err := d.sub(f, func(f field) (err error) {
		switch f.number {
		case 1:
			return f.string(&a.name)
		case 2:
			a.f = math.Float32frombits(uint32(f.value))
			return f.as(protowire.Fixed32Type)
		case 3:
			return f.int(&a.i)
		case 4:
			a.s = f.bytes
			return f.as(protowire.BytesType)
		case 5:
			a.t, err = d.tensor(f)
			return err
		case 6, 11:
			g, err := d.graph(f)
			a.graphs = append(a.graphs, g)
			return err
		case 7:
			var b []byte
			if err := f.packed(&b); err != nil {
				return err
			}
			for ; len(b) >= 4; b = b[4:] {
				v, _ := protowire.ConsumeFixed32(b)
				a.floats = append(a.floats, math.Float32frombits(v))
			}
		case 8:
			return f.ints(&a.ints)
		case 9:
			return d.name(f, &a.strings)
		case 20:
			return f.int(&a.kind)
		case 21:
			return f.string(&a.ref)
		}
		return nil
	})
	return a, err
}

func (d *decoder) tensor(f field) (*tensorProto, error) {
	t := &tensorProto{offset: f.offset}
	err := d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return f.ints(&t.dims)
		case 2:
			return f.int(&t.dtype)
		case 4:
			return f.packed(&t.floats)
		case 5, 7, 11:
			return f.ints(&t.ints)
		case 6:
			t.strings++
		case 8:
			return f.string(&t.name)
		case 9:
			t.raw, t.hasRaw = f.bytes, true
			return f.as(protowire.BytesType)
		case 10:
			return f.packed(&t.doubles)
		case 13:
			pair, err := d.pair(f)
			if t.external == nil {
				t.external = map[string]string{}
			}
			t.external[pair[0]] = pair[1]
			return err
		}
		return nil
	})
	return t, err
}

func (d *decoder) value(f field, to *[]*valueProto) error {
	v := &valueProto{offset: f.offset}
	*to = append(*to, v)
	dim := func(f field) error {
		if f.number != 1 {
			return nil
		}
		var size dimProto
		err := d.sub(f, func(f field) error {
			switch f.number {
			case 1:
				size.known = true
				return f.int(&size.size)
			case 2:
				return f.string(&size.symbol)
			}
			return nil
		})
		v.shape = append(v.shape, size)
		return err
	}
	tensorType := func(f field) error {
		switch f.number {
		case 1:
			return f.int(&v.dtype)
		case 2:
			v.ranked = true
			return d.sub(f, dim)
		}
		return nil
	}
	return d.sub(f, func(f field) error {
		switch f.number {
		case 1:
			return f.string(&v.name)
		case 2:
			return d.sub(f, func(f field) error {
				if f.number != 1 {
					return nil
				}
				v.tensor = true
				return d.sub(f, tensorType)
			})
		}
		return nil
	})
}
