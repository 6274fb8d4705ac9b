package calibrate

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
)

// The range file is JSON that people can read and edit. A value written as {"min": -1, "max": 6} alone is a bare
// range; one with "octaves" has its full statistics and adds up with others.
const (
	rangeFormat  = "octet ranges"
	rangeVersion = 1
	// maxRangeFile bounds what is read; a network with 1000 values needs about 20 MB.
	maxRangeFile = 512 << 20
)

type rangeFile struct {
	Format  string                `json:"format"`
	Version int                   `json:"version"`
	Samples []string              `json:"samples,omitempty"`
	Values  map[string]*valueFile `json:"values"`
}

type valueFile struct {
	Min     float32 `json:"min"`
	Max     float32 `json:"max"`
	Count   uint64  `json:"count,omitempty"`
	Bad     uint64  `json:"nan_or_infinite,omitempty"`
	Small   uint64  `json:"near_zero,omitempty"`
	Top     int     `json:"top_octave,omitempty"`
	Samples int64   `json:"samples,omitempty"`
	SumMin  string  `json:"sum_min,omitempty"`
	SumMax  string  `json:"sum_max,omitempty"`
	// Octaves maps a sign and biased float32 exponent ("+129") to the counts of its bins, as base64 of varints.
	Octaves map[string]string `json:"octaves,omitempty"`
}

// Write saves the ranges as JSON; the same ranges give the same bytes.
func (r *Ranges) Write(w io.Writer) error {
	f := rangeFile{Format: rangeFormat, Version: rangeVersion, Samples: r.Samples, Values: map[string]*valueFile{}}
	for name, s := range r.Values {
		v := &valueFile{Min: s.Min, Max: s.Max}
		if h := s.Histogram; h != nil {
			v.Min, v.Max = h.Extremes()
			v.Count, v.Bad, v.Small, v.Top, v.Samples = h.count, h.bad, h.small, h.top, s.samples
			v.SumMin, v.SumMax = s.sumMin.String(), s.sumMax.String()
			v.Octaves = map[string]string{}
			for sign, mark := range []string{"+", "-"} {
				for e, page := range h.pages[sign] {
					if page != nil {
						v.Octaves[mark+strconv.Itoa(e)] = encodePage(page)
					}
				}
			}
		}
		f.Values[name] = v
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(f)
}

func encodePage(page []uint64) string {
	var b []byte
	for _, n := range page {
		b = binary.AppendUvarint(b, n)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func decodePage(text string) ([]uint64, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	page := make([]uint64, binsPerOctave)
	for i := range page {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return nil, fmt.Errorf("has fewer than %d counts", binsPerOctave)
		}
		page[i] = n
		b = b[size:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("has more than %d counts", binsPerOctave)
	}
	return page, nil
}

// Read loads ranges written by Write or by hand. All problems are reported at once, by the names of the values.
func Read(r io.Reader) (*Ranges, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRangeFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxRangeFile {
		return nil, fmt.Errorf("range file is larger than %d MiB", maxRangeFile>>20)
	}
	var f rangeFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a range file (JSON as written by --ranges-out): %w", err)
	}
	if f.Format != rangeFormat || f.Version != rangeVersion {
		return nil, fmt.Errorf(`not a range file: wants "format": %q and "version": %d, has %q and %d`, rangeFormat, rangeVersion, f.Format, f.Version)
	}
	slices.Sort(f.Samples)
	ranges := &Ranges{Values: map[string]*Statistics{}, Samples: slices.Compact(f.Samples)}
	var problems []error
	for name, v := range f.Values {
		s, err := v.statistics()
		if err != nil {
			problems = append(problems, fmt.Errorf("value %q: %w", name, err))
			continue
		}
		ranges.Values[name] = s
	}
	slices.SortFunc(problems, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
	return ranges, errors.Join(problems...)
}

func (v *valueFile) statistics() (*Statistics, error) {
	if v == nil {
		return nil, fmt.Errorf("has no range")
	}
	if v.Min > v.Max {
		return nil, fmt.Errorf("min %g is above max %g", v.Min, v.Max)
	}
	s := &Statistics{Min: v.Min, Max: v.Max}
	if v.Octaves == nil {
		return s, nil
	}
	if v.Top < 0 || v.Top > 254 {
		return nil, fmt.Errorf("top_octave %d is outside 0…254", v.Top)
	}
	h := &Histogram{count: v.Count, bad: v.Bad, small: v.Small, min: v.Min, max: v.Max, top: v.Top}
	total := v.Small
	for key, text := range v.Octaves {
		e, err := strconv.Atoi(key)
		if err != nil || (key[0] != '+' && key[0] != '-') {
			return nil, fmt.Errorf("octave %q is not a sign and an exponent", key)
		}
		sign := 0
		if key[0] == '-' {
			sign, e = 1, -e
		}
		if e < 1 || e > v.Top || e <= v.Top-maxOctaves {
			return nil, fmt.Errorf("octave %q does not belong to a histogram whose top is %d", key, v.Top)
		}
		page, err := decodePage(text)
		if err != nil {
			return nil, fmt.Errorf("octave %q: %w", key, err)
		}
		h.pages[sign][e] = page
		for _, n := range page {
			if n > math.MaxUint64-total {
				return nil, fmt.Errorf("octave %q: counts overflow", key)
			}
			total += n
		}
	}
	if total != h.count {
		return nil, fmt.Errorf("bins hold %d values but count says %d", total, h.count)
	}
	s.Histogram, s.samples = h, v.Samples
	if v.Samples < 0 {
		return nil, fmt.Errorf("samples is negative")
	}
	for _, sum := range []struct {
		text string
		into *big.Int
	}{{v.SumMin, &s.sumMin}, {v.SumMax, &s.sumMax}} {
		if len(sum.text) > 200 {
			return nil, fmt.Errorf("a sum has %d digits", len(sum.text))
		}
		if _, ok := sum.into.SetString(sum.text, 10); !ok && sum.text != "" {
			return nil, fmt.Errorf("%q is not an integer sum", sum.text)
		}
	}
	return s, nil
}
