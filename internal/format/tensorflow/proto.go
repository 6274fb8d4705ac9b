package tensorflow

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/protobuf"
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

// decoder reads messages under limits.
type decoder struct{ protobuf.Reader }

// graphDef is the nodes of a file, and how many functions its library has.
func (d *decoder) graphDef(data []byte) (nodes []*nodeDef, functions int, err error) {
	err = d.Message(data, 0, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			if len(nodes) == d.Limits.MaxNodes {
				return format.Wrong(f.Offset, "the model has more than %d nodes", d.Limits.MaxNodes)
			}
			n, err := d.node(f)
			nodes = append(nodes, n)
			return err
		case 2:
			if err := f.Is(protowire.BytesType); err != nil {
				return err
			}
			return d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
				if f.Number == 1 {
					functions++
				}
				return nil
			})
		}
		return nil
	})
	return nodes, functions, err
}

func (d *decoder) node(f protobuf.Field) (*nodeDef, error) {
	n := &nodeDef{attributes: map[string]*attribute{}, offset: f.Offset}
	if err := f.Is(protowire.BytesType); err != nil {
		return nil, err
	}
	return n, d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			n.name = string(f.Bytes)
		case 2:
			n.op = string(f.Bytes)
		case 3:
			n.inputs = append(n.inputs, string(f.Bytes))
		case 5:
			return d.entry(f, n.attributes)
		default:
			return nil
		}
		return f.Is(protowire.BytesType)
	})
}

// entry is one attribute: a name and its value.
func (d *decoder) entry(f protobuf.Field, to map[string]*attribute) error {
	if err := f.Is(protowire.BytesType); err != nil {
		return err
	}
	name, a := "", &attribute{}
	err := d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
		if f.Number == 1 {
			name = string(f.Bytes)
		}
		if f.Number != 2 {
			return nil
		}
		return d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error { return d.value(f, a) })
	})
	to[name] = a
	return err
}

func (d *decoder) value(f protobuf.Field, a *attribute) error {
	switch f.Number {
	case 1:
		return d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
			if f.Number == 3 {
				return f.Integers(&a.ints)
			}
			return nil
		})
	case 2:
		a.text = f.Bytes
	case 3:
		a.integer = int64(f.Value)
	case 4:
		a.real = math.Float32frombits(uint32(f.Value))
	case 5:
		a.flag = f.Value != 0
	case 6:
		a.dtype = int64(f.Value)
	case 7:
		a.shape = &shapeProto{}
		return d.shape(f, a.shape)
	case 8:
		a.tensor = &tensorProto{offset: f.Offset}
		return d.tensor(f, a.tensor)
	}
	return nil
}

func (d *decoder) shape(f protobuf.Field, s *shapeProto) error {
	return d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
		switch f.Number {
		case 2:
			size := int64(0)
			err := d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
				if f.Number == 1 {
					size = int64(f.Value)
				}
				return nil
			})
			s.dims = append(s.dims, size)
			return err
		case 3:
			s.unknown = f.Value != 0
		}
		return nil
	})
}

func (d *decoder) tensor(f protobuf.Field, t *tensorProto) error {
	return d.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			t.dtype = int64(f.Value)
		case 2:
			return d.shape(f, &t.shape)
		case 4:
			t.content = f.Bytes
		case 5:
			return f.Packed(&t.floats)
		case 6:
			return f.Packed(&t.doubles)
		case 7, 10, 11, 13, 16, 17:
			return f.Integers(&t.ints)
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
