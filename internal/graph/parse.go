package graph

import (
	"encoding"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Parse reads the text form that Text writes. lookup makes an operator by its canonical name, or returns nil; an
// attribute that is not written is zero. Blank lines and lines that begin with # are skipped.
//
// Constants are given by their elements, or by one of
//
//	const "w" f32[64,3,3,3] = seed 7      floats in [−1, 1) or integers of their whole range, from a seed
//	const "b" f32[64] = fill 0.5          one number everywhere
//
// as is what a state begins with.
// A digest, which Text writes for large constants, cannot be read back. Errors name line and column; the first one of
// every line is reported. The graph is not checked beyond its syntax and names: see Check.
func Parse(text string, lookup func(name string) Operator) (*Graph, error) {
	p := &parser{g: &Graph{}, lookup: lookup, values: map[string]*Value{}}
	var problems []error
	const mostProblems = 20
	for number, line := range strings.Split(text, "\n") {
		p.scanner = scanner{text: strings.TrimSuffix(line, "\r"), line: number + 1}
		p.statement()
		if p.err != nil {
			if problems = append(problems, p.err); len(problems) == mostProblems {
				break
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return p.g, nil
}

// maxFilled bounds the bytes of all constants of one text, which a few characters can ask for.
const maxFilled = 64 << 20

// parser builds a graph line by line.
type parser struct {
	scanner
	g      *Graph
	lookup func(string) Operator
	values map[string]*Value
	filled int // bytes of constants so far
	named  bool
}

// statement reads one line.
func (p *parser) statement() {
	p.space()
	if p.end() || p.peek() == '#' {
		return
	}
	switch word := p.keyword("graph", "metadata", "input", "const", "output", "state"); word {
	case "graph":
		if p.named {
			p.fail("the graph has a name already")
		}
		p.g.Name, p.named = p.quoted(), true
	case "metadata":
		key := p.quoted()
		p.expect("=")
		value := p.quoted()
		if p.g.Metadata == nil {
			p.g.Metadata = map[string]string{}
		}
		p.g.Metadata[key] = value
	case "input":
		if v := p.declaration(); p.err == nil {
			p.g.Inputs = append(p.g.Inputs, v)
		}
	case "const":
		v := p.declaration()
		p.expect("=")
		if p.err == nil {
			v.Const = p.constant(v.Type)
		}
	case "output":
		if v := p.reference(); v != nil {
			p.g.Outputs = append(p.g.Outputs, v)
		} else {
			p.fail("an output must be a value")
		}
	case "state":
		p.state()
	default:
		p.node()
	}
	if p.space(); !p.end() {
		p.fail("unexpected %s", p.found())
	}
}

// state is which input becomes which output from run to run, and what it begins with.
func (p *parser) state() {
	in := slices.Index(p.g.Inputs, p.reference())
	if p.keyword("becomes") == "" {
		p.fail("unexpected %s, want becomes", p.found())
	}
	next, out := p.reference(), -1
	for i, v := range p.g.Outputs {
		if v == next && !p.g.IsStateOutput(i) {
			out = i
		}
	}
	p.expect("=")
	if p.err == nil && (in < 0 || out < 0) {
		p.fail("a state is an input that becomes an output")
	}
	if p.err == nil {
		p.g.States = append(p.g.States, State{in, out, p.constant(p.g.Inputs[in].Type)})
	}
}

// declaration is the name, type and origin of a new value.
func (p *parser) declaration() *Value {
	p.space()
	at := p.at
	v := &Value{Name: p.quoted()}
	if p.values[v.Name] != nil {
		p.failAt(at, "there is a value %q already", v.Name)
	}
	v.Type = p.valueType()
	if p.keyword("from") != "" {
		v.Origin = p.quoted()
	}
	if p.err == nil {
		p.values[v.Name] = v
	}
	return v
}

// reference is a value declared before, or nil for an absent one.
func (p *parser) reference() *Value {
	if p.accept("_") {
		return nil
	}
	p.space()
	at := p.at
	name := p.quoted()
	v := p.values[name]
	if v == nil {
		p.failAt(at, "there is no value %q yet", name)
	}
	return v
}

func (p *parser) node() {
	n := &Node{}
	for p.peek() != '=' {
		if p.accept("_") {
			n.Outputs = append(n.Outputs, nil)
		} else if v := p.declaration(); p.err == nil {
			n.Outputs = append(n.Outputs, v)
		}
		if p.err != nil || !p.accept(",") {
			break
		}
	}
	p.expect("=")
	p.space()
	at := p.at
	kind := p.bare()
	n.Name = p.quoted()
	p.expect("(")
	for p.err == nil && !p.accept(")") {
		if len(n.Inputs) > 0 {
			p.expect(",")
		}
		n.Inputs = append(n.Inputs, p.reference())
	}
	if p.err != nil {
		return
	}
	if n.Op = p.lookup(kind); n.Op == nil {
		p.failAt(at, "there is no operator %q", kind)
		return
	}
	if attributes := reflect.ValueOf(n.Op); attributes.Kind() == reflect.Pointer && attributes.Elem().Kind() == reflect.Struct {
		clearFields(attributes.Elem())
		if p.space(); p.peek() == '{' {
			p.fields(attributes.Elem(), 0)
		}
	}
	if p.keyword("compute") != "" {
		at := p.skip()
		name, known := p.word(), false
		if n.Compute, known = ParseCompute(name); !known {
			p.failAt(at, "there is no computation %q", name)
		}
	}
	if p.keyword("arithmetic") != "" {
		at := p.skip()
		var err error
		if n.Arithmetic, err = numeric.ParseArithmetic(p.word()); err != nil {
			p.failAt(at, "%v", err)
		}
	}
	if p.err == nil {
		p.g.Nodes = append(p.g.Nodes, n)
	}
}

// valueType is an element type, a shape and a quantization: f32[N,3], u8[1,2]q(0.5,128).
func (p *parser) valueType() Type {
	t := Type{DType: p.dtype()}
	p.expect("[")
	if p.accept("...") {
		p.expect("]")
	} else {
		t.Shape = Shape{}
		for p.err == nil && !p.accept("]") {
			if len(t.Shape) > 0 {
				p.expect(",")
			}
			t.Shape = append(t.Shape, p.dim())
		}
	}
	if p.accept("q(") {
		t.Quant = p.quant()
	}
	return t
}

func (p *parser) dtype() tensor.DType {
	at := p.skip()
	name := p.bare()
	d, ok := tensor.ParseDType(name)
	if !ok && name != tensor.Invalid.String() {
		p.failAt(at, "there is no element type %q", name)
	}
	return d
}

func (p *parser) dim() Dim {
	p.space()
	if c := p.peek(); c >= '0' && c <= '9' {
		return Fixed(int(p.integer(31)))
	}
	if p.accept("?") {
		return Dim{Size: Unknown}
	}
	return Dim{Size: Unknown, Symbol: p.bare()}
}

// quant is what stands between q( and ): scales, zero points (one for all where they are equal), @axis, /block.
func (p *parser) quant() *Quant {
	q := &Quant{}
	if p.keyword("dynamic") != "" {
		q.Dynamic = true
	} else {
		for p.err == nil && !p.accept(",") {
			q.Scale = append(q.Scale, float32(p.float(32)))
		}
		for p.space(); p.err == nil && (p.peek() == '-' || p.peek() >= '0' && p.peek() <= '9'); p.space() {
			q.ZeroPoint = append(q.ZeroPoint, int32(p.integer(32)))
		}
		for len(q.ZeroPoint) == 1 && len(q.Scale) > 1 {
			z := q.ZeroPoint[0]
			q.ZeroPoint = make([]int32, len(q.Scale))
			for i := range q.ZeroPoint {
				q.ZeroPoint[i] = z
			}
		}
		if len(q.Scale) == 0 || len(q.ZeroPoint) != len(q.Scale) {
			p.fail("there are %d scales and %d zero points", len(q.Scale), len(q.ZeroPoint))
		}
	}
	if p.accept("@") {
		q.Axis = int(p.integer(31))
	}
	if p.accept("/") {
		q.Block = int(p.integer(31))
	}
	if p.accept(",") {
		if p.keyword("narrow") == "" {
			p.fail("unexpected %s, want narrow", p.found())
		}
		q.Narrow = true
	}
	p.expect(")")
	return q
}

// constant is the elements of a tensor of the given type.
func (p *parser) constant(t Type) *tensor.Tensor {
	sizes, known := t.Shape.Known()
	count, possible := tensor.Count(sizes)
	if !known || t.DType == tensor.Invalid {
		p.fail("a constant of type %s has no fixed size", t)
		return nil
	}
	if !possible || count > maxFilled || t.DType.Bytes(count) > maxFilled-p.filled {
		p.fail("constants of more than %d bytes", maxFilled)
		return nil
	}
	p.filled += t.DType.Bytes(count)
	c := tensor.New(t.DType, sizes...)
	element := func() uint64 {
		at := p.skip()
		bits, err := parseElement(t.DType, p.word())
		if err != nil {
			p.failAt(at, "%v", err)
		}
		return bits
	}
	switch p.keyword("seed", "fill") {
	case "seed":
		seeded(c, uint64(p.integer(64)))
	case "fill":
		bits := element()
		for i := range count {
			setElementBits(c, i, bits)
		}
	default:
		if p.accept("sha256:") {
			p.fail("only a digest of this constant was written; give its elements, seed N or fill V")
			return nil
		}
		p.expect("[")
		for i := 0; i < count && p.err == nil; i++ {
			setElementBits(c, i, element())
		}
		p.expect("]")
	}
	return c
}

// maxDepth bounds attributes within attributes.
const maxDepth = 16

// clearFields makes the exported fields of a struct zero: an attribute that is not written is zero.
func clearFields(v reflect.Value) {
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() && v.Field(i).CanSet() {
			v.Field(i).SetZero()
		}
	}
}

// fields reads {Name: value, …} into the exported fields of a struct.
func (p *parser) fields(v reflect.Value, depth int) {
	p.expect("{")
	seen := map[string]bool{}
	for p.err == nil && !p.accept("}") {
		if len(seen) > 0 {
			p.expect(",")
		}
		at := p.skip()
		name := p.bare()
		field, ok := v.Type().FieldByName(name)
		if p.err == nil && (!ok || !field.IsExported() || len(field.Index) != 1) {
			p.failAt(at, "there is no attribute %q", name)
		}
		if seen[name] {
			p.failAt(at, "attribute %q is given twice", name)
		}
		seen[name] = true
		p.expect(":")
		if p.err == nil {
			p.attribute(v.FieldByIndex(field.Index), depth+1)
		}
	}
}

// attribute is the inverse of attributeText.
func (p *parser) attribute(v reflect.Value, depth int) {
	at := p.skip()
	if depth > maxDepth {
		p.fail("attributes are nested too deeply")
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(p.word())); err != nil {
			p.failAt(at, "%v", err)
		}
		return
	}
	switch target := v.Addr().Interface().(type) {
	case **tensor.Tensor:
		if p.keyword("nil") == "" {
			*target = p.constant(p.valueType())
		}
		return
	case **Graph:
		if p.keyword("nil") == "" {
			body, err := Parse(p.quoted(), p.lookup)
			if *target = body; err != nil {
				p.failAt(at, "in the body: %v", err)
			}
		}
		return
	case *tensor.DType:
		*target = p.dtype()
		return
	case *Compute:
		name, ok := p.word(), false
		if *target, ok = ParseCompute(name); !ok {
			p.failAt(at, "there is no computation %q", name)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if p.keyword("nil") == "" {
			v.Set(reflect.New(v.Type().Elem()))
			p.attribute(v.Elem(), depth+1)
		}
	case reflect.Struct:
		p.fields(v, depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		p.expect("[")
		for p.err == nil && !p.accept("]") {
			element := reflect.New(v.Type().Elem()).Elem()
			p.attribute(element, depth+1)
			v.Set(reflect.Append(v, element))
		}
	case reflect.Array:
		p.expect("[")
		for i := range v.Len() {
			p.attribute(v.Index(i), depth+1)
		}
		p.expect("]")
	case reflect.Map:
		p.mapping(v, depth)
	case reflect.Interface:
		p.anything(v, depth)
	case reflect.String:
		v.SetString(p.quoted())
	case reflect.Bool:
		switch p.keyword("true", "false") {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			p.fail("unexpected %s, want true or false", p.found())
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(p.integer(v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n := p.integer(64)
		if n < 0 || v.OverflowUint(uint64(n)) {
			p.failAt(at, "%d is out of range", n)
		}
		v.SetUint(uint64(n))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(p.float(v.Type().Bits()))
	default:
		p.failAt(at, "an attribute of type %s cannot be read", v.Type())
	}
}

// mapping reads {key: value, …}.
func (p *parser) mapping(v reflect.Value, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	p.expect("{")
	for p.err == nil && !p.accept("}") {
		if v.Len() > 0 {
			p.expect(",")
		}
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		p.attribute(key, depth+1)
		p.expect(":")
		p.attribute(value, depth+1)
		if p.err == nil {
			v.SetMapIndex(key, value)
		}
	}
}

// anything reads a value whose type only its text tells: a string, a list, a bool or a number.
func (p *parser) anything(v reflect.Value, depth int) {
	var value any
	set := func(kind reflect.Type) {
		made := reflect.New(kind).Elem()
		p.attribute(made, depth+1)
		value = made.Interface()
	}
	p.space()
	switch word := p.lookahead(); {
	case p.peek() == '"':
		value = p.quoted()
	case p.peek() == '[':
		set(reflect.TypeFor[[]any]())
	case p.peek() == '{':
		set(reflect.TypeFor[map[string]any]())
	case word == "true" || word == "false":
		set(reflect.TypeFor[bool]())
	case word == "nil":
		p.word()
		return
	case strings.ContainsAny(word, ".eEnN"):
		set(reflect.TypeFor[float64]())
	default:
		set(reflect.TypeFor[int64]())
	}
	if p.err == nil && v.NumMethod() == 0 {
		v.Set(reflect.ValueOf(value))
	} else if p.err == nil {
		p.fail("an attribute of type %s cannot be read", v.Type())
	}
}

// keyword is the next word if it is one of those given, which is then consumed, and "" otherwise.
func (p *parser) keyword(words ...string) string {
	p.space()
	next := p.lookahead()
	for _, word := range words {
		if next == word {
			p.at += len(word)
			return word
		}
	}
	return ""
}
