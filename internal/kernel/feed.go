package kernel

// feed is how the rows of a matrix product that is a convolution reach the micro-kernels. A row is what one output
// pixel sees: runs of consecutive elements, one per line of the window, each run the same distance from the row's
// beginning. So nothing is copied where rows can be read in the input itself. Where the window looks past the image,
// or a run's length is no multiple of the kernel's depth step, the lines that a piece of the work sees are copied to a
// band with padding around them; only windows with gaps between their columns are copied row by row.
//
// A part of the work is some lines of the output of one image.
type feed struct {
	window Window
	inputs int // channels of one group
	source feedSource

	run   int // elements of a run
	step  int // runs are read up to a multiple of this; the weights there are 0
	lines int // output lines that are worked on at once
}

type feedSource uint8

const (
	fromInput feedSource = iota // rows lie in the input
	fromBand                    // rows lie in a padded copy of input lines
	fromRows                    // each row is a copy of its own
)

// rowsWindow is a matrix of rows as a tall image of one column.
func rowsWindow(rows, inputs, inStride, outStride int) Window {
	return Window{Batch: 1, InHeight: rows, InWidth: 1, Channels: inputs, OutHeight: rows, OutWidth: 1,
		KernelHeight: 1, KernelWidth: 1, StrideHeight: 1, StrideWidth: 1, DilationHeight: 1, DilationWidth: 1,
		InStride: inStride, OutStride: outStride}
}

// newFeed plans the rows of a window for kernels of a given depth step that read elements of the given bytes.
// rowTile is how many rows a kernel likes to have at once; equidistant says that these must be the same distance apart,
// so that short lines are worth copying.
func newFeed(w *Window, inputs, step, elementBytes, rowTile int, equidistant bool) feed {
	f := feed{window: *w, inputs: inputs, run: w.KernelWidth * inputs, step: step}
	if w.isPointwise() {
		// Images, lines and columns make no difference: one tall image.
		f.window.InHeight, f.window.InWidth = w.pixels(), 1
		f.window.OutHeight, f.window.OutWidth = w.pixels(), 1
		f.window.Batch = min(1, w.pixels())
	}
	w = &f.window
	switch {
	case w.taps() == 0 || w.KernelWidth > 1 && w.DilationWidth > 1 || equidistant && w.OutWidth > 1 && w.OutWidth < rowTile/2:
		f.source = fromRows
	case w.PadTop > 0 || w.PadLeft > 0 || !w.endsInside() || f.run%step != 0 ||
		w.KernelWidth > 1 && inputs != w.InStride:
		f.source = fromBand
	}
	f.lines = f.chooseLines(elementBytes, rowTile)
	return f
}

// endsInside reports whether the windows of the last line and column are inside the image.
func (w *Window) endsInside() bool {
	return (w.OutHeight-1)*w.StrideHeight-w.PadTop+(w.KernelHeight-1)*w.DilationHeight < w.InHeight &&
		(w.OutWidth-1)*w.StrideWidth-w.PadLeft+(w.KernelWidth-1)*w.DilationWidth < w.InWidth
}

// chooseLines gives a piece as many output lines as keep what it reads in a part of a small L2 cache, but enough rows
// for a tile and not many more than amortize reading the weights; then it makes the pieces of an image equal.
func (f *feed) chooseLines(elementBytes, rowTile int) int {
	const (
		cache = 96 << 10
		most  = 96
	)
	w := &f.window
	if w.OutHeight == 0 || w.OutWidth == 0 {
		return 1
	}
	line := max(w.StrideHeight*w.OutWidth*w.StrideWidth*f.inputs*elementBytes, 1)
	lines := max(1, min(cache/line, most/w.OutWidth))
	lines = max(lines, divideUp(rowTile, w.OutWidth))
	lines = divideUp(w.OutHeight, divideUp(w.OutHeight, lines))
	if w.OutWidth < rowTile && rowTile%w.OutWidth == 0 {
		whole := rowTile / w.OutWidth
		lines = divideUp(lines, whole) * whole
	}
	return min(lines, w.OutHeight)
}

// rows is how many rows a piece has at most.
func (f *feed) rows() int { return f.lines * f.window.OutWidth }

// paddedRun is the length of a run as it is read.
func (f *feed) paddedRun() int { return divideUp(f.run, f.step) * f.step }

// copied is how many elements of memory prepare needs for its copies.
func (f *feed) copied() int {
	switch f.source {
	case fromBand:
		width, height := f.band(f.lines)
		return height*width*f.inputs + f.step - 1
	case fromRows:
		return f.rows() * f.window.KernelHeight * f.paddedRun()
	}
	return 0
}

// band is the columns and lines that some lines of the output see.
func (f *feed) band(lines int) (width, height int) {
	w := &f.window
	return (w.OutWidth-1)*w.StrideWidth + w.KernelWidth, (lines-1)*w.StrideHeight + (w.KernelHeight-1)*w.DilationHeight + 1
}

// line is how many consecutive rows of a piece are the same distance apart, if the piece has so many rows.
func (f *feed) line(rows int) int {
	if f.source == fromRows || f.window.OutWidth == 1 {
		return rows
	}
	return f.window.OutWidth
}

// layout fills in where the rows of a piece and the runs of a row begin in what supply returns: row i's run k begins at
// starts[i] + runs[k]. It is the same for all pieces of so many rows.
func (f *feed) layout(starts, runs []int) {
	w := &f.window
	lines, stride, width := len(starts)/w.OutWidth, f.inputs, w.InWidth
	switch f.source {
	case fromRows:
		length := f.paddedRun()
		for k := range runs {
			runs[k] = k * length
		}
		for i := range starts {
			starts[i] = i * w.KernelHeight * length
		}
		return
	case fromBand:
		width, _ = f.band(lines)
	default:
		stride = w.InStride
	}
	for k := range runs {
		runs[k] = k * w.DilationHeight * width * stride
	}
	for line := range lines {
		at := line * w.StrideHeight * width * stride
		row := starts[line*w.OutWidth:][:w.OutWidth]
		for x := range row {
			row[x] = at
			at += w.StrideWidth * stride
		}
	}
}

