package tensorflow

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/tensor"
)

// What is read of graph.proto, node_def.proto, attr_value.proto and tensor.proto.
type (
	nodeDef struct {
		name, op   string
		inputs     []string
		attributes map[string]*attribute
		offset     int
	}
	attribute struct {
		text    []byte
		integer int64
		real    float32
		flag    bool
		dtype   int64
		shape   *shapeProto
		tensor  *tensorProto
		ints    []int64 // of a list
	}
	shapeProto struct {
		dims    []int64
		unknown bool // the rank is not known
	}
	tensorProto struct {
		dtype   int64
		shape   shapeProto
		content []byte // little-endian elements
		floats  []byte // packed
		doubles []byte // packed
		ints    []int64
		strings int
		offset  int
	}
)

// dtypes are TensorFlow's numbers of element types (types.proto). Quantized types are their integers.
var dtypes = map[int64]tensor.DType{
	1: tensor.Float32, 2: tensor.Float64, 3: tensor.Int32, 4: tensor.Uint8, 5: tensor.Int16, 6: tensor.Int8, 9: tensor.Int64,
	10: tensor.Bool, 11: tensor.Int8, 12: tensor.Uint8, 13: tensor.Int32, 14: tensor.BFloat16, 15: tensor.Int16, 16: tensor.Uint16,
	17: tensor.Uint16, 19: tensor.Float16, 22: tensor.Uint32, 23: tensor.Uint64,
}

// field is one field of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	offset int
}

// decoder reads messages under limits.
type decoder struct {
	limits  format.Limits
	entries int
	depth   int
}

// message calls visit for every field.
func (d *decoder) message(b []byte, offset int, visit func(f field) error) error {
	d.depth++
	defer func() { d.depth-- }()
	if d.depth > d.limits.MaxNesting {
		return format.Wrong(offset, "messages are nested more than %d deep", d.limits.MaxNesting)
	}
	for len(b) > 0 {
		if d.entries++; d.entries > d.limits.MaxEntries {
			return format.Wrong(offset, "the file has more than %d fields", d.limits.MaxEntries)
		}
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return format.Damaged(offset, "the file is truncated or is not protobuf: %v", protowire.ParseError(n))
		}
		b, offset = b[n:], offset+n
		f := field{number: number, kind: kind, offset: offset}
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
			return format.Damaged(offset, "field %d is truncated or malformed: %v", number, protowire.ParseError(n))
		}
		if err := visit(f); err != nil {
			return err
		}
		b, offset = b[n:], offset+n
	}
	return nil
}

// is checks a field's wire type.
func (f field) is(kind protowire.Type) error {
	if f.kind != kind {
		return format.Wrong(f.offset, "field %d has wire type %d instead of %d", f.number, f.kind, kind)
	}
	return nil
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
			return format.Wrong(f.offset, "a list of integers is malformed")
		}
		*to = append(*to, int64(v))
		b = b[n:]
	}
	return f.is(protowire.BytesType)
}

// packed appends a repeated fixed-width number as bytes; a single packed list is not copied.
func (f field) packed(to *[]byte) error {
	switch f.kind {
	case protowire.Fixed32Type:
		*to = protowire.AppendFixed32(*to, uint32(f.value))
	case protowire.Fixed64Type:
		*to = protowire.AppendFixed64(*to, f.value)
	case protowire.BytesType:
		if *to == nil {
			*to = f.bytes[:len(f.bytes):len(f.bytes)] // appending to it copies
		} else {
			*to = append(*to, f.bytes...)
		}
	default:
		return f.is(protowire.BytesType)
	}
	return nil
}

// graphDef is the nodes of a file, and how many functions its library has.
func (d *decoder) graphDef(data []byte) (nodes []*nodeDef, functions int, err error) {
	err = d.message(data, 0, func(f field) error {
		switch f.number {
		case 1:
			if len(nodes) == d.limits.MaxNodes {
				return format.Wrong(f.offset, "the model has more than %d nodes", d.limits.MaxNodes)
			}
			n, err := d.node(f)
			nodes = append(nodes, n)
			return err
		case 2:
			if err := f.is(protowire.BytesType); err != nil {
				return err
			}
			return d.message(f.bytes, f.offset, func(f field) error {
				if f.number == 1 {
					functions++
				}
				return nil
			})
		}
		return nil
	})
	return nodes, functions, err
}

func (d *decoder) node(f field) (*nodeDef, error) {
	n := &nodeDef{attributes: map[string]*attribute{}, offset: f.offset}
	if err := f.is(protowire.BytesType); err != nil {
		return nil, err
	}
	return n, d.message(f.bytes, f.offset, func(f field) error {
		switch f.number {
		case 1:
			n.name = string(f.bytes)
		case 2:
			n.op = string(f.bytes)
		case 3:
			n.inputs = append(n.inputs, string(f.bytes))
		case 5:
			return d.entry(f, n.attributes)
		default:
			return nil
		}
		return f.is(protowire.BytesType)
	})
}

