package onnx

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode"

	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/tensor"
	"google.golang.org/protobuf/encoding/protowire"
)

// attributeWriter collects the encoded attributes of a node.
type attributeWriter struct{ encoded []byte }

// add writes an attribute; kind is AttributeProto's type, value its field.
func (w *attributeWriter) add(name string, kind int, value []byte) {
	w.encoded = appendMessage(w.encoded, 5, appendNumber(append(appendMessage(nil, 1, []byte(name)), value...), 20, kind))
}

func (w *attributeWriter) text(name, value string) {
	w.add(name, 3, appendMessage(nil, 4, []byte(value)))
}

func (w *attributeWriter) number(name string, v int) { w.add(name, 2, appendNumber(nil, 3, v)) }

func (w *attributeWriter) flag(name string, v bool) {
	if v {
		w.number(name, 1)
	} else {
		w.number(name, 0)
	}
}

func (w *attributeWriter) real(name string, v float32) {
	w.add(name, 1, protowire.AppendFixed32(protowire.AppendTag(nil, 2, protowire.Fixed32Type), math.Float32bits(v)))
}

// numbers leaves an empty list out.
func (w *attributeWriter) numbers(name string, values []int) {
	var list []byte
	for _, v := range values {
		list = appendNumber(list, 8, v)
	}
	if len(values) > 0 {
		w.add(name, 7, list)
	}
}

// reals leaves an empty list out.
func (w *attributeWriter) reals(name string, values []float32) {
	var list []byte
	for _, v := range values {
		list = protowire.AppendFixed32(protowire.AppendTag(list, 7, protowire.Fixed32Type), math.Float32bits(v))
	}
	if len(values) > 0 {
		w.add(name, 6, list)
	}
}

// texts leaves an empty list out.
func (w *attributeWriter) texts(name string, values []string) {
	var list []byte
	for _, v := range values {
		list = appendMessage(list, 9, []byte(v))
	}
	if len(values) > 0 {
		w.add(name, 8, list)
	}
}

// casting is the attributes of conversions to floats of at most 8 bits, where they are not the default.
func (w *attributeWriter) casting(r op.CastRounding) {
	if r.Overflow {
		w.number("saturate", 0)
	}
	if r.RoundMode != "" {
		w.text("round_mode", r.RoundMode)
	}
}

// block says how many elements share a scale, if they do.
func (w *attributeWriter) block(size int) {
	if size > 0 {
		w.number("block_size", size)
	}
}

// composed writes the attributes of the operators of the table of that name that are not spelled like fields. It
// returns the name of the operator.
func (w *attributeWriter) composed(o graph.Operator, name string, skip map[string]bool) string {
	skipAll := func(fields ...string) {
		for _, f := range fields {
			skip[f] = true
		}
	}
	switch o := o.(type) {
	case *op.Attention:
		skip["Scale"] = o.Scale == 0
		skip["QNumHeads"], skip["KvNumHeads"] = o.QNumHeads == 0, o.KvNumHeads == 0
		skip["LeftWindowSize"], skip["RightWindowSize"] = o.LeftWindowSize < 0, o.RightWindowSize < 0
	case *op.LinearAttention:
		skip["Scale"] = o.Scale == 0
	case *op.RotaryEmbedding:
		skip["NumHeads"] = o.NumHeads == 0
	case *op.CausalConvWithState:
		if skipAll("Silu"); o.Silu {
			w.text("activation", "silu")
		}
	case *op.TensorScatter:
		if skipAll("Circular"); o.Circular {
			w.text("mode", "circular")
		}
	case *op.Unique:
		skipAll("Flat")
		skip["Axis"] = o.Flat
	case *op.RoiAlign:
		skipAll("HalfPixel", "Max")
		if !o.HalfPixel {
			w.text("coordinate_transformation_mode", "output_half_pixel")
		}
		if o.Max {
			w.text("mode", "max")
		}
	case *op.NegativeLogLikelihoodLoss:
		skipAll("Loss")
		w.loss(o.Loss)
	case *op.SoftmaxCrossEntropyLoss:
		skipAll("Loss")
		w.loss(o.Loss)
	case *op.RNN:
		skipAll("Recurrence")
		w.recurrence(o.Recurrence)
	case *op.GRU:
		skipAll("Recurrence")
		w.recurrence(o.Recurrence)
	case *op.LSTM:
		skipAll("Recurrence", "Dynamic")
		w.recurrence(o.Recurrence)
	case *op.EyeLike:
		if skipAll("Output"); o.Output.DType != tensor.Invalid {
			w.number("dtype", dtypeNumber(o.Output.DType))
		}
	case *op.WindowFunction:
		if skipAll("Output"); o.Output.DType != tensor.Invalid {
			w.number("output_datatype", dtypeNumber(o.Output.DType))
		}
	case *op.MelWeightMatrix:
		if skipAll("Output"); o.Output.DType != tensor.Invalid {
			w.number("output_datatype", dtypeNumber(o.Output.DType))
		}
	}
	return name
}

func (w *attributeWriter) loss(l op.Loss) {
	text, _ := l.Reduction.MarshalText()
	w.text("reduction", string(text))
	if l.Ignores {
		w.number("ignore_index", l.IgnoreIndex)
	}
}

