// Package stat reduces MACE's range logs to range files.
//
// A float model that is run with --quantize_stat prints one line for every tensor and sample,
//
//	I mace/core/net/serial_net.cc:199] Tensor range @@name@@min,max
//
// or, where the tensor has a range already, @@name@@min,max@@[count,count,…]. Only what follows "Tensor range @@"
// matters; all other output is passed over, and so are codes that colour a terminal. A range file has one line
// name@@min,max for every tensor.
package stat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// marker is what a line of a log must have to be a range.
const marker = "Tensor range @@"

// chunk is how many extremes are kept together. A tensor's extremes grow by chunks, so that nothing is ever copied.
const chunk = 4096

// Log is what a range log says: for every tensor the least and greatest element in each sample. The numbers of a log
// have six significant digits, which a float32 holds exactly enough to find the decimal again.
type Log struct {
	tensors []*tensor // in order of first appearance
	byName  map[string]*tensor
	// Lines is the number of lines with a range, Histograms how many of them carried one.
	Lines, Histograms int
	Warnings          []string
}

type tensor struct {
	name       string
	mins, maxs series
	ignored    int // lines without a finite range
}

// series is a list of numbers in chunks.
type series struct {
	chunks [][]float32
	n      int
}

func (s *series) add(v float32) {
	if s.n%chunk == 0 {
		size := chunk
		if s.n == 0 {
			size = 16 // most logs have few samples
		}
		s.chunks = append(s.chunks, make([]float32, 0, size))
	}
	last := &s.chunks[len(s.chunks)-1]
	*last = append(*last, v)
	s.n++
}

// take empties the series into one slice.
func (s *series) take() []float32 {
	all := make([]float32, 0, s.n)
	for i, c := range s.chunks {
		all = append(all, c...)
		s.chunks[i] = nil
	}
	return all
}

// maxTensors bounds how many names a file may have.
const maxTensors = 1 << 18

// maxLine bounds a line: a histogram of 2048 counts takes 50 kB at most.
const maxLine = 1 << 20

// ReadLog reads a range log. progress, which may be nil, is told how many bytes have been read. Lines with a range that
// cannot be understood are errors, all reported together with their numbers; a log without any range is an error too.
func ReadLog(ctx context.Context, r io.Reader, name string, progress func(bytes int64)) (*Log, error) {
	l := &Log{byName: map[string]*tensor{}}
	lines := bufio.NewReaderSize(r, 1<<18)
	if err := checkEncoding(lines, name); err != nil {
		return nil, err
	}
	var problems []error
	var read int64
	for number := 1; ; number++ {
		if number%4096 == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if progress != nil {
				progress(read)
			}
		}
		line, err := wholeLine(lines)
		read += int64(len(line))
		if len(line) > 0 {
			if problem := l.line(line); problem != nil {
				problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, problem))
				if len(problems) == 20 {
					return nil, errors.Join(append(problems, fmt.Errorf("%s: more problems may follow", name))...)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if l.Lines == 0 {
		return nil, fmt.Errorf("%s has no line with %q, so there is nothing to reduce: make the log with octet run --config FILE.yml --quantize_stat --input_dir DIR > range_log "+
			"(MACE itself needs a float model, quantize: 0, data_type: fp32_fp32, and MACE_LOG_TENSOR_RANGE=1 in the environment of the program that runs)", name, marker)
	}
	for _, t := range l.tensors {
		if t.ignored > 0 {
			l.Warnings = append(l.Warnings, fmt.Sprintf("%s: %d of %d samples have a range that is not finite and are left out", t.name, t.ignored, t.ignored+t.mins.n))
		}
	}
	return l, nil
}

// checkEncoding refuses UTF-16, in which no marker would be found, and passes over the byte order mark of UTF-8, which would
// begin the first name.
func checkEncoding(r *bufio.Reader, name string) error {
	const mark = "\xef\xbb\xbf"
	if start, _ := r.Peek(len(mark)); string(start) == mark {
		_, err := r.Discard(len(mark))
		return err
	}
	if start, _ := r.Peek(2); string(start) == "\xff\xfe" || string(start) == "\xfe\xff" {
		return fmt.Errorf("%s is UTF-16, as > of Windows PowerShell writes it: save it as UTF-8", name)
	}
	return nil
}

// wholeLine is the next line, however long its buffer must be.
func wholeLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(long) > maxLine {
			return nil, fmt.Errorf("the line is longer than %d bytes", maxLine)
		}
		line, err = r.ReadSlice('\n')
		long = append(long, line...)
	}
	return long, err
}

