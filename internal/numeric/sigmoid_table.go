package numeric

import "math"

// sigmoidTable is the logistic function of i/24, with 16 fractional bits, plus half of the error that interpolation makes
// in the middle of the step that follows.
var sigmoidTable = func() (table [256]int32) {
	f := func(i float64) float64 { return 65536 / (1 + Exp(-i/24)) }
	for i := range table {
		x := float64(i)
		middle := f(x+0.5) - float64((f(x)+f(x+1))/2)
		table[i] = int32(math.Round(f(x) + float64(middle/2)))
	}
	table[255] = 65535 // the limit, which everything beyond has
	return table
}()

// logisticByTable is 1/(1 + e^−a), with 15 fractional bits, for a with 12, interpolated in a table as TFLite's kernel of
// 16-bit codes does.
func logisticByTable(a int32) int32 { return logisticAt(a * 3) }

// logisticAt is the logistic function of x/(3·2^12): a table entry every 2^9.
func logisticAt(x int32) int32 {
	y := int64(0x7fff) << 10
	if i := abs32(x) >> 9; i < 255 {
		low, high := int64(sigmoidTable[i]), int64(sigmoidTable[i+1])
		y = low<<9 + int64(abs32(x)&0x1ff)*(high-low)
	}
	if x < 0 {
		return int32((1<<25 - y + 1<<9 - 1) >> 10)
	}
	return int32((y + 1<<9) >> 10)
}

// tanhByTable is tanh(a), with 15 fractional bits, for a with the given number of them, interpolated in the table of the
// logistic function: tanh(x) = 2/(1 + e^−2x) − 1.
func tanhByTable(a int32, fraction int) int32 {
	x := a * 3
	if fraction < 12 {
		x <<= 12 - fraction
	} else if fraction > 12 {
		x = (x + 1<<(fraction-12)>>1) >> (fraction - 12)
	}
	return tanhAt(x)
}

// tanhAt is the hyperbolic tangent of x/(3·2^12).
func tanhAt(x int32) int32 {
	y := int32(0xffff) << 8
	if i := abs32(x) >> 8; i < 255 {
		y = sigmoidTable[i]<<8 + abs32(x)&0xff*(sigmoidTable[i+1]-sigmoidTable[i])
	}
	if x < 0 {
		return (-y + 1<<23 + 1<<7 - 1) >> 8
	}
	return (y - 1<<23 + 1<<7) >> 8
}
