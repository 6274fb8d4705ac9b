package graph

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/octet-nn/octet/tensor"
)

// Arrange puts tensors given by name into the order of the declared inputs. Missing and unexpected names, and tensors
// that do not fit their declaration, are reported all at once.
func Arrange(inputs []*Value, given map[string]*tensor.Tensor) ([]*tensor.Tensor, error) {
	var problems []error
	arranged := make([]*tensor.Tensor, len(inputs))
	declared := make(map[string]bool, len(inputs))
	names := make([]string, len(inputs))
	for i, v := range inputs {
		declared[v.Name] = true
		names[i] = v.Name
		arranged[i] = given[v.Name]
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !declared[name] {
			problems = append(problems, fmt.Errorf("there is no input %q; the inputs are %q", name, names))
		}
	}
	if err := CheckInputs(inputs, arranged); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return arranged, nil
}

// CheckInputs compares tensors, in the order of the declared inputs, with what is declared: present, of the element
// type, of the rank and known sizes, and with equal sizes where the declaration has equal symbols. All problems are
// reported at once.
func CheckInputs(inputs []*Value, given []*tensor.Tensor) error {
	if len(given) != len(inputs) {
		return fmt.Errorf("%d tensors for %d inputs", len(given), len(inputs))
	}
	var problems []error
	type size struct {
		size  int
		input string
	}
	symbols := map[string]size{}
	for i, v := range inputs {
		t := given[i]
		if t == nil {
			problems = append(problems, fmt.Errorf("input %q (%s) is missing", v.Name, v.Type))
			continue
		}
		fail := func(why string, args ...any) {
			problems = append(problems, fmt.Errorf("input %q is %s but %s was given: "+why,
				append([]any{v.Name, v.Type, t}, args...)...))
		}
		if v.Type.DType != tensor.Invalid && t.DType() != v.Type.DType {
			fail("the element type must be %s", v.Type.DType)
			continue
		}
		if !v.Type.Shape.Ranked() {
			continue
		}
		if len(v.Type.Shape) != len(t.Shape()) {
			fail("it must have %d dimensions", len(v.Type.Shape))
			continue
		}
		for axis, d := range v.Type.Shape {
			got := t.Shape()[axis]
			first, seen := symbols[d.Symbol]
			switch {
			case d.Known():
				if got != d.Size {
					fail("dimension %d must be %d", axis, d.Size)
				}
			case d.Symbol == "":
			case !seen:
				symbols[d.Symbol] = size{got, v.Name}
			case first.size != got:
				fail("dimension %d is %s, which is %d in input %q", axis, d.Symbol, first.size, first.input)
			}
		}
	}
	return errors.Join(problems...)
}
