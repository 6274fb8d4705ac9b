package deploy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/octet-nn/octet/internal/suggest"
)

// reader reads one file and collects what is wrong with it, all of it.
type reader struct {
	file        *File
	environment environment
	anchors     map[string]ast.Node
	problems    []Problem
	notes       noted
}

// Parse is Load for a file that is in memory; path is for messages and for files named relative to it.
func Parse(path string, data []byte, lookup func(name string) (string, bool)) (*File, error) {
	r := &reader{file: &File{Path: path}, anchors: map[string]ast.Node{}}
	if len(data) > maxFile {
		r.bad(Position{}, "larger than %d bytes; this is no deployment file", maxFile)
		return nil, r.err()
	}
	if line := tooDeep(string(data)); line > 0 {
		r.bad(Position{line, 1}, "lists and mappings are nested more than %d deep; this is no deployment file", maxNesting)
		return nil, r.err()
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.bad(Position{}, "this file is UTF-16, as editors of Windows write it; save it as UTF-8")
		return nil, r.err()
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // the byte order mark of UTF-8
	text := r.environment.substitute(string(data), lookup, r.bad)
	if body := r.parse(text); body != nil {
		r.top(body)
	}
	if len(r.problems) > 0 {
		// What is missing may be there under a mistyped key.
		r.problems = append(r.problems, r.file.Warnings...)
		return nil, r.err()
	}
	r.file.Notes = r.notes.sentences()
	sortProblems(r.file.Warnings)
	return r.file, nil
}

func (r *reader) bad(at Position, format string, args ...any) {
	r.problems = append(r.problems, Problem{r.file.Path, at, fmt.Sprintf(format, args...)})
}

func (r *reader) warn(at Position, format string, args ...any) {
	r.file.Warnings = append(r.file.Warnings, Problem{r.file.Path, at, fmt.Sprintf(format, args...)})
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	sortProblems(r.problems)
	return &Error{slices.Compact(r.problems)}
}

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(a.At.Line-b.At.Line, a.At.Column-b.At.Column)
	})
}

// at is where a node stands in the file.
func (r *reader) at(n ast.Node) Position {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return Position{}
	}
	p := n.GetToken().Position
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		return r.at(m.Values[0].Key)
	}
	return r.environment.original(Position{p.Line, p.Column})
}

// tooDeep is the first line where lists or mappings are nested too deep; 0 if there is none. What is nested by
// indentation alone cannot be deep in a file of bounded size.
func tooDeep(text string) int {
	depth, line := 0, 0
	for content := range strings.Lines(text) {
		line++
		dashes := 0
		for _, word := range strings.Fields(content) {
			if word != "-" && word != "?" && word != ":" {
				break
			}
			dashes++
		}
		for _, c := range content {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if max(depth, dashes) > maxNesting {
				return line
			}
		}
	}
	return 0
}

// parse is the file's only document, or nil and a problem.
func (r *reader) parse(text string) ast.Node {
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			p := syntax.Token.Position
			r.bad(r.environment.original(Position{p.Line, p.Column}), "%s", explained(syntax.Message))
		} else {
			r.bad(Position{}, "this is not YAML: %v", err)
		}
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			r.bad(r.at(doc.Body), "there is a second YAML document; write one file for each")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		r.bad(Position{}, "the file is empty; a deployment file has at least the key models")
		return nil
	}
	ast.Walk(anchorFinder{r.anchors}, body)
	return body
}

// alreadyDefined is the parser's message for a key that is there twice.
var alreadyDefined = regexp.MustCompile(`^mapping key "(.*)" already defined at \[(\d+):\d+\]`)

// explained is a message of the parser, with what to do about it where that is known.
func explained(message string) string {
	if m := alreadyDefined.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the key %s is there already, in line %s; keep one of them (MACE takes the last)", m[1], m[2])
	}
	if strings.Contains(message, "'\t'") || strings.Contains(message, "'	'") {
		message += "; indent with spaces, not with tabs"
	}
	return "this is not YAML: " + message
}

// anchorFinder notes what anchors stand for.
type anchorFinder struct{ anchors map[string]ast.Node }

func (f anchorFinder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		f.anchors[a.Name.GetToken().Value] = a.Value
	}
	return f
}

// maxAliases bounds chains of aliases, which may lead back to themselves.
const maxAliases = 16

// plain is a node behind anchors, aliases and tags; nil for an empty value or one with a problem.
func (r *reader) plain(n ast.Node) ast.Node {
	for range maxAliases {
		switch node := n.(type) {
		case nil:
			return nil
		case *ast.NullNode:
			return nil
		case *ast.AnchorNode:
			n = node.Value
		case *ast.AliasNode:
			name := node.Value.GetToken().Value
			target, ok := r.anchors[name]
			if !ok {
				r.bad(r.at(node), "*%s: nothing has the anchor &%s", name, name)
				return nil
			}
			n = target
		case *ast.TagNode:
			if tag := node.Start.Value; !strings.HasPrefix(tag, "!!") || strings.HasPrefix(tag, "!!python") {
				r.bad(r.at(node), "the tag %s would run code or make an object; write a plain value", tag)
				return nil
			}
			n = node.Value
		default:
			return n
		}
	}
	r.bad(r.at(n), "too many aliases in a row")
	return nil
}

// entry is one key of a mapping.
type entry struct {
	key   string
	at    Position // of the key
	value ast.Node // nil if it is empty
}

// mapping is the entries of a mapping, with those of <<: merged in. what it is says the message if it is none.
func (r *reader) mapping(n ast.Node, what string) []entry { return r.merged(n, what, 0) }

