package op

import (
	"fmt"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/tensor"
)

// Evaluate multiplies the matrices.
func (o *Gemm) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	a, b := c.In(0).Shape(), c.In(1).Shape()
	if len(a) != 2 || len(b) != 2 {
		return fmt.Errorf("operands %s and %s, wants matrices", c.In(0), c.In(1))
	}
	m, k := a[0], a[1]
	if o.TransA {
		m, k = k, m
	}
	n := b[o.outputAxis()]
	if b[1-o.outputAxis()] != k {
		return fmt.Errorf("%s cannot be multiplied by %s", c.In(0), c.In(1))
	}
	if c.Node.Compute == graph.Float && !c.In(0).DType().IsFloat() {
		return o.evaluateIntegers(c, m, n, k)
	}
	p, err := readProducts(c, o.Clamp)
	if err != nil {
		return err
	}
	if err := p.fits(n); p.integer && err != nil { // the addend of floats may be any shape that broadcasts
		return err
	}
	if !p.integer {
		left, right := p.x, p.w
		if o.TransA {
			left = swapInner(left, 1, k, m)
		}
		if !o.TransB {
			right = swapInner(right, 1, k, n)
		}
		sums := matrixProduct[float32, float64](left, right, m, n, k)
		values := make([]float32, len(sums))
		bias, err := o.addend(c, m, n)
		if err != nil {
			return err
		}
		for i, sum := range sums {
			sum *= float64(o.Alpha)
			if bias != nil {
				sum += float64(float64(bias(i)) * float64(o.Beta))
			}
			values[i] = o.Clamp.Apply(float32(sum))
		}
		c.SetFloats(0, []int{m, n}, values)
		return nil
	}
	if o.Alpha != 1 || c.Has(2) && o.Beta != 1 || o.TransA {
		return fmt.Errorf("integers want alpha and beta 1 and activations that are not transposed")
	}
	right := p.wi
	if !o.TransB {
		right = swapInner(right, 1, k, n)
	}
	finishProducts(c, p, matrixProduct[int32, int64](p.xi, right, m, n, k), []int{m, n})
	return nil
}

// evaluateIntegers is the product of integer matrices that are not codes.
func (o *Gemm) evaluateIntegers(c *Evaluation, m, n, k int) error {
	if o.Alpha != 1 || o.Beta != 1 {
		return fmt.Errorf("integer matrices want alpha and beta 1")
	}
	left, right := Int64s(c.In(0)), Int64s(c.In(1))
	if o.TransA {
		left = swapInner(left, 1, k, m)
	}
	if !o.TransB {
		right = swapInner(right, 1, k, n)
	}
	sums := matrixProduct[int64, int64](left, right, m, n, k)
	if c.Has(2) {
		index, err := broadcastIndex(c.In(2).Shape(), []int{m, n})
		if err != nil {
			return err
		}
		addend := Int64s(c.In(2))
		for i := range sums {
			sums[i] += addend[index(i)]
		}
	}
	c.Set(0, FromInt64s(c.OutDType(0), []int{m, n}, sums))
	return nil
}

// addend reads the third operand, broadcast to [m,n]; nil if it is absent.
func (o *Gemm) addend(c *Evaluation, m, n int) (func(i int) float32, error) {
	if !c.Has(2) {
		return nil, nil
	}
	values := c.Floats(2)
	index, err := broadcastIndex(c.In(2).Shape(), []int{m, n})
	if err != nil {
		return nil, err
	}
	return func(i int) float32 { return values[index(i)] }, nil
}

// finishProducts rounds exact sums, the last axis being the output channel, and sets output 0.
func finishProducts(c *Evaluation, p *products, sums []int64, shape []int) {
	setResults(c, p, sums, shape, shape[len(shape)-1])
}

// setResults rounds exact sums, which belong to channels in turn, and sets output 0.
func setResults(c *Evaluation, p *products, sums []int64, shape []int, channels int) {
	if c.Node.Compute == graph.Integer {
		codes := make([]int32, len(sums))
		for i, sum := range sums {
			codes[i] = p.code(sum, i%channels)
		}
		c.SetCodes(0, shape, codes)
		return
	}
	values := make([]float32, len(sums))
	for i, sum := range sums {
		values[i] = p.realOfSum(sum, i%channels, i, len(sums))
	}
	c.SetFloats(0, shape, values)
}

