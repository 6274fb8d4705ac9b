package stat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Format is how numbers of a range file are written.
type Format uint8

const (
	// Exact writes the shortest decimal that reads back as the same number.
	Exact Format = iota
	// MACE writes six decimals, as MACE's quantize_stat.py does.
	MACE
)

// WriteRanges writes a range file.
func WriteRanges(w io.Writer, ranges []Range, f Format) error {
	buffered := bufio.NewWriter(w)
	number := func(v float64) string {
		if f == MACE {
			return strconv.FormatFloat(v, 'f', 6, 64)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for _, r := range ranges {
		fmt.Fprintf(buffered, "%s@@%s,%s\n", r.Name, number(r.Min), number(r.Max))
	}
	return buffered.Flush()
}

// ReadRanges reads a range file, or a log line's part after the prefix: name@@min,max, anything after a second @@ being
// ignored. Empty lines are passed over; of a name that occurs twice the last counts, with a warning. All lines that
// cannot be read are reported at once.
func ReadRanges(r io.Reader, name string) (ranges []Range, warnings []string, err error) {
	lines := bufio.NewReaderSize(r, 1<<16)
	if err := checkEncoding(lines, name); err != nil {
		return nil, nil, err
	}
	var problems []error
	place := map[string]int{}
	for number := 1; ; number++ {
		line, err := wholeLine(lines)
		if text := bytes.TrimSpace(line); len(text) > 0 {
			parsed, problem := parseLine(text)
			switch at, twice := place[parsed.Name]; {
			case problem != nil:
				if problems = append(problems, fmt.Errorf("%s:%d: %w", name, number, problem)); len(problems) == 20 {
					return nil, nil, errors.Join(append(problems, fmt.Errorf("%s: more problems may follow", name))...)
				}
			case twice:
				warnings = append(warnings, fmt.Sprintf("%s:%d: tensor %q has a range already; this one counts", name, number, parsed.Name))
				ranges[at] = parsed
			case len(ranges) == maxTensors:
				return nil, nil, fmt.Errorf("%s:%d: more than %d tensors", name, number, maxTensors)
			default:
				place[parsed.Name] = len(ranges)
				ranges = append(ranges, parsed)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	if len(problems) > 0 {
		return nil, nil, errors.Join(problems...)
	}
	if len(ranges) == 0 {
		return nil, nil, fmt.Errorf("%s has no ranges: make it with octet quantize-stat --log_file range_log > %s", name, name)
	}
	return ranges, warnings, nil
}

func parseLine(text []byte) (Range, error) {
	// A line of a log is welcome too.
	if _, after, ok := bytes.Cut(text, []byte(marker)); ok {
		text = after
	}
	name, rest, ok := strings.Cut(string(text), "@@")
	if !ok || name == "" {
		return Range{}, fmt.Errorf("%s is not name@@min,max", excerpt(text))
	}
	numbers, _, _ := strings.Cut(rest, "@@")
	low, high, err := parseRange([]byte(numbers))
	if err != nil {
		return Range{Name: name}, fmt.Errorf("tensor %q: %w", name, err)
	}
	if low-low != 0 || high-high != 0 || low > high {
		return Range{Name: name}, fmt.Errorf("tensor %q: %v to %v is no range", name, low, high)
	}
	return Range{name, low, high}, nil
}
