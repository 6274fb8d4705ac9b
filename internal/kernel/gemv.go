package kernel

// gemvInt8 is one row of codes times consecutive packed panels of 32 columns: the products of a batch of 1 in fully
// connected layers, which are short, so that what surrounds the products counts. Assembly reads its fields; nothing is
// checked there.
type gemvInt8 struct {
	a          []byte // 4·steps codes
	steps      int
	flip       uint32 // makes four codes u8, by exclusive or
	panels     *uint64
	panelBytes int
	columns    int // at least 1

	// The sum of a column is bias + correction·weightSum + Σ codes·weights. They begin with the first column of the
	// first panel; bias may be nil.
	bias, weightSums []int32
	correction       int32

	// Either sums or out is set.
	sums []int32
	out  []byte

	multiplier           []float32
	oneMultiplier        bool    // of all columns
	low, high, zeroPoint int32   // the limits are less the zero point
	highest              float32 // high
}

// gemvPanels is how many panels are done at once: their sums fit in the memory of a tile's.
const gemvPanels = 12

// fitsGemv reports whether single rows have a kernel of their own for an epilogue.
func (p *PackedInt8) fitsGemv(e *Epilogue) bool {
	return p.row.gemv && p.zero == nil && p.Filter.Groups == 1 && len(p.panels) > 0 &&
		(e.Bias == nil || len(e.Bias) == p.Filter.Outputs)
}

// gemv is the pieces [start, end) of the product of one row. Its pieces and its scratch are those of productInt8.
func (p *PackedInt8) gemv(out Destination, in []byte, signed bool, zeroPoint int32, e *Epilogue, start, end int, scratch []byte) {
	nr := p.row.NR
	sums := carve[int32](&scratch, gemvPanels*nr)
	zero := carve[int](&scratch, 1)
	zero[0] = 0
	line := p.line()
	t := gemvInt8{a: in, steps: line / 4, panelBytes: 8 * p.words, correction: -zeroPoint,
		low: e.Lowest - e.ZeroPoint, high: e.Highest - e.ZeroPoint, zeroPoint: e.ZeroPoint}
	if signed {
		t.flip, t.correction = 0x80808080, t.correction-128
	}
	if n := p.Filter.depth(); n < line { // what lies behind the row is not to be read; the weights there are 0
		t.a = carve[byte](&scratch, line)
		clear(t.a[copy(t.a, in[:n]):])
	}
	requantizes := out.Codes != nil && e.Requantizer == nil && fitsBytes(e.ZeroPoint, e.Lowest, e.Highest)
	fixed, isFixed := newFixedTile(e, p.row.Tier, out)
	t.highest, t.oneMultiplier = float32(t.high), len(e.Multiplier) == 1
	pieces := rowPieces{p.Filter.Outputs, p.rowPiece}
	first, last := pieces.bounds(start, end)
	for first < last {
		panel := first / nr
		channel, skip, columns, half := pieces.part(panel, nr, first, last)
		t.panels = &p.panels[panel*p.words]
		if half {
			t.panels = &p.panels[panel*p.words+vectorColumns/2] // of which a word has two
		} else if skip == 0 {
			columns = min(last-channel, gemvPanels*nr)
		}
		t.columns = columns
		t.weightSums = p.sums[channel:][:columns]
		if e.Bias != nil {
			t.bias = e.Bias[channel:][:columns]
		}
		t.sums, t.out = sums, nil
		if requantizes && skip == 0 {
			t.multiplier = channelsOf(e.Multiplier, channel, columns)
			t.sums, t.out = nil, out.Codes[channel:][:columns]
		}
		t.run()
		switch {
		case requantizes && skip == 0:
		case isFixed && skip == 0:
			fixed.of(e.Fixed, channel, columns)
			fixed.sums, fixed.rows, fixed.outStarts = sums, 1, zero
			fixed.out = out.Codes[channel:][:columns]
			fixed.run()
		default:
			e.apply(out, channel+skip, channel+skip, sums[skip:columns])
		}
		first = channel + columns
	}
}
