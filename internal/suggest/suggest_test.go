package suggest

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"conv1", "conv2", "conv10/weights", "relu", "softmax", ""}
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"conv1", []string{"conv1", "conv2", "conv10/weights"}},
		{"Relu", []string{"relu"}},
		{"sotfmax", []string{"softmax"}},
		{"wieghts", []string{"conv10/weights"}},
		{"completely different", nil},
	} {
		if got := Nearest(tc.name, known, 3); !slices.Equal(got, tc.want) {
			t.Errorf("Nearest(%q) = %q, want %q", tc.name, got, tc.want)
		}
	}
	if got := DidYouMean("softmx", known); got != ` (did you mean "softmax"?)` {
		t.Errorf("DidYouMean = %q", got)
	}
	if got := DidYouMean("zzzzzz", known); got != "" {
		t.Errorf("DidYouMean = %q, want nothing", got)
	}
}
