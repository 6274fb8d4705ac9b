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
	// Elements is how many values were compared, Rows how many rows of the last dimension, and Agreeing in how many of them
	// the largest value is at the same place in both.
	Elements, Rows, Agreeing int64
	// Answers and SameAnswers are the same for rows of classes: of the last dimension that is not 1, for an output like
	// [1,1000,1,1]; a vector is one row. They are 0 where there is only one class.
	Answers, SameAnswers int64
	// Varied is whether the reference has different first answers.
	Varied bool
	answer int // the reference's first of all

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
	used := len(shape)
	for used > 0 && shape[used-1] == 1 {
		used--
	}
	if used > 1 || used == 1 && len(shape) == 1 { // [n,1] is a batch of numbers
		classes := shape[used-1]
		for at := 0; at+classes <= len(reference) && classes > 0; at += classes {
			best := largest(reference[at : at+classes])
			if c.Answers == 0 && at == 0 {
				c.answer = best
			}
			c.Varied = c.Varied || best != c.answer
		}
		rows, same := agreeing(reference, values, classes)
		c.Answers, c.SameAnswers = c.Answers+rows, c.SameAnswers+same
	}
	if len(shape) < 2 { // MACE calls the accuracy of a vector 1
		c.Rows++
		c.Agreeing++
		return nil
	}
	rows, same := agreeing(reference, values, shape[len(shape)-1])
	c.Rows, c.Agreeing = c.Rows+rows, c.Agreeing+same
	return nil
}

// agreeing is how many rows of classes there are, and in how many of them the largest value is at the same place in both.
func agreeing(reference, values []float32, classes int) (rows, same int64) {
	for at := 0; at+classes <= len(values) && classes > 0; at += classes {
		rows++
		if largest(reference[at:at+classes]) == largest(values[at:at+classes]) {
			same++
		}
	}
	return rows, same
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

// PixelAccuracy is MACE's: the share of rows of the last dimension whose largest value is at the same place in both.
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
	fmt.Fprintf(w, "%s: SQNR %s", c.Name, decibels(c.Decibels(), 2))
	if c.Answers > 0 {
		fmt.Fprintf(w, "; first answer agrees in %d of %d (%.2f %%)", c.SameAnswers, c.Answers, 100*float64(c.SameAnswers)/float64(c.Answers))
	}
	fmt.Fprintln(w)
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
