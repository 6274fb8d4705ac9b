// Package suggest finds what somebody probably meant: the known names nearest to a mistyped one.
package suggest

import (
	"fmt"
	"slices"
	"strings"
)

// Nearest returns up to limit known names that resemble name, best first: those that contain it or are contained in
// it, those a few edits away, and those with a part that is one or two edits away, regardless of case.
func Nearest(name string, known []string, limit int) []string {
	type scored struct {
		name  string
		score int
	}
	var found []scored
	want := strings.ToLower(name)
	for _, k := range slices.Compact(slices.Sorted(slices.Values(known))) {
		have := strings.ToLower(k)
		d, near := distance(want, have), max(2, len(want)/3)
		if want != "" && have != "" && (strings.Contains(have, want) || strings.Contains(want, have)) {
			d = min(d, 2)
		} else if within := distanceWithin(want, have); within <= min(2, len(want)/3) {
			d, near = min(d, 2+within), max(near, 2+within)
		}
		if d <= near {
			found = append(found, scored{k, d})
		}
	}
	slices.SortStableFunc(found, func(a, b scored) int { return a.score - b.score })
	var names []string
	for _, f := range found[:min(limit, len(found))] {
		names = append(names, f.name)
	}
	return names
}

// DidYouMean is a sentence with the nearest names, starting with a space, or "" if nothing is near.
func DidYouMean(name string, known []string) string {
	near := Nearest(name, known, 3)
	if len(near) == 0 {
		return ""
	}
	for i, n := range near {
		near[i] = fmt.Sprintf("%q", n)
	}
	return " (did you mean " + strings.Join(near, " or ") + "?)"
}

// maxCompared bounds the work for absurdly long names.
const maxCompared = 200

// distance is the Levenshtein distance of the first maxCompared bytes.
func distance(a, b string) int {
	b = b[:min(len(b), maxCompared)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	return edits(a, b, row)[len(b)]
}

// distanceWithin is the least distance of a from any part of b.
func distanceWithin(a, b string) int {
	b = b[:min(len(b), maxCompared)]
	return slices.Min(edits(a, b, make([]int, len(b)+1)))
}

// edits goes on from row, how many edits lead from nothing to the beginnings of b, to those that lead from a.
func edits(a, b string, row []int) []int {
	a = a[:min(len(a), maxCompared)]
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row
}
