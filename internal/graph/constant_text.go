package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// inlineElements is the largest number of elements a constant may have to be printed in full.
const inlineElements = 16

// constantText is the elements of a small constant, and a digest of the bytes of a large one.
func constantText(t *tensor.Tensor) string {
	if t.Len() > inlineElements || t.DType() == tensor.Invalid {
		sum := sha256.Sum256(t.Bytes())
		return "sha256:" + hex.EncodeToString(sum[:8])
	}
	parts := make([]string, t.Len())
	for i := range parts {
		parts[i] = elementText(t.DType(), elementBits(t, i))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// elementBits is element i as it is stored.
func elementBits(t *tensor.Tensor, i int) uint64 {
	data := t.Bytes()
	switch t.DType().Bits() {
	case 2:
		return uint64(data[i/4]>>(i%4*2)) & 3
	case 4:
		return uint64(data[i/2]>>(i%2*4)) & 15
	case 8:
		return uint64(data[i])
	case 16:
		return uint64(binary.LittleEndian.Uint16(data[2*i:]))
	case 32:
		return uint64(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return binary.LittleEndian.Uint64(data[8*i:])
}

// setElementBits stores element i of a tensor whose elements are still zero.
func setElementBits(t *tensor.Tensor, i int, bits uint64) {
	data := t.Bytes()
	switch t.DType().Bits() {
	case 2:
		data[i/4] |= byte(bits&3) << (i % 4 * 2)
	case 4:
		data[i/2] |= byte(bits&15) << (i % 2 * 4)
	case 8:
		data[i] = byte(bits)
	case 16:
		binary.LittleEndian.PutUint16(data[2*i:], uint16(bits))
	case 32:
		binary.LittleEndian.PutUint32(data[4*i:], uint32(bits))
	default:
		binary.LittleEndian.PutUint64(data[8*i:], bits)
	}
}

// elementText is the shortest decimal number that denotes an element; of floats of 8 and 4 bits, their bits as a number.
func elementText(d tensor.DType, bits uint64) string {
	short := func(f float32) string { return strconv.FormatFloat(float64(f), 'g', -1, 32) }
	switch d {
	case tensor.Float32:
		return short(math.Float32frombits(uint32(bits)))
	case tensor.Float64:
		return strconv.FormatFloat(math.Float64frombits(bits), 'g', -1, 64)
	case tensor.Float16:
		return short(numeric.FromFloat16(uint16(bits)))
	case tensor.BFloat16:
		return short(numeric.FromBFloat16(uint16(bits)))
	}
	if d.IsSigned() {
		unused := 64 - d.Bits()
		return strconv.FormatInt(int64(bits<<unused)>>unused, 10)
	}
	return strconv.FormatUint(bits, 10)
}

// parseElement is the inverse of elementText.
func parseElement(d tensor.DType, text string) (uint64, error) {
	wrong := fmt.Errorf("%q is not a number of type %s", text, d)
	switch {
	case d == tensor.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, wrong
		}
		return math.Float64bits(f), nil
	case d.IsFloat() && d.Bits() >= 16:
		f, err := strconv.ParseFloat(text, 32)
		if err != nil {
			return 0, wrong
		}
		return floatBits(d, float32(f)), nil
	case d.IsSigned():
		n, err := strconv.ParseInt(text, 10, d.Bits())
		if err != nil {
			return 0, wrong
		}
		return uint64(n), nil
	}
	n, err := strconv.ParseUint(text, 10, d.Bits())
	if err != nil {
		return 0, wrong
	}
	return n, nil
}

// floatBits rounds to a float type.
func floatBits(d tensor.DType, f float32) uint64 {
	switch d {
	case tensor.Float64:
		return math.Float64bits(float64(f))
	case tensor.Float16:
		return uint64(numeric.Float16(f))
	case tensor.BFloat16:
		return uint64(numeric.BFloat16(f))
	}
	return uint64(math.Float32bits(f))
}

// seeded fills a tensor with numbers that follow from the seed: floats in [−1, 1), integers of their whole range, bools
// of either value.
func seeded(t *tensor.Tensor, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range t.Len() {
		switch {
		case t.DType().IsFloat() && t.DType().Bits() >= 16:
			setElementBits(t, i, floatBits(t.DType(), 2*r.Float32()-1))
		case t.DType() == tensor.Bool:
			setElementBits(t, i, r.Uint64()&1)
		default:
			setElementBits(t, i, r.Uint64())
		}
	}
}
