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
	hasAVX2 := x.HasAVX2 && x.HasFMA
	hasAVX512 := hasAVX2 && avx512 && x.HasAVX512VNNI
	if !hasAVX512 {
		c.amx = errors.New("the AMX kernels also need AVX-512 VNNI, which the processor lacks")
	} else if c.amx = amx(x.HasAMXTile && x.HasAMXInt8, x.HasOSXSAVE); c.amx == nil {
		c.tiers = append(c.tiers, AMX)
	}
	c.bytePermutations = hasAVX512 && x.HasAVX512VBMI
	if hasAVX512 {
		c.tiers = append(c.tiers, AVX512VNNI)
	}
	if hasAVX2 && x.HasAVXVNNI {
		c.tiers = append(c.tiers, AVXVNNI)
	}
	if hasAVX2 {
		c.tiers = append(c.tiers, AVX2)
	}
	return c
}

// amx reports why AMX cannot be used, or nil. Nothing is tried: an instruction that faults cannot be recovered from.
func amx(inProcessor, hasXGETBV bool) error {
	if !inProcessor {
		return errors.New("the processor has no AMX-INT8")
	}
	const tileState = 1<<17 | 1<<18 // XTILECFG and XTILEDATA
	if !hasXGETBV || xgetbv0()&tileState != tileState {
		return errors.New("the operating system does not save AMX tiles (XCR0 bits 17 and 18)")
	}
	return requestAMX()
}
