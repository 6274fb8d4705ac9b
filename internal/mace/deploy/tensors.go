package deploy

import "slices"

// getter finds a key of a subgraph; ok is false if it is absent or empty.
type getter func(key string) (e entry, ok bool)

// described is what inputs and outputs have in common.
type described struct {
	name, alias string
	at          Position
	shape       []int
	shapeAt     Position
	dtype       string
	format      string
}

func (r *reader) inputs(model string, at Position, get getter) []Input {
	var inputs []Input
	for _, d := range r.described(model, at, "input", get) {
		inputs = append(inputs, Input{d.name, d.alias, d.at, d.shape, d.dtype, d.format, [2]float64{-1, 1}})
	}
	for i, limits := range r.each(get, "input_ranges", "input_tensors", len(inputs)) {
		inputs[i].Range = r.limits("input_ranges", limits)
	}
	return inputs
}

func (r *reader) outputs(model string, at Position, kind string, get getter) []Output {
	var outputs []Output
	for _, d := range r.described(model, at, kind, get) {
		outputs = append(outputs, Output{d.name, d.alias, d.at, d.shape, d.shapeAt, d.dtype, d.format})
	}
	return outputs
}

// described reads the keys <kind>_tensors, <kind>_shapes and so on.
func (r *reader) described(model string, at Position, kind string, get getter) []described {
	tensors := kind + "_tensors"
	e, ok := get(tensors)
	if !ok {
		r.bad(at, "model %s: %s is missing; it has the names of the %ss", model, tensors, kind)
		return nil
	}
	var all []described
	for _, i := range r.items(e) {
		switch {
		case i.text == "":
			r.bad(i.at, "%s: a name is empty", tensors)
		case slices.ContainsFunc(all, func(d described) bool { return d.name == i.text }):
			r.bad(i.at, "%s: %q is there twice", tensors, i.text)
		}
		all = append(all, described{name: i.text, at: i.at, dtype: "float32", format: "NHWC"})
	}
	if len(all) == 0 {
		r.bad(e.at, "%s is empty", tensors)
	}
	r.shapes(at, model, kind, get, all)
	for i, word := range r.each(get, kind+"_data_types", tensors, len(all)) {
		all[i].dtype = r.oneOf(kind+"_data_types", word, tensorTypes)
	}
	for i, word := range r.each(get, kind+"_data_formats", tensors, len(all)) {
		all[i].format = r.oneOf(kind+"_data_formats", word, formats)
	}
	if aliases, ok := get(kind + "_aliases"); ok {
		for i, alias := range r.counted(aliases, tensors, len(all)) {
			all[i].alias = alias.text
		}
	}
	return all
}

func (r *reader) shapes(at Position, model, kind string, get getter, all []described) {
	key := kind + "_shapes"
	e, ok := get(key)
	if !ok {
		// An empty shape is [1]; that the key is absent is a mistake.
		r.bad(at, "model %s: %s is missing; it has a shape for each of %s_tensors: 1,224,224,3", model, key, kind)
		return
	}
	list := r.items(e)
	if len(all) == 1 && len(list) > 1 && !slices.ContainsFunc(list, func(i item) bool { return i.list != nil || !digits(i.text) }) {
		list = []item{{at: list[0].at, list: list}} // one shape, written as a list of numbers
	}
	if len(list) != len(all) {
		r.bad(e.at, "%s has %d, %s_tensors has %d; there is one shape for each tensor", key, len(list), kind, len(all))
		return
	}
	for i := range all {
		all[i].shape, all[i].shapeAt = r.dims(key, list[i]), list[i].at
	}
}

func digits(text string) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}

// each is one item for each of n tensors: as many as there are in the file, or its only one for all; nil if the key is
// absent.
func (r *reader) each(get getter, key, tensors string, n int) []item {
	e, ok := get(key)
	if !ok {
		return nil
	}
	list := r.items(e)
	if key == "input_ranges" && n == 1 && len(list) == 2 && list[0].list == nil {
		list = []item{{at: list[0].at, list: list}} // one range, written as a list of two numbers
	}
	if len(list) == 1 && n > 1 {
		return slices.Repeat(list, n)
	}
	if len(list) != n {
		r.bad(e.at, "%s has %d, %s has %d; write one for each, or one for all", key, len(list), tensors, n)
		return nil
	}
	return list
}

// counted is one item for each of n tensors, or nil and a problem.
func (r *reader) counted(e entry, tensors string, n int) []item {
	list := r.items(e)
	if len(list) != n {
		r.bad(e.at, "%s has %d, %s has %d; write one for each", e.key, len(list), tensors, n)
		return nil
	}
	return list
}
