package kernel

// productF32 is what GemmF32 and ConvF32 have in common; see productInt8.
type productF32 struct {
	weights   *PackedF32
	feed      feed
	place     *placement
	outStride int
	epilogue  *EpilogueF32
	before    int // as in productInt8
}

func newProductF32(weights *PackedF32, w *Window, e *EpilogueF32) productF32 {
	p := productF32{weights: weights, outStride: w.OutStride, epilogue: e,
		feed: newFeed(w, weights.Filter.Inputs, weights.row.KR, 4, weights.row.MR, false)}
	return p
}

func (p *productF32) units() int {
	if r, single := p.row(); single {
		return r.units()
	}
	s := p.split()
	return s.units()
}

// row is the pieces of a product of a single row, if it is one.
func (p *productF32) row() (r rowPieces, single bool) {
	w := p.weights
	return rowPieces{w.Filter.Outputs, w.rowPiece}, w.rowPiece > 0 && p.feed.window.pixels() == 1 && w.Filter.Groups == 1 && p.place == nil && p.epilogue.Residual == nil
}

func (p *productF32) grain() int {
	if r, single := p.row(); single {
		return max(p.weights.row.NR/r.piece, 1)
	}
	s := p.split()
	return s.grain()
}

func (p *productF32) split() split {
	return newSplit(&p.feed, p.weights.Filter.Groups, p.weights.groupPanels())
}

func (p *productF32) scratch() int {
	row, rows := p.weights.row, p.feed.rows()
	bytes := carved[float32](row.MR*row.NR) + 2*carved[float32](row.NR) + 2*carved[int](rows) +
		carved[int](p.feed.window.KernelHeight) + carved[float32](p.feed.copied())
	if p.epilogue.Residual != nil {
		bytes += 2*carved[int](rows) + carved[float32](rows*row.NR)
	}
	return bytes
}

func (p *productF32) run(out, in []float32, start, end int, scratch []byte) {
	w, row, feed := p.weights, p.weights.row, &p.feed
	mr, nr, perGroup := row.MR, row.NR, w.Filter.perGroup()
	most := feed.rows()
	acc := carve[float32](&scratch, mr*nr)
	bias, staged := carve[float32](&scratch, nr), carve[float32](&scratch, nr)
	starts := carve[int](&scratch, most)
	outStarts := carve[int](&scratch, most)
	runs := carve[int](&scratch, feed.window.KernelHeight)
	copies := carve[float32](&scratch, feed.copied())

	residual := p.epilogue.Residual
	// As in productInt8, sums are staged where tiles do not add the residual.
	var residualStarts, panelStarts []int
	var panelSums []float32
	if residual != nil {
		residualStarts, panelStarts = carve[int](&scratch, most), carve[int](&scratch, most)
		panelSums = carve[float32](&scratch, most*nr)
		for i := range panelStarts {
			panelStarts[i] = i * nr
		}
	}

	t := tileF32{runStarts: runs, runLength: feed.paddedRun(), acc: acc, least: p.epilogue.Least, greatest: p.epilogue.Greatest}
	if residual != nil {
		t.sumLeast, t.sumGreatest = residual.Least, residual.Greatest
	}
	laidOut := -1
	pieces, single := p.row()
	firstColumn, lastColumn := 0, perGroup
	if single {
		firstColumn, lastColumn = pieces.bounds(start, end)
		start, end = firstColumn/nr, divideUp(lastColumn, nr)
	}
	split := p.split()
	all := parts{split: &split, start: start, end: end}
	previous := part{first: -1}
	for b, ok := all.next(); ok; b, ok = all.next() {
		first, rows, group := b.first, b.rows, b.group
		if first != previous.first || rows != previous.rows || group != previous.group {
			if rows != laidOut {
				feed.layout(starts[:rows], runs)
				laidOut = rows
			}
			t.a = supply(feed, copies, in, first, rows, group, 0)
			p.place.starts(outStarts[:rows], first, p.outStride)
			if residual != nil {
				p.place.starts(residualStarts[:rows], p.before+first, residual.Stride)
			}
		}
		previous = b
		for panel := b.firstPanel; panel < b.lastPanel; panel++ {
			column, skip, columns, half := pieces.part(panel, nr, firstColumn, lastColumn)
			t.columns = columns
			t.mask = uint32(1<<t.columns - 1)
			channel := group*perGroup + column
			t.panel = w.panels[(group*w.groupPanels()+panel)*w.words:][:w.words]
			if half {
				t.panel = t.panel[vectorColumns:]
			}
			t.bias = columnsOf(bias, p.epilogue.Bias, channel, t.columns)
			t.out = out[channel : outStarts[rows-1]+channel+t.columns]
			if skip > 0 {
				t.out = staged // the only row begins with the first column
			}
			toStarts := outStarts
			switch {
			case residual == nil:
			case row.joins && (row.masks || columns == nr):
				t.residual = residual.Operand[channel : residualStarts[rows-1]+channel+columns]
			default:
				t.residual, t.out, toStarts = nil, panelSums, panelStarts
			}
			row.runRows(&t, starts[:rows], toStarts, residualStarts)
			if skip > 0 {
				copy(out[channel+skip:], staged[skip:columns])
			}
			if residual != nil && t.residual == nil {
				residual.add(out, outStarts[:rows], panelSums, nr, residualStarts, channel, columns)
			}
		}
	}
}

// runRows computes rows in tiles of about equal height. residualStarts are read if the tiles add a residual.
func (r *gemmF32Row) runRows(t *tileF32, starts, outStarts, residualStarts []int) {
	size, larger := evenTiles(len(starts), r.MR)
	t.rowStarts, t.outStarts, t.residualStarts = starts, outStarts, residualStarts
	if larger > 0 {
		t.rows, t.tiles = size+1, larger
		r.run(t)
		done := larger * (size + 1)
		t.rowStarts, t.outStarts = starts[done:], outStarts[done:]
		if t.residual != nil {
			t.residualStarts = residualStarts[done:]
		}
	}
	if tiles := divideUp(len(starts), r.MR) - larger; tiles > 0 {
		t.rows, t.tiles = size, tiles
		r.run(t)
	}
}

// apply writes finished sums.
func (e *EpilogueF32) apply(dst, sums []float32) {
	sums = sums[:len(dst)]
	least, greatest := e.Least, e.Greatest
	for i, s := range sums {
		dst[i] = min(max(s, least), greatest) // no branch; NaN stays NaN
	}
}
