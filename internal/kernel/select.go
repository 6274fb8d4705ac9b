package kernel

import "cmp"

// Zip is a function of two operands, which are broadcast, element by element. Its pieces are runs of output elements.
type Zip[A, Y any] struct {
	Shape Broadcast
	// F computes as many elements as y has.
	F func(y []Y, a, b []A)
}

// Units is how many pieces the work has.
func (z *Zip[A, Y]) Units() int { return z.Shape.chunks }

// Run computes the pieces [start, end).
func (z *Zip[A, Y]) Run(y []Y, a, b []A, start, end int) {
	var all pairs[A, A]
	all.pair(&z.Shape, start, end)
	for {
		at, u, v, ok := all.next(a, b)
		if !ok {
			return
		}
		z.F(y[at:][:len(u)], u, v)
	}
}

// CompareOp is a comparison of two operands or a function of two truth values.
type CompareOp uint8

// The comparisons, of which NaN makes all false, and the functions of truth values: bytes that are not 0.
const (
	Equal CompareOp = iota
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	And
	Or
	Xor
)

// Comparing is the comparison of elements of a type, as Zip wants it. The functions of truth values are Logic's.
func Comparing[T cmp.Ordered](op CompareOp) func(y []byte, a, b []T) {
	switch op {
	case Equal:
		return func(y []byte, a, b []T) {
			for i := range y {
				y[i] = truth(a[i] == b[i])
			}
		}
	case Less:
		return func(y []byte, a, b []T) {
			for i := range y {
				y[i] = truth(a[i] < b[i])
			}
		}
	case LessOrEqual:
		return func(y []byte, a, b []T) {
			for i := range y {
				y[i] = truth(a[i] <= b[i])
			}
		}
	case Greater:
		return func(y []byte, a, b []T) {
			for i := range y {
				y[i] = truth(a[i] > b[i])
			}
		}
	case GreaterOrEqual:
		return func(y []byte, a, b []T) {
			for i := range y {
				y[i] = truth(a[i] >= b[i])
			}
		}
	}
	panic("kernel: no comparison")
}

// Logic is And, Or or Xor of truth values, as Zip wants it.
func Logic(op CompareOp) func(y, a, b []byte) {
	switch op {
	case And:
		return func(y, a, b []byte) {
			for i := range y {
				y[i] = truth(a[i] != 0) & truth(b[i] != 0)
			}
		}
	case Or:
		return func(y, a, b []byte) {
			for i := range y {
				y[i] = truth(a[i]|b[i] != 0)
			}
		}
	case Xor:
		return func(y, a, b []byte) {
			for i := range y {
				y[i] = truth(a[i] != 0) ^ truth(b[i] != 0)
			}
		}
	}
	panic("kernel: no function of truth values")
}

// Not writes the opposite of truth values.
func Not(y, x []byte) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = truth(v == 0)
	}
}

// truth is 1 for true, without a branch.
func truth(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Choose takes elements of one operand where a condition holds and of another elsewhere. Condition and the first are
// broadcast; the second has the output's shape, and may be the output. Its pieces are runs of output elements.
type Choose[T any] struct {
	Shape Broadcast // of the condition and the first operand
	// Inverted takes the first operand where the condition does not hold.
	Inverted bool
}

// Units is how many pieces the work has.
func (k *Choose[T]) Units() int { return k.Shape.chunks }

// Run computes the pieces [start, end).
func (k *Choose[T]) Run(y []T, condition []byte, first, second []T, start, end int) {
	var all pairs[byte, T]
	all.pair(&k.Shape, start, end)
	for {
		at, u, v, ok := all.next(condition, first)
		if !ok {
			return
		}
		choose(y[at:][:len(u)], u, v, second[at:][:len(u)], k.Inverted)
	}
}

func choose[T any](y []T, condition []byte, first, second []T, inverted bool) {
	condition, first, second = condition[:len(y)], first[:len(y)], second[:len(y)]
	for i, c := range condition {
		v := second[i]
		if (c != 0) != inverted {
			v = first[i]
		}
		y[i] = v
	}
}

// Extreme is the index of the largest element of each row of Outer × Size × Inner elements along the middle dimension, or
// of the smallest: the first among equals, or the last. A NaN is no larger and no smaller than anything. Its pieces are
// rows, or blocks of Inner.
type Extreme[T cmp.Ordered] struct {
	Outer, Size, Inner int
	Smallest, Last     bool
}

func (k *Extreme[T]) blocks() int { return divideUp(k.Inner, block) }

// Units is how many pieces the work has.
func (k *Extreme[T]) Units() int { return k.Outer * k.blocks() }

// Run computes the pieces [start, end).
func (k *Extreme[T]) Run(y []int64, x []T, start, end int) {
	var best [block]T
	for ; start < end; start++ {
		if k.Inner == 1 {
			y[start] = int64(k.ofRow(x[start*k.Size:][:k.Size]))
			continue
		}
		outer, first := start/k.blocks(), start%k.blocks()*block
		n := min(block, k.Inner-first)
		found := y[outer*k.Inner+first:][:n]
		at := x[outer*k.Size*k.Inner+first:]
		clear(found)
		copy(best[:n], at)
		for i := 1; i < k.Size; i++ {
			row := at[i*k.Inner:][:n]
			for j, v := range row {
				b := best[j]
				if k.Smallest {
					if v < b || k.Last && v == b {
						best[j], found[j] = v, int64(i)
					}
				} else if v > b || k.Last && v == b {
					best[j], found[j] = v, int64(i)
				}
			}
		}
	}
}

func (k *Extreme[T]) ofRow(row []T) (found int) {
	best := row[0]
	for i, v := range row {
		if k.Smallest && v < best || !k.Smallest && v > best || k.Last && v == best {
			best, found = v, i
		}
	}
	return found
}

// Running is running sums along the middle dimension of Outer × Size × Inner elements, added up in A: of the elements up to
// and including each, or only those before it; from the end if Reverse. Its pieces are rows, or blocks of Inner.
type Running[T, A int32 | int64 | float32 | float64] struct {
	Outer, Size, Inner int
	Exclusive, Reverse bool
}

func (k *Running[T, A]) blocks() int { return divideUp(k.Inner, block) }

// Units is how many pieces the work has.
func (k *Running[T, A]) Units() int { return k.Outer * k.blocks() }

// Run computes the pieces [start, end). y may be x.
func (k *Running[T, A]) Run(y, x []T, start, end int) {
	var sums [block]A
	for ; start < end; start++ {
		outer, first := start/k.blocks(), start%k.blocks()*block
		n := min(block, k.Inner-first)
		clear(sums[:n])
		for i := range k.Size {
			if k.Reverse {
				i = k.Size - 1 - i
			}
			at := (outer*k.Size+i)*k.Inner + first
			in, out := x[at:][:n], y[at:][:n]
			for j, v := range in {
				before := sums[j]
				sums[j] = before + A(v)
				if k.Exclusive {
					out[j] = T(before)
				} else {
					out[j] = T(sums[j])
				}
			}
		}
	}
}
