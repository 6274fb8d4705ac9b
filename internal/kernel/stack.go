package kernel

import (
	"encoding/binary"
	"unsafe"
)

// Stack is products of matrices that are computed in the run: Rows×K times K×N each, out of two stacks in memory. The
// second matrices are packed first, as weights are, into memory that the caller has; then the products are made. What
// is packed is read by all products of that matrix.
type Stack struct {
	Filter   Filter // how a second matrix lies in memory from where it begins: one group, height and width 1
	Seconds  []int  // where second matrices begin
	Products []StackProduct

	Rows      int // of a first matrix
	InStride  int // elements from one of its rows to the next; those of a row are consecutive
	OutStride int // elements from one row of a result to the next
}

// StackProduct is where a first matrix and the result begin, and which of the second matrices it is multiplied by.
type StackProduct struct{ First, Out, Second int }

// window is a first matrix.
func (s *Stack) window() Window {
	return rowsWindow(s.Rows, s.Filter.Inputs, s.InStride, s.OutStride)
}

// each splits pieces of all products into those of single products, which have the given number each.
func (s *Stack) each(start, end, units int, do func(product, start, end int)) {
	for start < end {
		product := start / units
		last := min(end, (product+1)*units)
		do(product, start-product*units, last-product*units)
		start = last
	}
}

// StackInt8 is a Stack of codes. Its second matrices have one zero point.
type StackInt8 struct {
	Stack
	Signed    bool // the first matrices' codes are s8
	ZeroPoint int32
	Epilogue  Epilogue

	second   Int8Operand
	template PackedInt8 // without panels and sums
	columns  int        // sums of a second matrix: whole panels
}

// NewStackInt8 is products of codes by codes.
func (s Set) NewStackInt8(stack Stack, first, second Int8Operand, e Epilogue) *StackInt8 {
	row := s.gemmInt8
	k := &StackInt8{Stack: stack, Signed: first.Signed, ZeroPoint: first.ZeroPoint, Epilogue: e, second: second,
		template: PackedInt8{Filter: stack.Filter, row: row, step: row.KR}}
	if row.amx != amxNone {
		k.template.step = amxDepthStep(stack.Filter.Inputs)
	}
	k.template.words = row.Words(k.template.line())
	k.columns = k.template.groupPanels() * row.NR
	_, zero := signed(second)
	if zero != 0 {
		k.template.zero = make([]int32, stack.Filter.Outputs)
		fill(k.template.zero, zero)
	}
	return k
}

// fours reports whether a panel is, for each step of four in depth, a byte for each weight of each column, as packC4
// packs it.
func (r *gemmInt8Row) fours() bool { return r.KR == 4 && 8*r.Words(4) == 4*r.NR }

// signed is what makes a stored code of an operand a signed one, by exclusive or, and the zero point of those.
func signed(o Int8Operand) (flip byte, zeroPoint int32) {
	if o.Signed {
		return 0, o.ZeroPoint
	}
	return 0x80, o.ZeroPoint - 128
}

// panelWords is the words of the panels of a second matrix.
func (k *StackInt8) panelWords() int { return k.template.groupPanels() * k.template.words }

// Packed is how many bytes the packed second matrices take; 8-byte aligned.
func (k *StackInt8) Packed() int {
	return len(k.Seconds) * (8*k.panelWords() + carved[int32](k.columns))
}

// packedAt is a second matrix among the packed ones.
func (k *StackInt8) packedAt(packed []byte, second int) PackedInt8 {
	p := k.template
	each := 8*k.panelWords() + carved[int32](k.columns)
	packed = packed[second*each:][:each]
	p.panels = carve[uint64](&packed, k.panelWords())
	p.sums = carve[int32](&packed, k.columns)
	return p
}

// PackUnits is how many pieces packing has.
func (k *StackInt8) PackUnits() int { return len(k.Seconds) * k.template.groupPanels() }

// PackScratch is how many bytes of scratch Pack needs.
func (k *StackInt8) PackScratch() int { return carved[byte](k.template.line()) }

// Pack packs the pieces [start, end) of the second matrices.
func (k *StackInt8) Pack(packed, in []byte, start, end int, scratch []byte) {
	panels, row := k.template.groupPanels(), k.template.row
	flip, zero := signed(k.second)
	column := carve[byte](&scratch, k.template.line())
	codes := unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(column))), len(column))
	f := k.Filter
	for ; start < end; start++ {
		p := k.packedAt(packed, start/panels)
		first := start % panels * row.NR
		panel, sums := p.panels[start%panels*p.words:][:p.words], p.sums[first:][:row.NR]
		columns := min(row.NR, f.Outputs-first)
		clear(panel)
		clear(sums)
		from := in[k.Seconds[start/panels]+f.First+first*f.OutputStride:]
		switch {
		case row.fours() && f.OutputStride == 1 && f.Inputs%4 == 0:
			packRowsByFour(panel, sums[:columns], from, f.Inputs, f.InputStride, row.NR, flip)
		default:
			clear(column)
			for j := range columns {
				at := j * f.OutputStride
				if f.InputStride == 1 {
					flipCopy(column, from[at:][:f.Inputs], flip)
				} else {
					for i := range f.Inputs {
						column[i] = from[at] ^ flip
						at += f.InputStride
					}
				}
				sums[j] = sumCodes(column[:f.Inputs], 0x80) - int32(128*f.Inputs)
				row.Pack(panel, codes, j)
			}
		}
		for j := range columns {
			sums[j] -= int32(f.Inputs) * zero
		}
	}
}

