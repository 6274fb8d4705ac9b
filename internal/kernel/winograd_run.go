package kernel

import (
	"math"
	"unsafe"
)

// winogradScratch is the parts of the scratch memory; those of floats are whole vectors.
type winogradScratch struct {
	input, sums         []float32 // planes of transformed pixels, and of their products with a panel
	inputStep, sumsStep int       // elements from plane to plane
	vectors             []float32 // for a tile in transformation, 16 channels
	bias, zeros, unused []float32 // 32 of each
	starts, outStarts   []int     // of rows in input and sums
	runs                []int     // a row is a single run
}

// lengths are those of a plane of transformed pixels and of one of sums. They are odd numbers of vectors, so that equal
// places of planes are in different sets of a cache.
func (p *winogradProduct) lengths() (input, sums int) {
	length := func(n int) int { return (divideUp(n, 16) | 1) * 16 }
	return length(p.feed.lines * p.Weights.filter.Inputs), length(p.feed.lines * winogradColumns)
}

// floats is how many elements winogradScratch has.
func (p *winogradProduct) floats() int {
	input, sums := p.lengths()
	return p.Weights.planes()*(input+sums+16) + 3*winogradColumns
}

// Scratch is how many bytes of scratch Run needs.
func (k *WinogradF32) Scratch() int {
	p := k.product()
	return carved[float32](p.floats()+16) + 2*carved[int](p.feed.lines) + carved[int](1)
}

func (p *winogradProduct) carve(scratch []byte) (s winogradScratch) {
	memory := carve[float32](&scratch, p.floats()+16)
	memory = memory[int(-uintptr(unsafe.Pointer(&memory[0]))&63)/4:] // vectors that cross lines of the cache are slower
	take := func(n int) []float32 {
		head := memory[:n:n]
		memory = memory[n:]
		return head
	}
	planes, lines := p.Weights.planes(), p.feed.lines
	s.inputStep, s.sumsStep = p.lengths()
	s.input, s.sums = take(planes*s.inputStep), take(planes*s.sumsStep)
	s.vectors = take(16 * planes)
	s.bias, s.zeros, s.unused = take(winogradColumns), take(winogradColumns), take(winogradColumns)
	clear(s.zeros)
	s.starts, s.outStarts, s.runs = carve[int](&scratch, lines), carve[int](&scratch, lines), carve[int](&scratch, 1)
	s.runs[0] = 0
	for i := range lines {
		s.starts[i], s.outStarts[i] = i*p.Weights.filter.Inputs, i*winogradColumns
	}
	return s
}

// Run computes the pieces [start, end).
func (k *WinogradF32) Run(out, in []float32, start, end int, scratch []byte) {
	if start >= end {
		return
	}
	// Assembly does not check: a slice that is too short panics here.
	w, weights := &k.Window, k.Weights
	_ = in[(w.Batch*w.InHeight*w.InWidth-1)*w.InStride+w.Channels-1]
	_ = out[(w.pixels()-1)*w.OutStride+weights.filter.Outputs-1]
	if p := k.product(); weights.row.winograd {
		p.run(out, in, start, end, scratch)
	}
}

func (p *winogradProduct) run(out, in []float32, start, end int, scratch []byte) {
	weights := p.Weights
	s := p.carve(scratch)
	infinity := float32(math.Inf(1))
	t := tileF32{runStarts: s.runs, runLength: weights.filter.Inputs, bias: s.zeros, least: -infinity, greatest: infinity}
	split := p.split()
	all := parts{split: &split, start: start, end: end}
	previous := part{first: -1}
	for b, ok := all.next(); ok; b, ok = all.next() {
		if b.first != previous.first || b.rows != previous.rows {
			for done := 0; done < b.rows; {
				done += p.transformInput(&s, in, b.first, done, b.rows)
			}
		}
		previous = b
		for half := b.firstPanel; half < b.lastPanel; {
			halves := 1
			if half%2 == 0 && half+1 < b.lastPanel {
				halves = 2
			}
			t.columns = winogradColumns / 2 * halves
			t.mask = uint32(1<<t.columns - 1)
			for plane := range weights.planes() {
				t.a, t.out = s.input[plane*s.inputStep:], s.sums[plane*s.sumsStep:]
				t.panel = weights.plane(half/2, plane)[half%2*winogradColumns/2:]
				weights.row.runRows(&t, s.starts[:b.rows], s.outStarts, nil)
			}
			channel := half * winogradColumns / 2
			columns := min(t.columns, weights.filter.Outputs-channel)
			bias := columnsOf(s.bias, p.Epilogue.Bias, channel, columns)
			for done := 0; done < b.rows; {
				n := p.alike(b.first+done, b.rows-done)
				p.transformSums(&s, out, in, bias, b.first+done, done, n, channel, columns)
				done += n
			}
			half += halves
		}
	}
}

// tile is the image of a tile, and the output pixel where it begins.
func (p *winogradProduct) tile(i int) (image, y, x int) {
	at, size := i%p.all, p.Weights.size
	return i / p.all, at / p.across * size, at % p.across * size
}

