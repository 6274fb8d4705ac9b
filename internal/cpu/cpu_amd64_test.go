//go:build !noasm

package cpu

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// Every condition of a tier is necessary: without it the tier is not offered, and nobody asks for more than may be asked.
func TestTiersOfFeatures(t *testing.T) {
	const tiles = 1<<17 | 1<<18
	all := amd64Features{avx2: true, avxVNNI: true, avx512VNNI: true, avx512VBMI: true, amx: true, xgetbv: true}
	with := func(change func(f *amd64Features)) amd64Features {
		f := all
		change(&f)
		return f
	}
	refused := errors.New("refused")
	for _, tc := range []struct {
		name     string
		features amd64Features
		xcr0     uint32
		request  error
		want     []Tier
		reason   string // why there is no AMX
		asked    bool   // for permission
	}{
		{"everything", all, tiles | 0xe7, nil, []Tier{AMX, AVX512VNNI, AVXVNNI, AVX2}, "", true},
		{"permission refused", all, tiles, refused, []Tier{AVX512VNNI, AVXVNNI, AVX2}, "refused", true},
		{"no tile data in XCR0", all, 1 << 17, nil, []Tier{AVX512VNNI, AVXVNNI, AVX2}, "XCR0", false},
		{"no tile configuration in XCR0", all, 1 << 18, nil, []Tier{AVX512VNNI, AVXVNNI, AVX2}, "XCR0", false},
		{"no XGETBV", with(func(f *amd64Features) { f.xgetbv = false }), tiles, nil, []Tier{AVX512VNNI, AVXVNNI, AVX2}, "XCR0", false},
		{"no AMX", with(func(f *amd64Features) { f.amx = false }), tiles, nil, []Tier{AVX512VNNI, AVXVNNI, AVX2}, "no AMX-INT8", false},
		{"AMX without AVX-512", with(func(f *amd64Features) { f.avx512VNNI = false }), tiles, nil, []Tier{AVXVNNI, AVX2}, "AVX-512 VNNI", false},
		{"no AVX-VNNI", with(func(f *amd64Features) { f.avxVNNI = false }), tiles, nil, []Tier{AMX, AVX512VNNI, AVX2}, "", true},
		{"no AVX2 or FMA", with(func(f *amd64Features) { f.avx2 = false }), tiles, nil, nil, "AVX-512 VNNI", false},
		{"nothing", amd64Features{}, 0, nil, nil, "AVX-512 VNNI", false},
	} {
		asked := false
		xcr0 := func() uint32 {
			if !tc.features.xgetbv {
				t.Errorf("%s: XGETBV would fault", tc.name)
			}
			return tc.xcr0
		}
		var c capabilities
		tc.features.choose(&c, xcr0, func() error { asked = true; return tc.request })
		if !slices.Equal(c.tiers, tc.want) {
			t.Errorf("%s: tiers %v, want %v", tc.name, c.tiers, tc.want)
		}
		if (c.amx == nil) != (tc.reason == "") || c.amx != nil && !strings.Contains(c.amx.Error(), tc.reason) {
			t.Errorf("%s: no AMX because %v, want %q", tc.name, c.amx, tc.reason)
		}
		if asked != tc.asked {
			t.Errorf("%s: asked for permission %v, want %v", tc.name, asked, tc.asked)
		}
		if want := tc.features.avx2 && tc.features.avx512VNNI && tc.features.avx512VBMI; c.bytePermutations != want {
			t.Errorf("%s: permutations of bytes %v, want %v", tc.name, c.bytePermutations, want)
		}
	}
}
