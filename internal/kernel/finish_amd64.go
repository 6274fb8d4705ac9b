//go:build !noasm

package kernel

// finishes reports whether the row can requantize sums that are in memory.
func (r *gemmInt8Row) finishes() bool { return r.tile == tileAVX512VNNI }

// finish makes of sums in acc what a tile makes of its own; see finishes.
func (r *gemmInt8Row) finish(t *tileInt8) {
	switch {
	case r.tile != tileAVX512VNNI:
		panic("kernel: this row cannot requantize sums in memory")
	case t.columns > 16:
		finishInt8AVX512x12x32(t)
	default:
		finishInt8AVX512x12x16(t)
	}
}

// finishRows makes codes of any number of rows of sums in acc, to which no residual is added.
func (r *gemmInt8Row) finishRows(t *tileInt8) {
	switch {
	case r.tile != tileAVX512VNNI:
		panic("kernel: this row cannot requantize sums in memory")
	case t.columns > 16:
		finishRowsInt8AVX512x32(t)
	default:
		finishRowsInt8AVX512x16(t)
	}
}