// matrixProduct multiplies a [m,k] by the transpose of b [n,k].
func matrixProduct[T float32 | int32 | int64, A float64 | int32 | int64](a, b []T, m, n, k int) []A {
	sums := make([]A, m*n)
	for i := range m {
		row := a[i*k : (i+1)*k]
		for j := range n {
			column := b[j*k : (j+1)*k]
			var sum A
			for t, v := range row {
				sum += A(v) * A(column[t])
			}
			sums[i*n+j] = sum
		}
	}
	return sums
}

// Evaluate multiplies the last two dimensions for each of the broadcast others.
func (o *MatMul) Evaluate(c *Evaluation) error {
	if err := c.require(2); err != nil {
		return err
	}
	a, b := c.In(0).Shape(), c.In(1).Shape()
	if len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("a scalar cannot be multiplied as a matrix: %s and %s", c.In(0), c.In(1))
	}
	if len(a) == 1 {
		a = []int{1, a[0]}
	}
	if len(b) == 1 {
		b = []int{b[0], 1}
	}
	m, k, n := a[len(a)-2], a[len(a)-1], b[len(b)-1]
	if b[len(b)-2] != k {
		return fmt.Errorf("%s cannot be multiplied by %s", c.In(0), c.In(1))
	}
	outer, err := broadcastSizes(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return err
	}
	shape := append([]int{}, outer...)
	if len(c.In(0).Shape()) > 1 {
		shape = append(shape, m)
	}
	if len(c.In(1).Shape()) > 1 {
		shape = append(shape, n)
	}
	indexA, err := broadcastIndex(a[:len(a)-2], outer)
	if err != nil {
		return err
	}
	indexB, err := broadcastIndex(b[:len(b)-2], outer)
	if err != nil {
		return err
	}
	each := func(visit func(batch, a, b int)) {
		for i := range product(outer) {
			visit(i, indexA(i), indexB(i))
		}
	}
	if c.Node.Compute == graph.Float && !c.In(0).DType().IsFloat() {
		return o.evaluateIntegers(c, shape, m, n, k, each)
	}
	p, err := readProducts(c, o.Clamp)
	if err != nil {
		return err
	}
	if err := p.fits(n); err != nil {
		return err
	}
	if !p.integer {
		values := make([]float32, 0, product(shape))
		each(func(_, i, j int) {
			right := swapInner(p.w[j*k*n:(j+1)*k*n], 1, k, n)
			for e, sum := range matrixProduct[float32, float64](p.x[i*m*k:(i+1)*m*k], right, m, n, k) {
				values = append(values, p.real(sum, e%n))
			}
		})
		c.SetFloats(0, shape, values)
		return nil
	}
	sums := make([]int64, 0, product(shape))
	each(func(_, i, j int) {
		right := swapInner(p.wi[j*k*n:(j+1)*k*n], 1, k, n)
		sums = append(sums, matrixProduct[int32, int64](p.xi[i*m*k:(i+1)*m*k], right, m, n, k)...)
	})
	if len(c.In(1).Shape()) == 1 { // the column that was added is not an axis of the result
		setResults(c, p, sums, shape, 1)
		return nil
	}
	finishProducts(c, p, sums, shape)
	return nil
}

func (o *MatMul) evaluateIntegers(c *Evaluation, shape []int, m, n, k int, each func(func(batch, a, b int))) error {
	left, right := Int64s(c.In(0)), Int64s(c.In(1))
	sums := make([]int64, 0, product(shape))
	each(func(_, i, j int) {
		b := swapInner(right[j*k*n:(j+1)*k*n], 1, k, n)
		sums = append(sums, matrixProduct[int64, int64](left[i*m*k:(i+1)*m*k], b, m, n, k)...)
	})
	dtype := c.OutDType(0)
	if dtype == tensor.Invalid {
		dtype = c.In(0).DType()
	}
	c.Set(0, FromInt64s(dtype, shape, sums))
	return nil
}