// line adds a line to the log; what is no range is passed over. It may change the line.
func (l *Log) line(line []byte) error {
	_, rest, ok := bytes.Cut(line, []byte(marker))
	if !ok {
		return nil
	}
	name, rest, ok := bytes.Cut(withoutEscapes(rest), []byte("@@"))
	if !ok || len(name) == 0 {
		return fmt.Errorf("%s has no range: wants Tensor range @@name@@min,max", excerpt(line))
	}
	numbers, histogram, hasHistogram := bytes.Cut(rest, []byte("@@"))
	low, high, err := parseRange(numbers)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", name, err)
	}
	if hasHistogram {
		if low, high, err = occupied(histogram, low, high); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		l.Histograms++
	}
	t := l.byName[string(name)]
	if t == nil {
		if len(l.tensors) == maxTensors {
			return fmt.Errorf("more than %d tensors", maxTensors)
		}
		t = &tensor{name: string(name)}
		l.byName[t.name] = t
		l.tensors = append(l.tensors, t)
	}
	l.Lines++
	// Of a tensor of nothing but NaN, MACE prints what its search for extremes began with: a minimum above the maximum.
	if least, greatest := float32(low), float32(high); least-least == 0 && greatest-greatest == 0 && least <= greatest {
		t.mins.add(least)
		t.maxs.add(greatest)
	} else {
		t.ignored++
	}
	return nil
}

// occupied is the part of a range in which a histogram over it has counts. MACE prints the same range, that of an earlier
// calibration, with the histogram of every sample: where a sample's own values lie, only the counts tell.
func occupied(histogram []byte, low, high float64) (from, to float64, err error) {
	inner, ok := bytes.CutPrefix(bytes.TrimSpace(histogram), []byte("["))
	if ok {
		inner, ok = bytes.CutSuffix(inner, []byte("]"))
	}
	if !ok {
		return 0, 0, errors.New("its histogram is cut off")
	}
	bins, first, last := 0, -1, -1
	for more := true; more; bins++ {
		var text []byte
		text, inner, more = bytes.Cut(inner, []byte(","))
		count, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("bin %d of its histogram is %s and not a count", bins, excerpt(text))
		}
		if count > 0 {
			last = bins
			if first < 0 {
				first = bins
			}
		}
	}
	from, to = low, high
	width := (high - low) / float64(bins)
	if first > 0 {
		from = low + float64(float64(first)*width)
	}
	if last >= 0 && last < bins-1 {
		to = low + float64(float64(last+1)*width)
	}
	return from, to, nil
}

// withoutEscapes removes, in place, the sequences that colour a terminal.
func withoutEscapes(text []byte) []byte {
	const escape = 0x1b
	if bytes.IndexByte(text, escape) < 0 {
		return text
	}
	out := text[:0]
	for i := 0; i < len(text); i++ {
		if text[i] != escape {
			out = append(out, text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '[' {
			i += 2
			for i < len(text) && (text[i] < '@' || text[i] > '~') {
				i++
			}
		}
	}
	return out
}

// excerpt is the beginning of a text from a file, quoted.
func excerpt(text []byte) string {
	const shown = 80
	if text = bytes.TrimSpace(text); len(text) > shown {
		return strconv.Quote(string(text[:shown])) + "…"
	}
	return strconv.Quote(string(text))
}

// parseRange reads "min,max".
func parseRange(text []byte) (low, high float64, err error) {
	first, second, ok := bytes.Cut(bytes.TrimSpace(text), []byte(","))
	if !ok {
		return 0, 0, fmt.Errorf("%s is not two numbers with a comma between them", excerpt(text))
	}
	if low, err = parseNumber(first); err != nil {
		return 0, 0, err
	}
	high, err = parseNumber(second)
	return low, high, err
}

func parseNumber(text []byte) (float64, error) {
	text = bytes.TrimSpace(text)
	// C++ libraries write "nan", "-nan", "-nan(ind)".
	if unsigned := bytes.TrimPrefix(text, []byte("-")); bytes.HasPrefix(unsigned, []byte("nan")) {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if errors.Is(err, strconv.ErrRange) {
		return v, nil // an infinity, or 0
	}
	if err != nil {
		return 0, fmt.Errorf("%s is not a number", excerpt(text))
	}
	return v, nil
}

// decimal is the number with the shortest decimal that is v: the one that the log had.
func decimal(v float32) float64 {
	var buffer [32]byte
	d, err := strconv.ParseFloat(string(strconv.AppendFloat(buffer[:0], float64(v), 'g', -1, 32)), 64)
	if err != nil {
		return float64(v)
	}
	return d
}

// Tensors is how many tensors the log has ranges of.
func (l *Log) Tensors() int { return len(l.tensors) }

// FormatNumber writes a number as a C++ stream does by default: six significant digits.
func FormatNumber(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

// WriteLine writes a range as a line of a log, in the form that MACE's own tools read.
func WriteLine(w io.Writer, name string, low, high float32) error {
	_, err := fmt.Fprintf(w, "I octet/run.go:1] %s%s@@%s,%s\n", marker, name, FormatNumber(float64(low)), FormatNumber(float64(high)))
	return err
}

// WriteHistogram writes a range with a histogram as a line of a log.
func WriteHistogram(w io.Writer, name string, low, high float32, counts []int64) error {
	line := fmt.Appendf(nil, "I octet/run.go:1] %s%s@@%s,%s@@[", marker, name, FormatNumber(float64(low)), FormatNumber(float64(high)))
	for i, n := range counts {
		if i > 0 {
			line = append(line, ',')
		}
		line = strconv.AppendInt(line, n, 10)
	}
	_, err := w.Write(append(line, "]\n"...))
	return err
}
