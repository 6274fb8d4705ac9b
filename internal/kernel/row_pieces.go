package kernel

// A product of a single row, a fully connected layer of batch 1, has so few panels that whole ones cannot be shared
// evenly by many goroutines: of the 32 panels of 1000 classes, half of 64 get none. Its pieces are fewer columns than a
// panel's, those of a vector if that is enough.

// rowPiece is of how many columns the pieces of a single row are, where panels have so many: the most with which the
// busiest of 4, 8, 16 and 64 goroutines has at most 1.15 of the mean.
func rowPiece(columns, panel int) int {
	const most, least = 64, 4
	if columns < most*least {
		return panel
	}
	for _, piece := range []int{panel, vectorColumns} {
		if even := piece <= panel; even {
			for _, goroutines := range []int{4, 8, 16, most} {
				pieces := divideUp(columns, piece)
				even = even && 20*divideUp(pieces, goroutines)*goroutines <= 23*pieces
			}
			if even {
				return piece
			}
		}
	}
	return least
}

// vectorColumns is how many columns micro-kernels for panels of twice as many do at half the cost: the first or the last
// of a panel.
const vectorColumns = 16

// rowPieces is the pieces of a product of a single row.
type rowPieces struct{ columns, piece int }

func (r rowPieces) units() int { return divideUp(r.columns, r.piece) }

// bounds is the columns of the pieces [start, end).
func (r rowPieces) bounds(start, end int) (first, last int) {
	return start * r.piece, min(end*r.piece, r.columns)
}

// part is what of a panel lies within the columns [first, last): from the column from on, of which the micro-kernel has to
// compute skip in vain, because it begins at the panel's first column or, if half is set, at its 17th.
func (r rowPieces) part(panel, nr, first, last int) (from, skip, columns int, half bool) {
	from = max(panel*nr, first)
	columns = min((panel+1)*nr, last) - from
	skip = from - panel*nr
	if half = nr == 2*vectorColumns && skip >= vectorColumns; half {
		skip -= vectorColumns
	}
	return from - skip, skip, columns + skip, half
}
