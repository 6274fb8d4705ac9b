package kernel

import (
	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/numeric"
)

// FixedPoint is requantizers that multiply in fixed point, in the form that vectors want: an entry per output channel.
type FixedPoint struct {
	q31   []int32
	shift []int32 // to the right
	away  []int32 // −1 where halves of the shift go away from zero, 0 where they go up
}

// NewFixedPoint is the requantizers of a layer's output channels (one, or one per channel) as an Epilogue's Fixed; nil
// if one of them does not multiply in fixed point, or shifts to the left.
func NewFixedPoint(by []numeric.Requantizer, outputs int) *FixedPoint {
	f := &FixedPoint{make([]int32, outputs), make([]int32, outputs), make([]int32, outputs)}
	for i := range outputs {
		m, away, ok := by[i%len(by)].Fixed()
		if !ok || m.Shift > 0 {
			return nil
		}
		f.q31[i], f.shift[i] = m.Q31, int32(-m.Shift)
		if away && m.Shift < 0 {
			f.away[i] = -1
		}
	}
	return f
}

// fixedTile is sums that become codes: rows of columns, stride apart. Assembly reads its fields; nothing is checked there.
type fixedTile struct {
	sums          []int32
	stride        int
	rows, columns int

	// weightZero[column]·rowSums[row] is taken off a sum first, if weightZero is set.
	weightZero, rowSums []int32

	q31, shift, away []int32 // of the columns

	out                  []byte // row i goes to out[outStarts[i]:]
	outStarts            []int
	low, high, zeroPoint int32 // the limits are less the zero point
	kernel               vectorKernel
}

// newFixedTile says how an epilogue makes codes of sums at a tier; ok is false if that is not for fixedTile.
func newFixedTile(e *Epilogue, tier cpu.Tier, out Destination) (t fixedTile, ok bool) {
	kernel := best(tier, vectorTable).vector.kernel
	if out.Codes == nil || e.Requantizer == nil || e.Fixed == nil || kernel == vectorNone ||
		!fitsBytes(e.ZeroPoint, e.Lowest, e.Highest) {
		return t, false
	}
	return fixedTile{low: e.Lowest - e.ZeroPoint, high: e.Highest - e.ZeroPoint, zeroPoint: e.ZeroPoint, kernel: kernel}, true
}

// of chooses the columns from a channel on.
func (t *fixedTile) of(f *FixedPoint, channel, columns int) {
	t.columns = columns
	t.q31, t.shift, t.away = f.q31[channel:][:columns], f.shift[channel:][:columns], f.away[channel:][:columns]
}

// finish does the columns from a column on, in plain Go.
func (t *fixedTile) finish(column int) {
	for j := column; j < t.columns; j++ {
		m := numeric.FixedPoint{Q31: t.q31[j], Shift: -int(t.shift[j])}
		for i := range t.rows {
			sum := t.sums[i*t.stride+j]
			if t.weightZero != nil {
				sum -= t.weightZero[j] * t.rowSums[i]
			}
			var code int32
			if t.away[j] != 0 {
				code = m.HalfAway(sum)
			} else {
				code = m.HalfUp(sum)
			}
			t.out[t.outStarts[i]+j] = byte(min(max(code, t.low), t.high) + t.zeroPoint)
		}
	}
}
