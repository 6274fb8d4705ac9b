package kernel

import "fmt"

// MaxRank is the most dimensions a kernel on general shapes takes.
const MaxRank = 8

// chunk is how many elements of one line an elementwise piece covers.
const chunk = 4096

// block is how many elements elementwise kernels expand at a time where an operand is not contiguous.
const block = 512

// Broadcast says which elements of two operands meet in each element of a dense output. Dimensions that both operands
// run through alike are merged, so that common forms (same shape, scalar, per channel, [N,1,1,C] with [N,H,W,C]) have
// one to three dimensions, and the innermost one is as long as possible.
type Broadcast struct {
	rank        int
	size, a, b  [MaxRank]int // outermost first: sizes, and elements between neighbours in each operand
	chunks      int          // pieces of the innermost dimension
	innerChunks int
}

// NewBroadcast combines two dense operands under NumPy's rules. out must be what they broadcast to.
func NewBroadcast(out, a, b []int) (Broadcast, error) {
	if len(out) > MaxRank || len(a) > len(out) || len(b) > len(out) {
		return Broadcast{}, fmt.Errorf("broadcasting %v and %v to %v: at most %d dimensions, no fewer in the output", a, b, out, MaxRank)
	}
	var stridesA, stridesB [MaxRank]int
	for _, operand := range []struct {
		shape   []int
		strides *[MaxRank]int
	}{{a, &stridesA}, {b, &stridesB}} {
		step := 1
		lead := len(out) - len(operand.shape)
		for i := len(operand.shape) - 1; i >= 0; i-- {
			d := operand.shape[i]
			if d != out[lead+i] && d != 1 {
				return Broadcast{}, fmt.Errorf("%v does not broadcast to %v", operand.shape, out)
			}
			if d != 1 {
				operand.strides[lead+i] = step
			}
			step *= d
		}
	}
	return NewStridedBroadcast(out, stridesA[:len(out)], stridesB[:len(out)]), nil
}

// NewStridedBroadcast combines operands with any strides, in elements, one per output dimension; 0 repeats an element.
func NewStridedBroadcast(out, stridesA, stridesB []int) Broadcast {
	var s Broadcast
	for i, d := range out {
		if d == 1 {
			continue
		}
		last := s.rank - 1
		if last >= 0 && s.a[last] == d*stridesA[i] && s.b[last] == d*stridesB[i] {
			s.size[last] *= d
			s.a[last], s.b[last] = stridesA[i], stridesB[i]
			continue
		}
		s.size[s.rank], s.a[s.rank], s.b[s.rank] = d, stridesA[i], stridesB[i]
		s.rank++
	}
	if s.rank == 0 {
		s.size[0], s.rank = 1, 1
	}
	s.innerChunks = divideUp(s.size[s.rank-1], chunk)
	s.chunks = s.innerChunks
	for _, d := range s.size[:s.rank-1] {
		s.chunks *= d
	}
	return s
}

// line is a run of output elements that an elementwise kernel computes in one go.
type line struct {
	out, a, b int // where it starts in the output and in the operands
	n         int
}

// lines iterates over pieces without dividing for each.
type lines struct {
	shape      *Broadcast
	left       int // pieces
	chunk      int // of the innermost dimension
	coordinate [MaxRank]int
	out, a, b  int // of the innermost dimension's first element
}

// from is an iterator over the pieces [start, end).
func (s *Broadcast) from(start, end int) lines {
	l := lines{shape: s, left: end - start}
	if l.left <= 0 {
		return l
	}
	l.chunk = start % s.innerChunks
	row := start / s.innerChunks
	l.out = row * s.size[s.rank-1]
	for d := s.rank - 2; d >= 0; d-- {
		c := row % s.size[d]
		row /= s.size[d]
		l.coordinate[d] = c
		l.a += c * s.a[d]
		l.b += c * s.b[d]
	}
	return l
}

