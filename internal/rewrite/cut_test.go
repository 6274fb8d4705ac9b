package rewrite_test

import (
	"strings"
	"testing"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
)

const chain = `graph "g"
input "x" f32[2]
input "z" f32[2]
const "c" f32[2] = [1 2]
"a" f32[2] = Neg "na" ("x")
"b" f32[2] = Add "nb" ("a", "c")
"d" f32[2] = Mul "nd" ("b", "z")
output "d"
`

func TestCut(t *testing.T) {
	for name, c := range map[string]struct {
		inputs, outputs []string
		want            string // operators that are left, then inputs and outputs
		problem         string
	}{
		"nothing":            {nil, nil, "Neg Add Mul x z d", ""},
		"end":                {nil, []string{"b:0"}, "Neg Add x z b", ""},
		"both":               {[]string{"a"}, []string{"b"}, "Add a b", ""},
		"an output as input": {[]string{"a"}, []string{"a"}, "Identity a a_output", ""},
		"unknown":            {[]string{"q"}, []string{"r"}, "", `no value "q"`},
		"constant":           {[]string{"c"}, nil, "", "constant"},
		"not enough":         {[]string{"a"}, nil, "", `depend on input "z"`},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := graph.Parse(chain, op.Lookup)
			if err != nil {
				t.Fatal(err)
			}
			err = rewrite.Cut(g, c.inputs, c.outputs)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Check(); err != nil {
				t.Fatal(err)
			}
			var words []string
			for _, n := range g.Nodes {
				words = append(words, n.Op.Type())
			}
			for _, v := range append(g.Inputs, g.Outputs...) {
				words = append(words, v.Name)
			}
			if got := strings.Join(words, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