// flipCopy is dst[i] = src[i] ^ flip, as far as src goes.
func flipCopy(dst, src []byte, flip byte) {
	flips := uint64(flip) * 0x0101010101010101
	n := len(src) &^ 7
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(src[i:])^flips)
	}
	for i := n; i < len(src); i++ {
		dst[i] = src[i] ^ flip
	}
}

// packRowsByFour packs columns that are neighbours in memory: for each step of four rows, the four codes of each of nr
// columns; sums gets the columns' sums added. inputs is a multiple of 4.
func packRowsByFour(panel []uint64, sums []int32, in []byte, inputs, stride, nr int, flip byte) {
	words := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(panel))), 2*len(panel))
	flips := uint32(flip) * 0x01010101
	n := len(sums)
	for k := 0; k < inputs; k += 4 {
		a, b, c, d := in[k*stride:][:n], in[(k+1)*stride:][:n], in[(k+2)*stride:][:n], in[(k+3)*stride:][:n]
		to := words[k/4*nr:][:n]
		for j := range to {
			w := (uint32(a[j]) | uint32(b[j])<<8 | uint32(c[j])<<16 | uint32(d[j])<<24) ^ flips
			to[j] = w
			sums[j] += int32(int8(w)) + int32(int8(w>>8)) + int32(int8(w>>16)) + int32(int8(w>>24))
		}
	}
}

// one is a product, up to where its matrices begin.
func (k *StackInt8) one(weights *PackedInt8, w *Window) productInt8 {
	return newProductInt8(weights, w, k.Signed, k.ZeroPoint, &k.Epilogue)
}

func (k *StackInt8) unitsOfOne() int {
	w := k.window()
	p := k.one(&k.template, &w)
	return p.units()
}

// Units is how many pieces the products have.
func (k *StackInt8) Units() int { return len(k.Products) * k.unitsOfOne() }

// Scratch is how many bytes of scratch Run needs.
func (k *StackInt8) Scratch() int {
	w := k.window()
	p := k.one(&k.template, &w)
	return p.scratch()
}

// Run computes the pieces [start, end) of the products of packed matrices.
func (k *StackInt8) Run(out Destination, in, packed []byte, start, end int, scratch []byte) {
	w := k.window()
	k.each(start, end, k.unitsOfOne(), func(product, start, end int) {
		s := k.Products[product]
		weights := k.packedAt(packed, s.Second)
		p := k.one(&weights, &w)
		p.run(out.from(s.Out), in[s.First:], start, end, scratch)
	})
}

// from is the destination from an element on.
func (d Destination) from(at int) Destination {
	switch {
	case d.Codes != nil:
		return Destination{Codes: d.Codes[at:]}
	case d.Sums != nil:
		return Destination{Sums: d.Sums[at:]}
	}
	return Destination{Floats: d.Floats[at:]}
}

// StackF32 is a Stack of floats.
type StackF32 struct {
	Stack
	Epilogue EpilogueF32

	template PackedF32 // without panels
}

// NewStackF32 is products of floats by floats.
func (s Set) NewStackF32(stack Stack, e EpilogueF32) *StackF32 {
	k := &StackF32{Stack: stack, Epilogue: e, template: PackedF32{Filter: stack.Filter, row: s.gemmF32}}
	k.template.words = stack.Filter.Inputs * s.gemmF32.NR
	return k
}

// Packed is how many floats the packed second matrices take.
func (k *StackF32) Packed() int { return len(k.Seconds) * k.template.groupPanels() * k.template.words }

// PackUnits is how many pieces packing has.
func (k *StackF32) PackUnits() int { return len(k.Seconds) * k.template.groupPanels() }

// Pack packs the pieces [start, end) of the second matrices.
func (k *StackF32) Pack(packed, in []float32, start, end int) {
	panels, nr, words := k.template.groupPanels(), k.template.row.NR, k.template.words
	for ; start < end; start++ {
		w := F32Weights{Filter: k.Filter, Data: in[k.Seconds[start/panels]:]}
		first := start % panels * nr
		panel := packed[start*words:][:words]
		columns := min(nr, k.Filter.Outputs-first)
		if columns < nr {
			clear(panel)
		}
		w.panel(panel, nr, 0, first, columns)
	}
}

func (k *StackF32) unitsOfOne() int {
	w := k.window()
	p := newProductF32(&k.template, &w, &k.Epilogue)
	return p.units()
}

// Units is how many pieces the products have.
func (k *StackF32) Units() int { return len(k.Products) * k.unitsOfOne() }

// Scratch is how many bytes of scratch Run needs.
func (k *StackF32) Scratch() int {
	w := k.window()
	p := newProductF32(&k.template, &w, &k.Epilogue)
	return p.scratch()
}

// Run computes the pieces [start, end) of the products of packed matrices.
func (k *StackF32) Run(out, in, packed []float32, start, end int, scratch []byte) {
	w := k.window()
	size := k.template.groupPanels() * k.template.words
	k.each(start, end, k.unitsOfOne(), func(product, start, end int) {
		s := k.Products[product]
		weights := k.template
		weights.panels = packed[s.Second*size:][:size]
		p := newProductF32(&weights, &w, &k.Epilogue)
		p.run(out[s.Out:], in[s.First:], start, end, scratch)
	})
}