// next is the next line; ok is false after the last.
func (l *lines) next() (piece line, ok bool) {
	if l.left <= 0 {
		return line{}, false
	}
	l.left--
	s := l.shape
	inner := s.rank - 1
	first := l.chunk * chunk
	piece = line{l.out + first, l.a + first*s.a[inner], l.b + first*s.b[inner], min(chunk, s.size[inner]-first)}
	if l.chunk++; l.chunk < s.innerChunks {
		return piece, true
	}
	l.chunk = 0
	l.out += s.size[inner]
	for d := inner - 1; d >= 0; d-- {
		l.coordinate[d]++
		l.a += s.a[d]
		l.b += s.b[d]
		if l.coordinate[d] < s.size[d] {
			break
		}
		l.coordinate[d] = 0
		l.a -= s.size[d] * s.a[d]
		l.b -= s.size[d] * s.b[d]
	}
	return piece, true
}

// nextLines is next, but short lines that follow each other, up to a block of elements, are taken together: they are
// stepA and stepB apart in the operands, and adjacent in the output.
func (l *lines) nextLines() (piece line, count, stepA, stepB int, ok bool) {
	s := l.shape
	d := s.rank - 2
	if l.left <= 0 || d < 0 || s.innerChunks > 1 || s.size[d+1] == 0 {
		piece, ok = l.next()
		return piece, 1, 0, 0, ok
	}
	count = max(1, min(block/s.size[d+1], s.size[d]-l.coordinate[d], l.left))
	stepA, stepB = s.a[d], s.b[d]
	piece, ok = l.next()
	for range count - 1 {
		l.next()
	}
	return piece, count, stepA, stepB, ok
}

// expander makes an operand contiguous, and remembers what it made of one that repeats itself.
type expander[T any] struct {
	buffer   [block]T
	at, size int // what buffer holds, if it may be used again; size is 0 if not
}

// take is count lines of n elements: line i begins at at + i·lineStep, its elements are step apart. It is x itself where
// they are adjacent; else there are no more elements than a block has.
func (e *expander[T]) take(x []T, at, step, lineStep, n, count int) []T {
	if step == 1 && (count == 1 || lineStep == n) {
		return x[at : at+n*count]
	}
	again := step == 0 && count == 1 || lineStep == 0 && count > 1
	if again && e.size >= n*count && e.at == at {
		return e.buffer[:n*count]
	}
	e.at, e.size = at, 0
	if again {
		e.size = n * count
	}
	dst := e.buffer[:n*count]
	for line := range count {
		from := at + line*lineStep
		for i := range n {
			dst[line*n+i] = x[from]
			from += step
		}
	}
	return dst
}

// pairs goes through runs of output elements with what two broadcast operands have for them.
type pairs[A, B any] struct {
	all          lines
	left         expander[A]
	right        expander[B]
	stepA, stepB int

	// The lines in progress, and how many elements of each are done.
	l            line
	count        int
	lineA, lineB int
	done         int
}

// pair begins with the pieces [start, end).
func (p *pairs[A, B]) pair(s *Broadcast, start, end int) {
	p.all, p.stepA, p.stepB = s.from(start, end), s.a[s.rank-1], s.b[s.rank-1]
}

// next is where a run begins in the output and as many elements of each operand as it has.
func (p *pairs[A, B]) next(a []A, b []B) (at int, u []A, v []B, ok bool) {
	for p.done >= p.l.n {
		if p.l, p.count, p.lineA, p.lineB, ok = p.all.nextLines(); !ok {
			return 0, nil, nil, false
		}
		p.done = 0
	}
	i, n := p.done, p.l.n-p.done
	if p.stepA != 1 || p.stepB != 1 {
		n = min(n, block)
	}
	p.done += n
	return p.l.out + i, p.left.take(a, p.l.a+i*p.stepA, p.stepA, p.lineA, n, p.count),
		p.right.take(b, p.l.b+i*p.stepB, p.stepB, p.lineB, n, p.count), true
}
