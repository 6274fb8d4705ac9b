//go:build amd64 && !noasm

package cpu

import (
	"errors"

	xcpu "golang.org/x/sys/cpu"
)

// xgetbv0 reads the low half of extended control register 0: which register state the operating system saves.
// It may be called only where CPUID says OSXSAVE.
func xgetbv0() uint32

func detectArchitecture() capabilities {
	var c capabilities
	x := &xcpu.X86
	avx512 := x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"sse4.1", x.HasSSE41}, {"avx2", x.HasAVX2}, {"fma", x.HasFMA}, {"avxvnni", x.HasAVXVNNI},
		{"avx512f", x.HasAVX512F}, {"avx512bw", x.HasAVX512BW}, {"avx512dq", x.HasAVX512DQ}, {"avx512vl", x.HasAVX512VL},
		{"avx512vbmi", x.HasAVX512VBMI}, {"avx512vnni", x.HasAVX512VNNI}, {"avx512bf16", x.HasAVX512BF16},
		{"amx-tile", x.HasAMXTile}, {"amx-int8", x.HasAMXInt8}, {"amx-bf16", x.HasAMXBF16},
	} {
		if f.has {
			c.features = append(c.features, f.name)
		}
	}
	f := amd64Features{avx2: x.HasAVX2 && x.HasFMA, avxVNNI: x.HasAVXVNNI, avx512VNNI: avx512 && x.HasAVX512VNNI,
		avx512VBMI: x.HasAVX512VBMI, amx: x.HasAMXTile && x.HasAMXInt8, xgetbv: x.HasOSXSAVE}
	f.choose(&c, xgetbv0, requestAMX)
	return c
}

// amd64Features is what the processor has and, but for AMX, the operating system saves: package x/sys/cpu looks at XCR0
// for vectors, not for tiles.
type amd64Features struct {
	avx2       bool // and FMA
	avxVNNI    bool
	avx512VNNI bool // and F, BW, DQ and VL
	avx512VBMI bool
	amx        bool // tiles and their int8 products
	xgetbv     bool
}

// choose fills in the tiers. xcr0 is called only if it may be, request only if nothing else is missing for AMX.
func (f *amd64Features) choose(c *capabilities, xcr0 func() uint32, request func() error) {
	hasAVX512 := f.avx2 && f.avx512VNNI
	if !hasAVX512 {
		c.amx = errors.New("the AMX kernels also need AVX-512 VNNI, which the processor lacks")
	} else if c.amx = f.permitted(xcr0, request); c.amx == nil {
		c.tiers = append(c.tiers, AMX)
	}
	c.bytePermutations = hasAVX512 && f.avx512VBMI
	if hasAVX512 {
		c.tiers = append(c.tiers, AVX512VNNI)
	}
	if f.avx2 && f.avxVNNI {
		c.tiers = append(c.tiers, AVXVNNI)
	}
	if f.avx2 {
		c.tiers = append(c.tiers, AVX2)
	}
}

// permitted reports why AMX cannot be used, or nil. Nothing is tried: an instruction that faults cannot be recovered from.
func (f *amd64Features) permitted(xcr0 func() uint32, request func() error) error {
	if !f.amx {
		return errors.New("the processor has no AMX-INT8")
	}
	const tileState = 1<<17 | 1<<18 // XTILECFG and XTILEDATA
	if !f.xgetbv || xcr0()&tileState != tileState {
		return errors.New("the operating system does not save AMX tiles (XCR0 bits 17 and 18)")
	}
	return request()
}
