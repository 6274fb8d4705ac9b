package flow

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Comparison adds up how far the values of one output are from those of a reference, over any number of samples.
type Comparison struct {
	Name string
	// Elements is how many values were compared, Rows how many rows of classes, and Agreeing in how many of them the
	// largest value is at the same place in both.
	Elements, Rows, Agreeing int64

	dot, reference, other float64 // Σ e·a, Σ e², Σ a²
	noise                 float64 // Σ (e − a)²
}

// Add compares one sample: the values of a tensor of the given shape with those of the reference.
func (c *Comparison) Add(reference, values []float32, shape []int) error {
	if len(reference) != len(values) {
		return fmt.Errorf("output %q has %d values, its reference %d", c.Name, len(values), len(reference))
	}
	for i, v := range values {
		e, a := float64(reference[i]), float64(v)
		c.dot += float64(e * a)
		c.reference += float64(e * e)
		c.other += float64(a * a)
		c.noise += float64((e - a) * (e - a))
	}
	c.Elements += int64(len(values))
	classes := 1
	if len(shape) > 0 {
		classes = shape[len(shape)-1]
	}
	if len(shape) < 2 { // MACE calls the accuracy of a vector 1
		c.Rows++
		c.Agreeing++
		return nil
	}
	for at := 0; at+classes <= len(values) && classes > 0; at += classes {
		c.Rows++
		if largest(reference[at:at+classes]) == largest(values[at:at+classes]) {
			c.Agreeing++
		}
	}
	return nil
}

// largest is the place of the largest value, the first of equals; a NaN counts as larger than everything, as in numpy.
func largest(values []float32) int {
	best := 0
	for i, v := range values {
		if values[best] != values[best] {
			return best
		}
		if v > values[best] || v != v {
			best = i
		}
	}
	return best
}

// Similarity is the cosine of the angle between both vectors of values: 1 if both are all zeros, 0 if one is.
func (c *Comparison) Similarity() float64 {
	norm := math.Sqrt(c.reference) * math.Sqrt(c.other)
	switch {
	case c.reference == 0 && c.other == 0:
		return 1
	case norm == 0:
		return 0
	}
	return c.dot / norm
}

// SQNR is MACE's signal-to-noise ratio, not in dB: Σe² / (Σ(e−a)² + 1e-15).
func (c *Comparison) SQNR() float64 { return c.reference / (c.noise + 1e-15) }

// Decibels is 10·log10(Σe² / Σ(e−a)²); +Inf where both are equal.
func (c *Comparison) Decibels() float64 {
	if c.noise == 0 {
		return math.Inf(1)
	}
	return 10 * math.Log10(c.reference/c.noise)
}

// PixelAccuracy is the share of rows whose largest value is at the same place in both: agreement of the first answer
// for a classifier.
func (c *Comparison) PixelAccuracy() float64 {
	if c.Rows == 0 {
		return 1
	}
	return float64(c.Agreeing) / float64(c.Rows)
}

// Passed reports whether the similarity is above a threshold; NaN never is.
func (c *Comparison) Passed(threshold float64) bool { return c.Similarity() > threshold }

// WriteLine writes MACE's line about an output. platform is the framework of the reference.
func (c *Comparison) WriteLine(w io.Writer, platform string) {
	fmt.Fprintf(w, "%s MACE VS %s similarity: %s , sqnr: %s , pixel_accuracy: %s\n", c.Name, strings.ToUpper(platform),
		pythonFloat(c.Similarity()), pythonFloat(c.SQNR()), pythonFloat(c.PixelAccuracy()))
}

// WriteDetails writes what MACE's line does not say.
func (c *Comparison) WriteDetails(w io.Writer) {
	fmt.Fprintf(w, "%s: SQNR %s; first answer agrees in %d of %d (%.2f %%)\n", c.Name, decibels(c.Decibels(), 2), c.Agreeing, c.Rows, 100*c.PixelAccuracy())
}

// decibels is a ratio for people, with some digits behind the point.
func decibels(db float64, digits int) string {
	switch {
	case math.IsInf(db, 1):
		return "equal"
	case math.IsNaN(db):
		return "not a number"
	}
	return strconv.FormatFloat(db, 'f', digits, 64) + " dB"
}

// Block is a message in stars, as MACE prints whether validation passed.
func Block(message string) string {
	width := 10 + len(message) + 10
	stars := strings.Repeat("*", width)
	return stars + "\n" + strings.Repeat(" ", 10) + message + strings.Repeat(" ", 10) + "\n" + stars + "\n"
}

// pythonFloat is a number as Python's str writes it.
func pythonFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64)), "+")
	}
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
