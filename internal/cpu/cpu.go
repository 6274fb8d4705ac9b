// Package cpu finds out what the processor can do and chooses the tier of kernels to run.
//
// A tier is a set of instructions that one set of kernels is written for. Tiers of one architecture are ordered: a
// machine that has one has all the lower ones. Integer results are the same at every tier.
package cpu

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Tier is a set of instructions. Within one architecture a higher tier includes the lower ones.
type Tier uint8

// The tiers, lowest first in each architecture. Generic is plain Go and exists everywhere.
const (
	Generic Tier = iota

	AVX2       // amd64: 256-bit integer vectors, FMA
	AVXVNNI    // amd64: VPDPBUSD in its VEX form, 256 bits
	AVX512VNNI // amd64: AVX-512 F, BW, DQ, VL and VNNI
	AMX        // amd64: tiles with int8 products, granted by the operating system

	NEON    // arm64: Advanced SIMD, part of every arm64
	DotProd // arm64: SDOT and UDOT
	I8MM    // arm64: SMMLA, UMMLA and USMMLA

	tierCount
)

var tierNames = [tierCount]string{
	Generic: "generic",
	AVX2:    "avx2", AVXVNNI: "avxvnni", AVX512VNNI: "avx512vnni", AMX: "amx",
	NEON: "neon", DotProd: "dotprod", I8MM: "i8mm",
}

// String is the name that OCTET_CPU takes.
func (t Tier) String() string {
	if t >= tierCount {
		return fmt.Sprintf("tier(%d)", uint8(t))
	}
	return tierNames[t]
}

// Variable is the environment variable that forces a lower tier.
const Variable = "OCTET_CPU"

// Includes reports whether a machine at tier t can run kernels of tier other. AVX-512 VNNI does not imply AVX-VNNI:
// the VEX form of VPDPBUSD is a feature of its own.
func (t Tier) Includes(other Tier) bool {
	switch {
	case other == Generic || other == t:
		return true
	case t <= AMX:
		return other < t && other != AVXVNNI
	default:
		return other >= NEON && other < t
	}
}

// capabilities is what was found on this machine: tiers ordered from best to Generic.
type capabilities struct {
	features         []string
	tiers            []Tier
	bytePermutations bool
	amx              error // why there is no AMX; nil if it was granted
}

var detect = sync.OnceValue(func() capabilities {
	c := detectArchitecture()
	c.tiers = append(c.tiers, Generic)
	return c
})

// Available lists the tiers this machine can run, best first; Generic is always the last. The first call asks the
// operating system for AMX where the processor has it.
func Available() []Tier { return slices.Clone(detect().tiers) }

// BytePermutations reports whether the machine has AVX-512 VBMI, which permutes bytes across a whole vector. It is no
// tier: some machines of a tier have it and some have not.
func BytePermutations() bool { return detect().bytePermutations }

// Choose is the tier to use: the best available or, if it is set, the one that the environment variable OCTET_CPU
// names. If that names a tier which is unknown or which this machine lacks, the error lists the valid names and the
// tier is Generic, which is always safe.
func Choose() (Tier, error) { return choose(os.Getenv(Variable), detect().tiers) }

func choose(name string, available []Tier) (Tier, error) {
	if name == "" {
		return available[0], nil
	}
	names := make([]string, len(available))
	for i, t := range available {
		if names[i] = t.String(); names[i] == name {
			return t, nil
		}
	}
	problem := "is no tier that Octet knows"
	if slices.Contains(tierNames[:], name) {
		problem = "is not available on this machine"
	}
	return Generic, fmt.Errorf("%s=%s %s: unset it or use one of %s", Variable, name, problem, strings.Join(names, ", "))
}

// Description says what was found, for octet version and bug reports.
type Description struct {
	Architecture string   // GOARCH
	Features     []string // instruction sets the kernels could use, as the processor and operating system report them
	Tiers        []string // what OCTET_CPU may be, best first
	Tier         string   // the tier in use
	Forced       bool     // the tier was chosen by OCTET_CPU
	AMX          bool     // AMX was granted by the operating system
	AMXReason    string   // why not, if it was not
}

// Describe says what was found. The error is Choose's.
func Describe() (Description, error) {
	c := detect()
	tier, err := choose(os.Getenv(Variable), c.tiers)
	d := Description{
		Architecture: runtime.GOARCH,
		Features:     slices.Clone(c.features),
		Tier:         tier.String(),
		Forced:       os.Getenv(Variable) != "" && err == nil,
		AMX:          c.amx == nil,
	}
	for _, t := range c.tiers {
		d.Tiers = append(d.Tiers, t.String())
	}
	if c.amx != nil {
		d.AMXReason = c.amx.Error()
	}
	return d, err
}

var errNotAMD64 = errors.New("AMX exists on amd64 only")
