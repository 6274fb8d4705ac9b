package deploy

import (
	"slices"
	"strings"
)

// Kinds of things that have no meaning here, with what happens instead. Each is said once.
var noteKinds = []struct{ kind, text string }{
	{"device", "there is no device to connect to; models run on this machine"},
	{"runtime", "models run on the processor"},
	{"gpu", "settings of GPUs have no meaning here"},
	{"dsp", "settings of DSPs and other accelerators have no meaning here"},
	{"data", "floats are computed in 32 bits"},
	{"obfuscate", "names are not obfuscated; range logs and files always have the model's own"},
	{"code", "models are written as files, not as C++ code"},
	{"micro", "no code for microcontrollers is written"},
	{"docker", "no container is needed"},
	{"pipeline", "the order of rewrites is fixed"},
	{"script", "Python scripts are not run; octet evaluate measures accuracy with labels"},
	{"order", "graphs are independent of each other"},
}

// noted collects what was met, by kind.
type noted map[string][]string

func (n *noted) add(kind, what string) {
	if *n == nil {
		*n = noted{}
	}
	if !slices.Contains((*n)[kind], what) {
		(*n)[kind] = append((*n)[kind], what)
	}
}

// sentences has one sentence for each kind that was met.
func (n noted) sentences() []string {
	var out []string
	for _, k := range noteKinds {
		if met := n[k.kind]; len(met) > 0 {
			out = append(out, strings.Join(met, ", ")+": "+k.text)
		}
	}
	return out
}
