package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/octet-nn/octet/tensor"
)

// maxYAML bounds a preprocessing file; real ones have a few hundred bytes. The time of the YAML parser grows with the
// square of the depth of lists, and models carry such texts.
const maxYAML = 8 << 10

// LoadPreprocess finds a preset by its name, or reads a YAML file. A text in braces is YAML itself.
func LoadPreprocess(nameOrPath string) (*Preprocess, error) {
	if p, err := PresetNamed(nameOrPath); err == nil {
		return p, nil
	} else if strings.HasPrefix(strings.TrimSpace(nameOrPath), "{") {
		return ParsePreprocess("preprocessing", nameOrPath)
	} else if !strings.ContainsAny(nameOrPath, "./\\") {
		if _, statErr := os.Stat(nameOrPath); statErr != nil {
			return nil, err
		}
	}
	f, err := os.Open(nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxYAML+1))
	if err != nil {
		return nil, fmt.Errorf("preprocessing: %w", err)
	}
	return ParsePreprocess(nameOrPath, string(data))
}

// ParsePreprocess reads the name of a preset or YAML, as String writes it or on many lines:
//
//	preset: imagenet          # begin with a preset; the other keys change it
//	resize: shorter 256       # shorter N, exact [N or WxH], fit [N or WxH], none
//	interpolation: antialias  # antialias, bilinear, nearest
//	crop: 224                 # N or WxH
//	channels: rgb             # auto, rgb, bgr, gray
//	scale: 1/255              # pixels are multiplied by it
//	mean: [0.485, 0.456, 0.406]
//	std: [0.229, 0.224, 0.225]
//	layout: auto              # auto, nchw, nhwc
//	pad: 0                    # the pixel value around images with resize: fit
//	quantized: {type: i8, scale: 0.5, zero_point: 3}  # how arrays of integers stand for real numbers
//
// Problems come with name, line and column, all at once.
func ParsePreprocess(name, text string) (*Preprocess, error) {
	if p, err := PresetNamed(strings.TrimSpace(text)); err == nil {
		return p, nil
	}
	if len(text) > maxYAML {
		return nil, fmt.Errorf("%s: larger than %d bytes; this is no preprocessing", name, maxYAML)
	}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			at := syntax.Token.Position
			return nil, fmt.Errorf("%s:%d:%d: %s", name, at.Line, at.Column, syntax.Message)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && body != nil {
			return nil, fmt.Errorf("%s: more than one YAML document", name)
		} else if doc.Body != nil {
			body = doc.Body
		}
	}
	if body == nil {
		return nil, fmt.Errorf("%s: it is empty; write {} for no preprocessing, or a preset: preset: imagenet", name)
	}
	y := &yamlReader{name: name}
	p := &Preprocess{}
	for _, key := range y.mapping(body, preprocessKeys) {
		if key.name == "preset" {
			if preset, err := PresetNamed(y.scalar(key.value)); err != nil {
				y.bad(key.value, "%w", err)
			} else {
				p = preset
			}
		}
	}
	for _, key := range y.mapping(body, preprocessKeys) {
		y.set(p, key)
	}
	y.problems = withoutRepeats(y.problems)
	if len(y.problems) == 0 {
		if err := p.Validate(); err != nil {
			y.bad(body, "%w", err)
		}
	}
	if err := errors.Join(y.problems...); err != nil {
		return nil, err
	}
	return p, nil
}

var (
	preprocessKeys = []string{"preset", "resize", "interpolation", "crop", "channels", "scale", "mean", "std", "layout", "pad", "quantized"}
	quantizedKeys  = []string{"type", "scale", "zero_point"}
)

// yamlReader collects problems with their places.
type yamlReader struct {
	name     string
	problems []error
}

func (y *yamlReader) bad(at ast.Node, format string, args ...any) {
	place := y.name
	if t := at.GetToken(); t != nil && t.Position != nil {
		place = fmt.Sprintf("%s:%d:%d", y.name, t.Position.Line, t.Position.Column)
	}
	y.problems = append(y.problems, fmt.Errorf("%s: %w", place, fmt.Errorf(format, args...)))
}

// withoutRepeats drops problems that were found twice, since a file is read once for its preset and once for the rest.
func withoutRepeats(problems []error) []error {
	seen := map[string]bool{}
	return slices.DeleteFunc(problems, func(err error) bool {
		repeated := seen[err.Error()]
		seen[err.Error()] = true
		return repeated
	})
}

// yamlKey is an entry of a mapping.
type yamlKey struct {
	name  string
	value ast.Node
}

