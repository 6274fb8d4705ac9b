package tensorflow

import (
	"maps"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/op"
)

// Conditionals of TensorFlow 1 are nodes of the graph itself: Switch sends a value into one of two branches, Merge takes
// what comes out of the branch that ran. Nothing here has effects, so both branches may be computed: Merge chooses, and
// where the condition is constant, as whether a network trains, the other branch is never asked for and falls away.

// turn is Switch, with the operands value and condition: both of its results are the value.
func turn(c *call) error {
	c.im.values[c.def.name+":1"] = c.in[0]
	return c.pass(c.in[0])
}

// maxTraced bounds the nodes that are looked at for all conditionals of a file.
const maxTraced = 1 << 22

// sides finds the conditions that a tensor hangs on: of every Switch on the way to it, or only of those that no other Switch
// stands behind, by the name of its condition, which result leads there: 1 the one for false, 2 the one for true, 3 both.
func (im *importer) sides(name string, all bool) map[string]int {
	sides := map[string]int{}
	seen := map[string]bool{}
	stack := []string{name}
	for len(stack) > 0 && im.traced < maxTraced {
		name := tensorName(stack[len(stack)-1])
		stack = stack[:len(stack)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		im.traced++
		node, result := split(name)
		n := im.nodes[node]
		if n == nil {
			continue
		}
		if n.op == "Switch" && len(n.inputs) > 1 {
			sides[im.condition(n.inputs[1])] |= 1 << min(result, 1)
			if !all {
				continue
			}
		}
		stack = append(stack, n.inputs...)
	}
	return sides
}

// condition is the tensor that a condition is, behind nodes that only pass it on.
func (im *importer) condition(name string) string {
	for range 100 {
		node, _ := split(name)
		if n := im.nodes[node]; n != nil && n.op == "Identity" && len(n.inputs) > 0 {
			name = n.inputs[0]
			continue
		}
		break
	}
	return tensorName(name)
}

// choice is the condition between the two inputs of a Merge, and which of them is for true; ok is false if there is none.
func (im *importer) choice(n *nodeDef) (condition string, yes int, ok bool) {
	var data []string
	for _, in := range n.inputs {
		if !strings.HasPrefix(in, "^") {
			data = append(data, in)
		}
	}
	if len(data) != 2 {
		return "", 0, false
	}
	for _, all := range []bool{false, true} { // conditionals within its branches hide where it begins
		first, second := im.sides(data[0], all), im.sides(data[1], all)
		for _, name := range slices.Sorted(maps.Keys(first)) {
			switch {
			case first[name] == 1 && second[name] == 2:
				return name, 1, true
			case first[name] == 2 && second[name] == 1:
				return name, 0, true
			}
		}
	}
	return "", 0, false
}

// merge chooses between the results of two branches.
func merge(c *call) error {
	name, yes, ok := c.im.choice(c.def)
	if !ok || len(c.in) != 2 {
		return errUnknown
	}
	condition := c.im.values[name]
	if condition == nil {
		return errUnknown
	}
	if condition.Const != nil && condition.Const.Len() == 1 {
		if condition.Const.Bytes()[0] == 0 {
			yes = 1 - yes
		}
		return c.pass(c.in[yes])
	}
	return c.is(&op.Where{}, condition, c.in[yes], c.in[1-yes])
}