func (r *reader) merged(n ast.Node, what string, depth int) []entry {
	at := r.at(n)
	var values []*ast.MappingValueNode
	switch node := r.plain(n).(type) {
	case *ast.MappingNode:
		values = node.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{node}
	default:
		r.bad(at, "%s", what)
		return nil
	}
	var entries, inherited []entry
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			if depth < maxAliases {
				inherited = append(inherited, r.merged(v.Value, "<< wants a mapping, as in: <<: *name", depth+1)...)
			}
			continue
		}
		key := v.Key.GetToken().Value
		if k, ok := v.Key.(*ast.MappingKeyNode); ok && k.Value != nil {
			key = k.Value.GetToken().Value
		}
		entries = append(entries, entry{key, r.at(v.Key), r.plain(v.Value)})
	}
	for _, e := range inherited {
		if !slices.ContainsFunc(entries, func(own entry) bool { return own.key == e.key }) {
			entries = append(entries, e)
		}
	}
	return entries
}

// known drops entries whose key is none of the known ones, with a warning.
func (r *reader) known(entries []entry, keys []string, where string) []entry {
	return slices.DeleteFunc(entries, func(e entry) bool {
		if slices.Contains(keys, e.key) {
			return false
		}
		r.warn(e.at, "unknown key %q in %s%s; it is ignored", e.key, where, suggest.DidYouMean(e.key, keys))
		return true
	})
}

// text is a single value as it is written, without quotes.
func (r *reader) text(e entry) string {
	text, ok := scalar(e.value)
	if !ok {
		r.bad(r.at(e.value), "%s: expected one value", e.key)
	}
	return text
}

func scalar(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case nil:
		return "", true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case ast.ScalarNode:
		return strings.TrimSpace(n.GetToken().Value), true
	}
	return "", false
}

// item is one of several values.
type item struct {
	at   Position
	text string
	list []item // the items of a list inside of a list; text is empty then
}

// items is a value as a list; a single value is a list of one, an absent one is empty.
func (r *reader) items(e entry) []item { return r.nested(e, e.value, 0) }

func (r *reader) nested(e entry, n ast.Node, depth int) []item {
	n = r.plain(n)
	if n == nil {
		return nil
	}
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		text, ok := scalar(n)
		if !ok {
			r.bad(r.at(n), "%s: expected one value or a list of values", e.key)
			return nil
		}
		return []item{{at: r.at(n), text: text}}
	}
	var list []item
	for _, v := range sequence.Values {
		v = r.plain(v)
		switch v.(type) {
		case *ast.SequenceNode:
			if depth > 0 {
				r.bad(r.at(v), "%s: lists are nested too deep", e.key)
				return nil
			}
			list = append(list, item{at: r.at(v), list: r.nested(e, v, depth+1)})
		case nil:
			list = append(list, item{at: r.at(n)})
		default:
			list = append(list, r.nested(e, v, depth)...)
		}
	}
	return list
}

// flag reads 0 or 1, in any spelling that YAML has for it.
func (r *reader) flag(e entry) bool {
	switch text := strings.ToLower(r.text(e)); text {
	case "", "0", "false", "off", "no":
		return false
	case "1", "true", "on", "yes":
		return true
	default:
		r.bad(r.at(e.value), "%s: %q is neither 0 nor 1", e.key, text)
		return false
	}
}

// word reads one of a few words, in any case; the empty text if there is a problem or no value.
func (r *reader) word(e entry, words []string) string {
	text := r.text(e)
	if text == "" {
		return ""
	}
	return r.oneOf(e.key, item{at: r.at(e.value), text: text}, words)
}

func (r *reader) oneOf(key string, i item, words []string) string {
	for _, w := range words {
		if strings.EqualFold(i.text, w) {
			return w
		}
	}
	r.bad(i.at, "%s: %q is none of %s%s", key, i.text, strings.Join(words, ", "), suggest.DidYouMean(i.text, words))
	return ""
}

// maxDim and maxElements bound shapes.
const (
	maxDim      = 1 << 31
	maxElements = 1 << 34
)

// dims reads sizes with commas between them, spaces allowed; an empty text is [1], as in MACE.
func (r *reader) dims(key string, i item) []int {
	parts := i.list
	if parts == nil {
		if strings.TrimSpace(i.text) == "" {
			return []int{1}
		}
		for _, text := range strings.Split(i.text, ",") {
			parts = append(parts, item{at: i.at, text: text})
		}
	}
	var dims []int
	elements := 1.0
	for _, part := range parts {
		n, err := strconv.Atoi(strings.TrimSpace(part.text))
		if err != nil || n <= 0 || int64(n) > maxDim {
			r.bad(part.at, "%s: %q is no shape; write positive sizes with commas between them: 1,224,224,3", key, i.text)
			return nil
		}
		elements *= float64(n)
		dims = append(dims, n)
	}
	if elements > maxElements {
		r.bad(i.at, "%s: %q has more than 2^34 elements", key, i.text)
		return nil
	}
	return dims
}

// limits reads lowest,highest.
func (r *reader) limits(key string, i item) [2]float64 {
	parts := i.list
	if parts == nil {
		for _, text := range strings.Split(i.text, ",") {
			parts = append(parts, item{at: i.at, text: text})
		}
	}
	var both [2]float64
	ok := len(parts) == 2
	for j := 0; ok && j < 2; j++ {
		v, err := strconv.ParseFloat(strings.TrimSpace(parts[j].text), 64)
		ok = err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
		both[j] = v
	}
	switch {
	case !ok:
		r.bad(i.at, "%s: %q is no range; write the lowest and the highest value with a comma between them: -1.0,1.0", key, i.text)
	case both[0] > both[1]:
		r.bad(i.at, "%s: the lowest value of %q is above the highest", key, i.text)
	case both[0] == both[1]:
		r.bad(i.at, "%s: %q has no width; write the lowest and the highest value: -1.0,1.0", key, i.text)
	}
	return both
}