// mapping is the entries of a mapping whose keys are among the known ones.
func (y *yamlReader) mapping(n ast.Node, known []string) []yamlKey {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		y.bad(n, "expected keys and values, with keys among %s", strings.Join(known, ", "))
	}
	var keys []yamlKey
	for _, v := range values {
		key := v.Key.GetToken().Value
		if !slices.Contains(known, key) {
			y.bad(v.Key, "unknown key %q%s (keys are %s)", key, didYouMean(key, known), strings.Join(known, ", "))
			continue
		}
		keys = append(keys, yamlKey{key, v.Value})
	}
	return keys
}

// scalar is the text of a single value.
func (y *yamlReader) scalar(n ast.Node) string {
	switch n := n.(type) {
	case *ast.LiteralNode, *ast.NullNode:
	case ast.ScalarNode:
		return n.GetToken().Value
	}
	y.bad(n, "expected one value")
	return ""
}

// set reads one entry into p.
func (y *yamlReader) set(p *Preprocess, key yamlKey) {
	n := key.value
	switch key.name {
	case "resize":
		p.Resize, p.Size = y.resize(n)
	case "interpolation":
		p.Interpolation = Interpolation(y.word(n, interpolationNames))
	case "crop":
		p.Crop = Size{}
		if text := y.scalar(n); text != "none" {
			p.Crop = y.size(n, text)
		}
	case "channels":
		p.Channels = Channels(y.word(n, channelNames))
	case "scale":
		p.Scale = y.number(n)
	case "mean":
		p.Mean = y.numbers(n)
	case "std":
		p.Std = y.numbers(n)
	case "layout":
		p.Layout = Layout(y.word(n, layoutNames))
	case "pad":
		p.Pad = uint8(y.integer(n, 0, 255))
	case "quantized":
		p.Quantized = &Quantized{Type: tensor.Int8}
		for _, key := range y.mapping(n, quantizedKeys) {
			switch key.name {
			case "type":
				var ok bool
				if p.Quantized.Type, ok = tensor.ParseDType(y.scalar(key.value)); !ok {
					y.bad(key.value, "unknown type; it can be i8, u8, i16, u16, i32 or u32")
				}
			case "scale":
				p.Quantized.Scale = float32(y.number(key.value))
			case "zero_point":
				p.Quantized.ZeroPoint = y.integer(key.value, math.MinInt32, math.MaxInt32)
			}
		}
	}
}

// word is the position of a value among words.
func (y *yamlReader) word(n ast.Node, words []string) int {
	text := strings.ToLower(y.scalar(n))
	i := slices.Index(words, text)
	if i < 0 {
		y.bad(n, "%q is none of %s%s", text, strings.Join(words, ", "), didYouMean(text, words))
		return 0
	}
	return i
}

// resize reads a rule and its size: shorter 256.
func (y *yamlReader) resize(n ast.Node) (Resize, Size) {
	rule, rest, _ := strings.Cut(strings.TrimSpace(y.scalar(n)), " ")
	i := slices.Index(resizeNames, strings.ToLower(rule))
	if i < 0 {
		y.bad(n, "%q is no resize rule%s (shorter N, exact [WxH], fit [WxH], none)", rule, didYouMean(rule, resizeNames))
		return 0, Size{}
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return Resize(i), Size{}
	}
	return Resize(i), y.size(n, rest)
}

// size reads N or WxH.
func (y *yamlReader) size(n ast.Node, text string) Size {
	width, height, two := strings.Cut(text, "x")
	if !two {
		height = width
	}
	w, err := strconv.Atoi(width)
	h, heightErr := strconv.Atoi(height)
	if err != nil || heightErr != nil || w <= 0 || h <= 0 || w > 1<<20 || h > 1<<20 {
		y.bad(n, "%q is no size; write N or WxH in pixels", text)
		return Size{}
	}
	return Size{w, h}
}

// number reads a decimal number or a fraction: 1/255.
func (y *yamlReader) number(n ast.Node) float64 {
	text := y.scalar(n)
	above, below, fraction := strings.Cut(text, "/")
	v, err := strconv.ParseFloat(strings.TrimSpace(above), 64)
	if fraction && err == nil {
		var divisor float64
		divisor, err = strconv.ParseFloat(strings.TrimSpace(below), 64)
		v /= divisor
	}
	if err != nil {
		y.bad(n, "%q is no number; write 0.5 or 1/255", text)
	}
	return v
}

func (y *yamlReader) numbers(n ast.Node) []float64 {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return []float64{y.number(n)}
	}
	var values []float64
	for _, v := range list.Values {
		values = append(values, y.number(v))
	}
	return values
}

func (y *yamlReader) integer(n ast.Node, lowest, highest int) int {
	text := y.scalar(n)
	v, err := strconv.Atoi(text)
	if err != nil || v < lowest || v > highest {
		y.bad(n, "%q is no integer from %d to %d", text, lowest, highest)
		return 0
	}
	return v
}
