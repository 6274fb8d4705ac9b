package caffe

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/protobuf"
	"github.com/octet-nn/octet/tensor"
)

// Fields of caffe.proto that a file of weights is read for.
const (
	netName    = 1
	netLayers  = 2 // of the time before layers' types were strings
	netLayer   = 100
	layerName  = 1
	layerBlobs = 7
	oldName    = 4
	oldType    = 5
	oldBlobs   = 6
	blobNum    = 1 // then channels, height, width: the shape of old blobs
	blobWidth  = 4
	blobData   = 5
	blobShape  = 7
	blobDouble = 8
	shapeDim   = 1
)

// blob is a tensor of weights.
type blob struct {
	shape  []int
	data   []byte // little-endian float32; part of the file where it is stored so
	offset int
}

// len is the number of elements.
func (b *blob) len() int { return len(b.data) / 4 }

// floats are the elements.
func (b *blob) floats() []float32 {
	out := make([]float32, b.len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b.data[4*i:]))
	}
	return out
}

// weightReader reads a .caffemodel under limits.
type weightReader struct{ protobuf.Reader }

// readWeights is the blobs of each layer, by the layer's name. Of several layers with one name and blobs, the last
// counts, as in Caffe.
func readWeights(data []byte, limits format.Limits) (map[string][]*blob, error) {
	r := &weightReader{protobuf.Reader{Limits: limits}}
	layers := map[string][]*blob{}
	err := r.Message(data, 0, func(f protobuf.Field) error {
		name, blobs := protowire.Number(layerName), protowire.Number(layerBlobs)
		switch {
		case f.Kind == protowire.BytesType && f.Number == netLayer:
		case f.Kind == protowire.BytesType && f.Number == netLayers:
			name, blobs = oldName, oldBlobs
		default:
			return nil
		}
		if len(layers) >= limits.MaxNodes {
			return format.Wrong(f.Offset, "the file has more than %d layers", limits.MaxNodes)
		}
		var key string
		var found []*blob
		err := r.Message(f.Bytes, f.Offset, func(f protobuf.Field) error {
			switch {
			case f.Kind != protowire.BytesType:
			case f.Number == name:
				key = string(f.Bytes)
			case f.Number == blobs:
				b, err := r.blob(f)
				if err != nil {
					return err
				}
				found = append(found, b)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			layers[key] = found
		}
		return nil
	})
	return layers, err
}

// blob reads a BlobProto.
func (r *weightReader) blob(message protobuf.Field) (*blob, error) {
	b := &blob{offset: message.Offset}
	old := make([]int, 4)
	isOld, isNew, own := false, false, false
	var doubles []byte
	err := r.Message(message.Bytes, message.Offset, func(f protobuf.Field) error {
		switch {
		case f.Kind == protowire.VarintType && f.Number >= blobNum && f.Number <= blobWidth:
			if f.Value > tensor.MaxElements {
				return format.Wrong(f.Offset, "a blob of weights has a size of %d", f.Value)
			}
			isOld = true
			old[f.Number-blobNum] = int(f.Value)
		case f.Kind == protowire.BytesType && f.Number == blobShape:
			isNew = true
			return r.shape(f, b)
		case f.Kind == protowire.BytesType && f.Number == blobData:
			if b.data == nil {
				b.data = f.Bytes // the usual form: packed, all at once
				return nil
			}
			if !own {
				b.data, own = slices.Clone(b.data), true
			}
			b.data = append(b.data, f.Bytes...)
		case f.Kind == protowire.Fixed32Type && f.Number == blobData:
			if !own {
				b.data, own = slices.Clone(b.data), true
			}
			b.data = binary.LittleEndian.AppendUint32(b.data, uint32(f.Value))
		case f.Kind == protowire.BytesType && f.Number == blobDouble:
			doubles = f.Bytes
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if isOld && !isNew {
		b.shape = old
	}
	if b.data == nil && doubles != nil {
		b.data = make([]byte, 0, len(doubles)/2)
		for ; len(doubles) >= 8; doubles = doubles[8:] {
			v := math.Float64frombits(binary.LittleEndian.Uint64(doubles))
			b.data = binary.LittleEndian.AppendUint32(b.data, math.Float32bits(float32(v)))
		}
	}
	if b.shape == nil {
		b.shape = []int{b.len()}
	}
	count, ok := tensor.Count(b.shape)
	if !ok || len(b.data)%4 != 0 || count != b.len() {
		return nil, format.Wrong(b.offset, "a blob of shape %v has %d bytes of weights", b.shape, len(b.data))
	}
	if len(b.data) > r.Limits.MaxTensorBytes {
		return nil, format.Wrong(b.offset, "a blob of %d bytes; the limit is %d", len(b.data), r.Limits.MaxTensorBytes)
	}
	return b, nil
}

// shape reads a BlobShape, packed or not.
func (r *weightReader) shape(message protobuf.Field, b *blob) error {
	b.shape = []int{}
	add := func(v uint64, offset int) error {
		const highestRank = 32 // Caffe's own limit
		if v > tensor.MaxElements || len(b.shape) == highestRank {
			return format.Wrong(offset, "a blob of weights has a size of %d or more than %d dimensions", v, highestRank)
		}
		b.shape = append(b.shape, int(v))
		return nil
	}
	return r.Message(message.Bytes, message.Offset, func(f protobuf.Field) error {
		switch {
		case f.Number != shapeDim:
		case f.Kind == protowire.VarintType:
			return add(f.Value, f.Offset)
		case f.Kind == protowire.BytesType:
			for rest := f.Bytes; len(rest) > 0; {
				v, n := protowire.ConsumeVarint(rest)
				if n < 0 {
					return format.Wrong(f.Offset, "the shape of a blob is truncated")
				}
				if err := add(v, f.Offset); err != nil {
					return err
				}
				rest = rest[n:]
			}
		}
		return nil
	})
}

// IsWeights reports whether data looks like a .caffemodel: the only such protobuf file whose layers are field 100 or,
// in old ones, field 2 with a name and a type.
func IsWeights(data []byte) bool {
	for seen := 0; len(data) > 0 && seen < 64; seen++ {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return false
		}
		data = data[n:]
		if n = protowire.ConsumeFieldValue(number, kind, data); n < 0 {
			return false
		}
		value := data[:n]
		data = data[n:]
		switch {
		case kind == protowire.BytesType && number == netLayer:
			return true
		case kind == protowire.BytesType && number == netLayers:
			layer, _ := protowire.ConsumeBytes(value)
			return isOldLayer(layer)
		case number == netName && kind != protowire.BytesType:
			return false // ONNX
		}
	}
	return false
}

// isOldLayer reports whether a message has what V1LayerParameter has.
func isOldLayer(message []byte) bool {
	var name, kindOf bool
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return false
		}
		message = message[n:]
		name = name || number == oldName && kind == protowire.BytesType
		kindOf = kindOf || number == oldType && kind == protowire.VarintType
	}
	return name && kindOf
}
