//go:build !noasm

package kernel

// finishes reports whether the row can requantize sums that are in memory.
func (r *gemmInt8Row) finishes() bool { return r.tile != tileGeneric }

// finish requantizes sums in acc.
func (r *gemmInt8Row) finish(t *tileInt8) { requantizeNEON(t) }

func (r *gemmInt8Row) finishRows(*tileInt8) { panic("kernel: AMX is for amd64") }