// supply makes the given number of rows from row first on readable for the channels of a group. paddedRun elements may
// be read from where layout says that a run begins.
func supply[T byte | float32](f *feed, copies, in []T, first, rows, group int, pad T) []T {
	w := &f.window
	n, y, _ := w.position(first)
	channel := group * f.inputs
	switch f.source {
	case fromRows:
		gather(copies, in, w, first, rows, channel, f.inputs, f.paddedRun(), pad)
		return copies
	case fromBand:
		width, height := f.band(rows / w.OutWidth)
		copyBand(f, copies, in[channel:], n, y, width, height, pad)
		return copies
	}
	at := func(y, x int) int { return ((n*w.InHeight+y-w.PadTop)*w.InWidth + x - w.PadLeft) * w.InStride }
	last := at((y+rows/w.OutWidth-1)*w.StrideHeight+(w.KernelHeight-1)*w.DilationHeight, (w.OutWidth-1)*w.StrideWidth)
	return in[at(y*w.StrideHeight, 0)+channel : last+channel+f.run]
}

// copyBand copies to a band the lines from the first that output line y of image n sees.
func copyBand[T byte | float32](f *feed, band, in []T, n, y, width, height int, pad T) {
	w := &f.window
	left := min(max(w.PadLeft, 0), width)
	from := max(-w.PadLeft, 0)
	inside := max(min(width-left, w.InWidth-from), 0)
	for line := range height {
		row := band[line*width*f.inputs:][:width*f.inputs]
		iy := y*w.StrideHeight - w.PadTop + line
		if iy < 0 || iy >= w.InHeight || inside == 0 {
			fill(row, pad)
			continue
		}
		fill(row[:left*f.inputs], pad)
		fill(row[(left+inside)*f.inputs:], pad)
		row = row[left*f.inputs:][:inside*f.inputs]
		source := ((n*w.InHeight+iy)*w.InWidth + from) * w.InStride
		if f.inputs == w.InStride {
			copy(row, in[source:])
			continue
		}
		for len(row) > 0 {
			copy(row[:f.inputs], in[source:])
			row = row[f.inputs:]
			source += w.InStride
		}
	}
}

// split divides a matrix product into the pieces of the work: a few lines of the output times one panel of columns.
// There are so many of them that they can be shared evenly; what consecutive ones have in common is put together again
// by parts.
type split struct {
	feed    *feed
	groups  int
	panels  int  // of a group
	lines   int  // of a piece
	rows    int  // pieces of all lines
	byPanel bool // pieces of a panel follow each other, not pieces of the same lines
}

func newSplit(f *feed, groups, panels int) split {
	const want = 16 * 64 // pieces, if there are so many lines
	lines := f.window.Batch * f.window.OutHeight
	s := split{feed: f, groups: groups, panels: panels}
	s.lines = min(max(lines*groups*panels/want, 1), f.lines)
	s.rows = divideUp(lines, s.lines)
	s.byPanel = lines <= f.lines
	return s
}

func (s *split) units() int { return s.groups * s.rows * s.panels }

// grain is how many pieces make a rectangle, counted from the first: all lines of a panel, or all panels of some lines.
func (s *split) grain() int {
	if s.byPanel {
		return s.rows
	}
	return s.panels
}

// part is consecutive rows of one image times consecutive panels.
type part struct {
	group                 int
	first, rows           int // output pixels
	firstPanel, lastPanel int
}

// parts goes through the pieces [start, end), as few parts as possible.
type parts struct {
	split      *split
	start, end int

	// what is left of the rectangle in progress
	line, lastLine        int
	group                 int
	firstPanel, lastPanel int
}

func (b *parts) next() (part, bool) {
	if b.line == b.lastLine && !b.rectangle() {
		return part{}, false
	}
	w := &b.split.feed.window
	lines := min(b.lastLine-b.line, w.OutHeight-b.line%w.OutHeight)
	lines = divideUp(lines, divideUp(lines, b.split.feed.lines))
	next := part{b.group, b.line * w.OutWidth, lines * w.OutWidth, b.firstPanel, b.lastPanel}
	b.line += lines
	return next, true
}

// rectangle takes as many pieces as are lines times panels: the rest of a row of pieces, or whole ones.
func (b *parts) rectangle() bool {
	if b.start >= b.end {
		return false
	}
	s := b.split
	length := s.panels // of a row of pieces
	if s.byPanel {
		length = s.rows
	}
	group := s.rows * s.panels
	b.group = b.start / group
	at := b.start % group
	left := min(b.end-b.start, group-at)
	row, from := at/length, at%length
	lastRow, to := row+1, min(length, from+left)
	if from == 0 && left >= length {
		lastRow = row + left/length
	}
	b.start += (lastRow-row-1)*length + to - from
	if s.byPanel {
		row, lastRow, from, to = from, to, row, lastRow
	}
	b.firstPanel, b.lastPanel = from, to
	b.line = row * s.lines
	b.lastLine = min(lastRow*s.lines, s.feed.window.Batch*s.feed.window.OutHeight)
	return true
}

// evenTiles divides rows into as few tiles of at most mr as possible, all of size or size+1 rows: the first larger ones
// have one more.
func evenTiles(rows, mr int) (size, larger int) {
	tiles := divideUp(rows, mr)
	return rows / tiles, rows % tiles
}
