package onnx

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format/protobuf"
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

// decoder reads messages under limits.
type decoder struct {
	protobuf.Reader
	nodes int
}

func (d *decoder) model(b []byte) (*modelProto, error) {
	m := &modelProto{}
	err := d.Message(b, 0, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			return f.Integer(&m.irVersion)
		case 2:
			return f.Text(&m.producer)
		case 7:
			if err := f.Is(protowire.BytesType); err != nil {
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

func (d *decoder) opset(f protobuf.Field, to *[]opsetProto) error {
	o := opsetProto{}
	*to = append(*to, o)
	err := d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return f.Text(&o.domain)
		case 2:
			return f.Integer(&o.version)
		}
		return nil
	})
	(*to)[len(*to)-1] = o
	return err
}

func (d *decoder) pair(f protobuf.Field) (pair [2]string, err error) {
	err = d.Sub(f, func(f protobuf.Field) error {
		if f.Number == 1 || f.Number == 2 {
			return f.Text(&pair[f.Number-1])
		}
		return nil
	})
	return pair, err
}

func (d *decoder) graph(f protobuf.Field) (*graphProto, error) {
	g := &graphProto{}
	err := d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return d.node(f, &g.nodes)
		case 2:
			return f.Text(&g.name)
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

func (d *decoder) function(f protobuf.Field, m *modelProto) error {
	fn := &functionProto{}
	m.functions = append(m.functions, fn)
	return d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return f.Text(&fn.name)
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
			return f.Text(&fn.domain)
		case 11:
			a, err := d.attribute(f)
			fn.defaults = append(fn.defaults, a)
			return err
		}
		return nil
	})
}

// name appends a repeated string.
func (d *decoder) name(f protobuf.Field, to *[]string) error {
	*to = append(*to, string(f.Bytes))
	return f.Is(protowire.BytesType)
}

func (d *decoder) node(f protobuf.Field, to *[]*nodeProto) error {
	d.nodes++
	if d.nodes > d.Limits.MaxNodes {
		return wrong(f.Offset, "the model has more than %d nodes", d.Limits.MaxNodes)
	}
	n := &nodeProto{offset: f.Offset}
	*to = append(*to, n)
	return d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return d.name(f, &n.inputs)
		case 2:
			return d.name(f, &n.outputs)
		case 3:
			return f.Text(&n.name)
		case 4:
			return f.Text(&n.op)
		case 5:
			a, err := d.attribute(f)
			n.attributes = append(n.attributes, a)
			return err
		case 7:
			return f.Text(&n.domain)
		}
		return nil
	})
}

func (d *decoder) attribute(f protobuf.Field) (*attributeProto, error) {
	a := &attributeProto{}
	err := d.Sub(f, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			return f.Text(&a.name)
		case 2:
			a.f = math.Float32frombits(uint32(f.Value))
			return f.Is(protowire.Fixed32Type)
		case 3:
			return f.Integer(&a.i)
		case 4:
			a.s = f.Bytes
			return f.Is(protowire.BytesType)
		case 5:
			a.t, err = d.tensor(f)
			return err
		case 6, 11:
			g, err := d.graph(f)
			a.graphs = append(a.graphs, g)
			return err
		case 7:
			var b []byte
			if err := f.Packed(&b); err != nil {
				return err
			}
			for ; len(b) >= 4; b = b[4:] {
				v, _ := protowire.ConsumeFixed32(b)
				a.floats = append(a.floats, math.Float32frombits(v))
			}
		case 8:
			return f.Integers(&a.ints)
		case 9:
			return d.name(f, &a.strings)
		case 20:
			return f.Integer(&a.kind)
		case 21:
			return f.Text(&a.ref)
		}
		return nil
	})
	return a, err
}

func (d *decoder) tensor(f protobuf.Field) (*tensorProto, error) {
	t := &tensorProto{offset: f.Offset}
	err := d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return f.Integers(&t.dims)
		case 2:
			return f.Integer(&t.dtype)
		case 4:
			return f.Packed(&t.floats)
		case 5, 7, 11:
			return f.Integers(&t.ints)
		case 6:
			t.strings++
		case 8:
			return f.Text(&t.name)
		case 9:
			t.raw, t.hasRaw = f.Bytes, true
			return f.Is(protowire.BytesType)
		case 10:
			return f.Packed(&t.doubles)
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

func (d *decoder) value(f protobuf.Field, to *[]*valueProto) error {
	v := &valueProto{offset: f.Offset}
	*to = append(*to, v)
	dim := func(f protobuf.Field) error {
		if f.Number != 1 {
			return nil
		}
		var size dimProto
		err := d.Sub(f, func(f protobuf.Field) error {
			switch f.Number {
			case 1:
				size.known = true
				return f.Integer(&size.size)
			case 2:
				return f.Text(&size.symbol)
			}
			return nil
		})
		v.shape = append(v.shape, size)
		return err
	}
	tensorType := func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return f.Integer(&v.dtype)
		case 2:
			v.ranked = true
			return d.Sub(f, dim)
		}
		return nil
	}
	return d.Sub(f, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			return f.Text(&v.name)
		case 2:
			return d.Sub(f, func(f protobuf.Field) error {
				if f.Number != 1 {
					return nil
				}
				v.tensor = true
				return d.Sub(f, tensorType)
			})
		}
		return nil
	})
}
