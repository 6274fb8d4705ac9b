package numeric

// averageForm is how a row averages codes.
type averageForm uint8

const (
	averageOfReals averageForm = iota // AverageCode: float32, rounded half to even, to codes of any scale
	averageOfCodes                    // (Σ ± n/2)/n of the codes themselves, which keep their scale

	// TFLite's means: of images rescaled in fixed point, then (Σ ± n/2)/n; of others, between equal scales, Σ/n of the codes
	// truncated, else roundHalfAway((Σ/n)·s_x/s_y − z_x·s_x/s_y) + z_y of the codes in float32.
	meanOfTFLite
)

// Average computes output codes of pools, means and sums of quantized values.
type Average struct {
	form  averageForm
	image bool
	x, y  Codes
}

// Average is how the row averages codes of x under a window to codes of y.
func (row Arithmetic) Average(x, y Codes) Average { return Average{form: row.of().average, x: x, y: y} }

// Mean is how the row's reductions average codes of x to codes of y. image says that a four-dimensional value is averaged
// over its second and third dimension, which stay as 1: rows may round the means of images differently.
func (row Arithmetic) Mean(image bool, x, y Codes) Average {
	return Average{row.of().mean, image, x, y}
}

// Code is the output code of the mean of n codes whose differences from the zero point add up to sum. What is not
// summed but counted is real zero.
func (v *Average) Code(sum int64, n int) int32 {
	x, y := &v.x, &v.y
	codes := sum + int64(n)*int64(x.ZeroPoint)
	switch {
	case n == 0:
	case v.form == averageOfCodes && x.Scale == y.Scale:
		// Away from zero, so that it matters whether codes are signed.
		half := int64(n / 2)
		if codes < 0 {
			half = -half
		}
		return y.limit((codes+half)/int64(n) - int64(x.ZeroPoint) + int64(y.ZeroPoint))
	case v.form == meanOfTFLite && v.image:
		m := NewFixedPoint(float64(x.Scale) / float64(y.Scale))
		acc := int64(m.HalfAway(saturate32(sum)))
		half := int64(n / 2)
		if acc <= 0 {
			half = -half
		}
		return y.limit((acc+half)/int64(n) + int64(y.ZeroPoint))
	case v.form == meanOfTFLite && x.Scale == y.Scale && x.ZeroPoint == y.ZeroPoint:
		return y.limit(codes / int64(n))
	case v.form == meanOfTFLite:
		ratio := x.Scale / y.Scale
		mean := float32(codes) / float32(n)
		return saturateHalfAway(float32(mean*ratio)+float32(float32(-x.ZeroPoint)*ratio), y.ZeroPoint, y.Lowest, y.Highest)
	}
	return AverageCode(sum, AverageMultiplier(x.Scale, y.Scale, n), y.ZeroPoint, y.Lowest, y.Highest)
}