// entry is one attribute: a name and its value.
func (d *decoder) entry(f field, to map[string]*attribute) error {
	if err := f.is(protowire.BytesType); err != nil {
		return err
	}
	name, a := "", &attribute{}
	err := d.message(f.bytes, f.offset, func(f field) error {
		if f.number == 1 {
			name = string(f.bytes)
		}
		if f.number != 2 {
			return nil
		}
		return d.message(f.bytes, f.offset, func(f field) error { return d.value(f, a) })
	})
	to[name] = a
	return err
}

func (d *decoder) value(f field, a *attribute) error {
	switch f.number {
	case 1:
		return d.message(f.bytes, f.offset, func(f field) error {
			if f.number == 3 {
				return f.ints(&a.ints)
			}
			return nil
		})
	case 2:
		a.text = f.bytes
	case 3:
		a.integer = int64(f.value)
	case 4:
		a.real = math.Float32frombits(uint32(f.value))
	case 5:
		a.flag = f.value != 0
	case 6:
		a.dtype = int64(f.value)
	case 7:
		a.shape = &shapeProto{}
		return d.shape(f, a.shape)
	case 8:
		a.tensor = &tensorProto{offset: f.offset}
		return d.tensor(f, a.tensor)
	}
	return nil
}

func (d *decoder) shape(f field, s *shapeProto) error {
	return d.message(f.bytes, f.offset, func(f field) error {
		switch f.number {
		case 2:
			size := int64(0)
			err := d.message(f.bytes, f.offset, func(f field) error {
				if f.number == 1 {
					size = int64(f.value)
				}
				return nil
			})
			s.dims = append(s.dims, size)
			return err
		case 3:
			s.unknown = f.value != 0
		}
		return nil
	})
}

func (d *decoder) tensor(f field, t *tensorProto) error {
	return d.message(f.bytes, f.offset, func(f field) error {
		switch f.number {
		case 1:
			t.dtype = int64(f.value)
		case 2:
			return d.shape(f, &t.shape)
		case 4:
			t.content = f.bytes
		case 5:
			return f.packed(&t.floats)
		case 6:
			return f.packed(&t.doubles)
		case 7, 10, 11, 13, 16, 17:
			return f.ints(&t.ints)
		case 8:
			t.strings++
		}
		return nil
	})
}

// maxRepeated bounds the bytes of all constants whose last value stands for more than one: what files write in a few bytes.
const maxRepeated = 256 << 20

// decode makes the tensor. Content stays where it is; lists of values that are shorter than the shape repeat their last
// one, for which budget has so many bytes left.
func (t *tensorProto) decode(limits format.Limits, budget *int) (*tensor.Tensor, error) {
	dtype, ok := dtypes[t.dtype]
	if !ok {
		return nil, format.Wrong(t.offset, "a constant has element type %d, which is not supported", t.dtype)
	}
	shape := make([]int, len(t.shape.dims))
	for i, n := range t.shape.dims {
		shape[i] = int(n)
	}
	n, ok := tensor.Count(shape)
	if !ok || t.shape.unknown || dtype.Bytes(n) > limits.MaxTensorBytes {
		return nil, format.Wrong(t.offset, "a constant has an impossible or too large shape %v", t.shape.dims)
	}
	size := dtype.Bits() / 8
	data := t.content
	if len(data) == 0 && n > 0 {
		switch dtype {
		case tensor.Float32:
			data = t.floats
		case tensor.Float64:
			data = t.doubles
		default:
			data = make([]byte, 0, min(len(t.ints), n)*size)
			for _, v := range t.ints {
				data = append(data, binary.LittleEndian.AppendUint64(nil, uint64(v))[:size]...)
			}
		}
		if len(data) == 0 {
			data = make([]byte, size) // values of 0 may be left out altogether
		}
	}
	if len(data) > n*size || len(data)%max(size, 1) != 0 {
		return nil, format.Wrong(t.offset, "a constant has %d bytes for shape %v", len(data), t.shape.dims)
	}
	if len(data) < n*size {
		if len(t.content) > 0 && len(data) > size {
			return nil, format.Wrong(t.offset, "a constant has %d bytes for shape %v", len(data), t.shape.dims)
		}
		if *budget -= n * size; *budget < 0 {
			return nil, format.Wrong(t.offset, "constants that repeat one value take more than %d MiB", maxRepeated>>20)
		}
		full := make([]byte, 0, n*size)
		full = append(full, data...)
		for last := data[len(data)-size:]; len(full) < n*size; {
			full = append(full, last...)
		}
		data = full
	}
	return tensor.FromBytes(dtype, shape, data)
}