// transformInput transforms the tile that is done further than the first, and of the rows that are left those behind it
// in the same line that lie inside the image as well. It returns how many these are.
func (p *winogradProduct) transformInput(s *winogradScratch, in []float32, first, done, rows int) int {
	w, size, side := &p.Window, p.Weights.size, p.Weights.size+2
	image, top, left := p.tile(first + done)
	top, left = top-w.PadTop, left-w.PadLeft
	n := 1
	if left >= 0 {
		for done+n < rows && (first+done+n)%p.across != 0 && left+n*size+side <= w.InWidth {
			n++
		}
	}
	var offsets [winogradPlanes]int
	for y := range side {
		for x := range side {
			offset := &offsets[y*side+x]
			*offset = -1
			if iy, ix := top+y, left+x; iy >= 0 && iy < w.InHeight && ix >= 0 && ix < w.InWidth {
				*offset = ((image*w.InHeight+iy)*w.InWidth + ix) * w.InStride
			}
		}
	}
	call := winogradInput{in: &in[0], pad: &s.zeros[0], offsets: &offsets[0],
		planes: &s.input[done*w.Channels], planeStep: 4 * s.inputStep, tileStep: 4 * size * w.InStride,
		tiles: n, channels: w.Channels, scratch: &s.vectors[0]}
	call.run(size)
	return n
}

// alike is how many tiles from one on, at most so many, are in the same line of whole tiles.
func (p *winogradProduct) alike(first, most int) int {
	_, _, left := p.tile(first)
	n, size := 1, p.Weights.size
	for n < most && (first+n)%p.across != 0 && left+(n+1)*size <= p.Window.OutWidth {
		n++
	}
	return n
}

// transformSums writes n tiles from the first on, whose sums begin at row at.
func (p *winogradProduct) transformSums(s *winogradScratch, out, in, bias []float32, first, at, n, channel, columns int) {
	w, size := &p.Window, p.Weights.size
	image, top, left := p.tile(first)
	var offsets [16]int
	for y := range size {
		for x := range size {
			offset := &offsets[y*size+x]
			*offset = -1
			if oy, ox := top+y, left+x; oy < w.OutHeight && ox < w.OutWidth {
				*offset = ((image*w.OutHeight+oy)*w.OutWidth + ox) * w.OutStride
			}
		}
	}
	call := winogradOutput{planes: &s.sums[at*winogradColumns], planeStep: 4 * s.sumsStep,
		bias: &bias[0], least: p.Epilogue.Least, greatest: p.Epilogue.Greatest,
		out: &out[channel], unused: &s.unused[0], offsets: &offsets[0], tileStep: 4 * size * w.OutStride,
		tiles: n, mask: uint32(1<<columns - 1), scratch: &s.vectors[0]}
	call.run(size)
	if call.notFinite == 0 {
		return
	}
	if n > 1 {
		for i := range n {
			p.transformSums(s, out, in, bias, first+i, at+i, 1, channel, columns)
		}
		return
	}
	// What is done once more is as much as a piece has, so that it does not depend on how pieces come together.
	const half = winogradColumns / 2
	for from := 0; from < columns; from += half {
		if call.notFinite>>from&(1<<half-1) != 0 {
			p.direct(out, in, bias[from:], first, channel+from, min(half, columns-from))
		}
	}
}

// direct computes the columns of a tile that a piece has by the definition.
func (p *winogradProduct) direct(out, in, bias []float32, tile, channel, columns int) {
	w, size := &p.Window, p.Weights.size
	image, top, left := p.tile(tile)
	var sums [16]winogradVector
	for i := range sums {
		copy(sums[i][:], bias[:columns])
	}
	var taps [9]winogradVector
	for c := range w.Channels {
		p.Weights.taps(&taps, channel/winogradColumns, c)
		for i := range size * size {
			for tap := range taps {
				y, x := top+i/size+tap/3-w.PadTop, left+i%size+tap%3-w.PadLeft
				if y < 0 || y >= w.InHeight || x < 0 || x >= w.InWidth {
					continue
				}
				v := in[((image*w.InHeight+y)*w.InWidth+x)*w.InStride+c]
				for j, weight := range taps[tap][channel%winogradColumns:][:columns] {
					sums[i][j] += float32(v * weight)
				}
			}
		}
	}
	for i := range size * size {
		if y, x := top+i/size, left+i%size; y < w.OutHeight && x < w.OutWidth {
			p.Epilogue.apply(out[((image*w.OutHeight+y)*w.OutWidth+x)*w.OutStride+channel:][:columns], sums[i][:])
		}
	}
}

// taps makes the weights of a channel of the transformed ones.
func (p *PackedWinogradF32) taps(taps *[9]winogradVector, panel, channel int) {
	side := p.size + 2
	at := func(y, x int) *winogradVector { return p.vector(panel, y*side+x, channel) }
	// Of a line of points those of 0, 1, −1 and infinity say what the taps are.
	ends, middle := float32(1), float32(1)
	if p.size == 4 {
		ends, middle = 4, -3
	}
	places := [4]int{0, 1, 2, side - 1}
	var lines [3][4]winogradVector
	for i, x := range places {
		a, b, c, d := at(0, x), at(1, x), at(2, x), at(side-1, x)
		for j := range a {
			lines[0][i][j], lines[1][i][j], lines[2][i][j] = ends*a[j], middle*(b[j]-c[j]), d[j]
		}
	}
	for y := range lines {
		a, b, c, d := &lines[y][0], &lines[y][1], &lines[y][2], &lines[y][3]
		for j := range a {
			taps[3*y][j], taps[3*y+1][j], taps[3*y+2][j] = ends*a[j], middle*(b[j]-c[j]), d[j]
		}
	}
}
