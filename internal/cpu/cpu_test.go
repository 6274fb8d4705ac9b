package cpu

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	available := []Tier{AVX512VNNI, AVX2, Generic}
	for _, tc := range []struct {
		name string
		want Tier
		err  string
	}{
		{"", AVX512VNNI, ""},
		{"avx2", AVX2, ""},
		{"generic", Generic, ""},
		{"amx", Generic, "not available on this machine"},
		{"neon", Generic, "not available on this machine"},
		{"AVX2", Generic, "no tier that Octet knows"},
		{"fast", Generic, "use one of avx512vnni, avx2, generic"},
	} {
		got, err := choose(tc.name, available)
		if got != tc.want {
			t.Errorf("%q: %v, want %v", tc.name, got, tc.want)
		}
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%q: error %v, want %q", tc.name, err, tc.err)
		}
	}
}

func TestIncludes(t *testing.T) {
	order := map[Tier][]Tier{
		Generic: {Generic}, AVX2: {AVX2, Generic}, AVXVNNI: {AVXVNNI, AVX2, Generic},
		AVX512VNNI: {AVX512VNNI, AVX2, Generic}, AMX: {AMX, AVX512VNNI, AVX2, Generic},
		NEON: {NEON, Generic}, DotProd: {DotProd, NEON, Generic}, I8MM: {I8MM, DotProd, NEON, Generic},
	}
	for a, lower := range order {
		for b := range tierCount {
			want := false
			for _, l := range lower {
				want = want || l == b
			}
			if a.Includes(b) != want {
				t.Errorf("%v includes %v: %v, want %v", a, b, !want, want)
			}
		}
	}
}

func TestThisMachine(t *testing.T) {
	tiers := Available()
	if len(tiers) == 0 || tiers[len(tiers)-1] != Generic {
		t.Fatalf("tiers %v do not end in generic", tiers)
	}
	for i, a := range tiers[1:] {
		if tiers[i] != AVX512VNNI && !tiers[i].Includes(a) {
			t.Errorf("%v is listed above %v but does not include it", tiers[i], a)
		}
	}
	for _, forced := range tiers {
		t.Setenv(Variable, forced.String())
		d, err := Describe()
		if err != nil || d.Tier != forced.String() || !d.Forced {
			t.Errorf("%s=%v: %+v, %v", Variable, forced, d, err)
		}
		if d.AMX == (d.AMXReason != "") {
			t.Errorf("AMX granted %v with reason %q", d.AMX, d.AMXReason)
		}
	}
	t.Setenv(Variable, "none such")
	if _, err := Describe(); err == nil {
		t.Error("an unknown tier is accepted")
	}
	t.Setenv(Variable, "")
	d, err := Describe()
	t.Logf("%+v, %v", d, err)
}
