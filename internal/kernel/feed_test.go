package kernel

import "testing"

// Pieces that a kernel wants to have done together are a rectangle: all lines of one panel, or all panels of some lines.
func TestGrainsAreRectangles(t *testing.T) {
	shapes := append(convCases(),
		newConvCase("", 1, 49, 1, 64, 512, 1, 1, 1, 1, 1, 1, 1, [4]int{}),
		newConvCase("", 2, 56, 56, 8, 200, 1, 3, 3, 1, 1, 1, 1, [4]int{1, 1, 1, 1}))
	forEachTier(t, func(t *testing.T, s Set) {
		byPanel, byLines := 0, 0
		for _, shape := range shapes {
			f := shape.filter
			k := ConvInt8{Weights: s.PackInt8(Int8Weights{f, make([]byte, f.Outputs*f.depth()), true, nil}), Window: shape.window}
			p := k.product()
			split := p.split()
			units, grain := k.Units(), k.Grain()
			if units == 0 {
				continue
			}
			if grain < 1 || units%grain != 0 {
				t.Fatalf("%s: %d pieces in groups of %d", shape.name, units, grain)
			}
			for start := 0; start < units; start += grain {
				pixels := 0
				all := parts{split: &split, start: start, end: start + grain}
				for b, ok := all.next(); ok; b, ok = all.next() {
					pixels += b.rows
					switch {
					case split.byPanel && b.lastPanel-b.firstPanel == 1:
						byPanel++
					case !split.byPanel && b.firstPanel == 0 && b.lastPanel == split.panels:
						byLines++
					default:
						t.Fatalf("%s: a group has the panels %d to %d of %d", shape.name, b.firstPanel, b.lastPanel, split.panels)
					}
				}
				if split.byPanel && pixels != shape.window.pixels() {
					t.Fatalf("%s: a panel has %d of %d rows", shape.name, pixels, shape.window.pixels())
				}
			}
		}
		if byPanel == 0 || byLines == 0 {
			t.Errorf("%d groups by panel, %d by lines: both are to be tested", byPanel, byLines)
		}
	})
}

// Large pages change no memory, wherever it begins and ends.
func TestHugePagesKeepMemory(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 18, 1<<19 + 3, 3 << 19} {
		memory := make([]uint64, n)
		for i := range memory {
			memory[i] = uint64(i)
		}
		hugePages(memory[min(1, n):])
		for i, v := range memory {
			if v != uint64(i) {
				t.Fatalf("word %d of %d is %d", i, n, v)
			}
		}
	}
}
