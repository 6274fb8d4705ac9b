//go:build arm64 && !noasm

package cpu

import xcpu "golang.org/x/sys/cpu"

func detectArchitecture() capabilities {
	c := capabilities{amx: errNotAMD64}
	a := &xcpu.ARM64
	for _, f := range []struct {
		name string
		has  bool
	}{{"asimd", a.HasASIMD}, {"asimddp", a.HasASIMDDP}, {"i8mm", a.HasI8MM}, {"sve", a.HasSVE}, {"sve2", a.HasSVE2}} {
		if f.has {
			c.features = append(c.features, f.name)
		}
	}
	if a.HasASIMDDP && a.HasI8MM {
		c.tiers = append(c.tiers, I8MM)
	}
	if a.HasASIMDDP {
		c.tiers = append(c.tiers, DotProd)
	}
	c.tiers = append(c.tiers, NEON)
	return c
}
