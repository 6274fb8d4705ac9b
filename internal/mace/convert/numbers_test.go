package convert

import (
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
)

// parse reads a graph in text form and infers its types.
func parse(t *testing.T, text string) *graph.Graph {
	t.Helper()
	g, err := graph.Parse(text, op.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := op.Infer(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGridsByHand compares grids with values computed by hand from the formulas of MACE's quantize_util.
func TestGridsByHand(t *testing.T) {
	for _, tc := range []struct {
		schema    string
		low, high float64
		want      Info
	}{
		{"", -1, 1, Info{Min: -1.003921568627451, Max: 0.996078431372549, Scale: 2. / 255, ZeroPoint: 128}}, // 127.5 to even
		{"", 0, 255, Info{0, 255, 1, 0}},
		{"", 5, 10, Info{0, 10, 10. / 255, 0}}, // zero is always on the grid
		{"", -10, -5, Info{-10, 0, 10. / 255, 255}},
		{"", -3, 252, Info{-3, 252, 1, 3}},
		{"", 0, 0, Info{0, 255, 1, 0}}, // MACE divides by zero
		{"", -1e-7, 1e-7, Info{-128 * (2e-7 / 255), 127 * (2e-7 / 255), 2e-7 / 255, 128}},
		{"int8", -1, 1, Info{-1, 1, 2. / 255, 0}},      // −0.5 truncated
		{"int8", 0, 255, Info{0, 255, 1, -128}},        //
		{"int8", -5, 15, Info{-5, 15, 20. / 255, -64}}, // 63.75 − 128 = −64.25, truncated
		{"mace_apu_16bit_per_tensor", -1, 4, Info{-4, 4, 4. / 32768, 0}},
		{"mace_htp_u16a_s8w", -1, 1, Info{-32768 * (2. / 65535), 32767 * (2. / 65535), 2. / 65535, 32768}},
		{"mace_htp_u16a_s8w", 0, 65535, Info{0, 65535, 1, 0}},
	} {
		if got := (numbers{schema: tc.schema}).activation(Range{tc.low, tc.high}).info(); got != tc.want {
			t.Errorf("schema %q, range %v to %v: %+v, want %+v", tc.schema, tc.low, tc.high, got, tc.want)
		}
	}
	if got, want := (numbers{exact: true}).activation(Range{-1e-7, 1e-7}).info(), (Info{0, 255 * (2e-7 / 255), 2e-7 / 255, 0}); got != want {
		t.Errorf("exactly: %+v, want %+v", got, want)
	}
}
