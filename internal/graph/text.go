package graph

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/tensor"
)

// Text is the canonical text form of the graph, one value or node a line. Equal graphs have equal texts: attributes
// are in the order of the operator's fields, zero fields and a Float Compute are left out, metadata is sorted, and
// large constants are stood for by the first 16 hexadecimal digits of the SHA-256 of their bytes.
func (g *Graph) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "graph %q\n", g.Name)
	for _, key := range slices.Sorted(maps.Keys(g.Metadata)) {
		fmt.Fprintf(&b, "metadata %q = %q\n", key, g.Metadata[key])
	}
	for _, v := range g.Inputs {
		fmt.Fprintf(&b, "input %s\n", declare(v))
	}
	for _, v := range g.Values() {
		if v.Const != nil {
			fmt.Fprintf(&b, "const %s = %s\n", declare(v), constantText(v.Const))
		}
	}
	for _, n := range g.Nodes {
		writeNode(&b, n)
	}
	for _, v := range g.Outputs {
		fmt.Fprintf(&b, "output %s\n", reference(v))
	}
	for _, s := range g.States {
		initial := constantText(s.Initial)
		if !slices.ContainsFunc(s.Initial.Bytes(), func(b byte) bool { return b != 0 }) {
			initial = "fill 0"
		}
		fmt.Fprintf(&b, "state %s becomes %s = %s\n", reference(g.Inputs[s.Input]), reference(g.Outputs[s.Output]), initial)
	}
	return b.String()
}

func reference(v *Value) string {
	if v == nil {
		return "_"
	}
	return strconv.Quote(v.Name)
}

// declare is a value's name, its type and, where it has one, its name in the source file.
func declare(v *Value) string {
	if v == nil {
		return "_"
	}
	s := strconv.Quote(v.Name) + " " + v.Type.String()
	if v.Origin != "" {
		s += " from " + strconv.Quote(v.Origin)
	}
	return s
}

func writeNode(b *strings.Builder, n *Node) {
	list := func(values []*Value, text func(*Value) string) string {
		parts := make([]string, len(values))
		for i, v := range values {
			parts[i] = text(v)
		}
		return strings.Join(parts, ", ")
	}
	kind, attributes := "none", ""
	if n.Op != nil {
		kind = bare(n.Op.Type())
		attributes = attributeText(reflect.ValueOf(n.Op))
	}
	fmt.Fprintf(b, "%s = %s %q (%s)", list(n.Outputs, declare), kind, n.Name, list(n.Inputs, reference))
	if attributes != "" && attributes != "{}" {
		b.WriteString(" " + attributes)
	}
	if n.Compute != Float {
		b.WriteString(" compute " + n.Compute.String())
	}
	if n.Arithmetic != numeric.None {
		b.WriteString(" arithmetic " + n.Arithmetic.String())
	}
	b.WriteByte('\n')
}

// attributeText prints any attribute: a named enum by its own text, a tensor as its type and elements, a struct as its
// non-zero exported fields.
func attributeText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() && v.CanInterface() {
		if t, ok := v.Interface().(*tensor.Tensor); ok {
			return TypeOf(t).String() + " " + constantText(t)
		}
		if body, ok := v.Interface().(*Graph); ok {
			return strconv.Quote(body.Text())
		}
	}
	if v.Kind() != reflect.Pointer && v.CanInterface() {
		if m, ok := v.Interface().(encoding.TextMarshaler); ok {
			if text, err := m.MarshalText(); err == nil {
				return string(text)
			}
		}
		if s, ok := v.Interface().(fmt.Stringer); ok && v.CanInt() || ok && v.CanUint() {
			return s.String()
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "nil"
		}
		return attributeText(v.Elem())
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !v.Field(i).IsZero() {
				parts = append(parts, f.Name+": "+attributeText(v.Field(i)))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice, reflect.Array:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = attributeText(v.Index(i))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case reflect.Map:
		parts := make([]string, 0, v.Len())
		for _, key := range v.MapKeys() {
			parts = append(parts, attributeText(key)+": "+attributeText(v.MapIndex(key)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float32:
		return strconv.FormatFloat(v.Float(), 'g', -1, 32)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// bare is a name without quotation marks where that is unambiguous: letters, digits, dots and underscores.
func bare(name string) string {
	for i, c := range name {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '.' && (c < '0' || c > '9')) {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return strconv.Quote(name)
	}
	return name
}