func (w *attributeWriter) recurrence(r op.Recurrence) {
	w.text("direction", r.Direction.String())
	if r.HiddenSize > 0 {
		w.number("hidden_size", r.HiddenSize)
	}
	if r.BatchFirst {
		w.number("layout", 1)
	}
	if r.Clip > 0 {
		w.real("clip", r.Clip)
	}
	var names []string
	var alphas, betas []float32
	for _, a := range r.Activations {
		names = append(names, a.Name)
		takes := cellParameters[a.Name]
		if takes[0] {
			alphas = append(alphas, a.Alpha)
		}
		if takes[1] {
			betas = append(betas, a.Beta)
		}
	}
	w.texts("activations", names)
	w.reals("activation_alpha", alphas)
	w.reals("activation_beta", betas)
}

// oddNames are ONNX attributes that are not spelled like fields.
var oddNames = map[string]string{"KeepDims": "keepdims", "TransA": "transA", "TransB": "transB", "AllowZero": "allowzero",
	"Nearest": "nearest_mode", "CoordinateTransformation": "coordinate_transformation_mode", "BlockSize": "blocksize",
	"KeepAspectRatio": "keep_aspect_ratio_policy", "Output": "output_dtype"}

// spell is the name and the encoded attributes of an operator.
func spell(n *graph.Node, o graph.Operator) (name string, attributes []byte, err error) {
	name = o.Type()
	skip := map[string]bool{"Layout": true, "Filter": true, "Clamp": true}
	w := &attributeWriter{}
	switch o := o.(type) {
	case *op.Elu:
		skip["Gamma"], skip["Scale"] = true, true
		switch {
		case o.Gamma == 1 && o.Scale == 1:
		case o.Gamma == 1:
			name = "Selu"
			w.real("gamma", o.Scale)
		case o.Gamma == o.Alpha && o.Scale == 1:
			name = "Celu"
		default:
			return "", nil, errors.New("an Elu that is neither Elu nor Selu nor Celu is not written")
		}
	case *op.ArgMax:
		if skip["Min"] = true; o.Min {
			name = "ArgMin"
		}
	case *op.Shape:
		skip["End"], skip["ToEnd"] = o.ToEnd, true
	case *op.Gelu:
		if skip["Tanh"] = true; o.Tanh {
			w.text("approximate", "tanh")
		}
	case *op.Compress:
		skip["Axis"], skip["Flat"] = o.Flat, true
	case *op.DepthToSpace:
		if skip["ColumnRowDepth"] = true; o.ColumnRowDepth {
			w.text("mode", "CRD")
		}
	case *op.ConstantOfShape:
		if skip["Fill"] = true; o.Fill != nil {
			w.add("value", 4, appendMessage(nil, 5, tensorMessage("", o.Fill.Reshape(1))))
		}
	case *op.Split:
		if n.Input(1) == nil {
			w.number("num_outputs", len(n.Outputs))
		}
	case *op.Cast:
		skip["CastRounding"] = true
		w.casting(o.CastRounding)
	case *op.CastLike:
		skip["CastRounding"] = true
		w.casting(o.CastRounding)
	case *op.QuantizeLinear:
		skip["BlockSize"], skip["Overflow"] = true, true
		w.casting(op.CastRounding{Overflow: o.Overflow})
		w.block(o.BlockSize)
	case *op.DequantizeLinear:
		if o.Output.DType != tensor.Invalid && o.Output.DType != n.Inputs[1].Type.DType {
			return "", nil, fmt.Errorf("a result of type %s with a scale of type %s is not written", o.Output, n.Inputs[1].Type.DType)
		}
		skip["BlockSize"], skip["Output"] = true, true
		w.block(o.BlockSize)
	case *op.BitShift:
		if skip["Right"] = true; o.Right {
			w.text("direction", "RIGHT")
		} else {
			w.text("direction", "LEFT")
		}
	default:
		name = w.composed(o, name, skip)
	}
	fields := reflect.ValueOf(o).Elem()
	for i := range fields.NumField() {
		f := fields.Type().Field(i)
		if !f.IsExported() || skip[f.Name] {
			continue
		}
		attribute := oddNames[f.Name]
		if attribute == "" {
			attribute = snake(f.Name)
		}
		switch v := fields.Field(i).Interface().(type) {
		case op.AutoPad:
			if v != op.ExplicitPads {
				text, err := v.MarshalText()
				if err != nil {
					return "", nil, err
				}
				w.text(attribute, string(text))
			}
		case op.OutputType:
			if v.DType == tensor.Invalid {
				continue
			}
			w.number(attribute, dtypeNumber(v.DType))
		case encoding.TextMarshaler:
			text, err := v.MarshalText()
			if err != nil {
				return "", nil, err
			}
			w.text(attribute, string(text))
		case float32:
			w.real(attribute, v)
		case int:
			if f.Name != "Group" || v != 0 {
				w.number(attribute, v)
			}
		case bool:
			w.flag(attribute, v)
		case string:
			w.text(attribute, v)
		case []int:
			w.numbers(attribute, v)
		default:
			return "", nil, fmt.Errorf("field %s cannot be written", f.Name)
		}
	}
	return name, w.encoded, nil
}

// snake turns KernelShape into kernel_shape.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
