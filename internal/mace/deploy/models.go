package deploy

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/octet-nn/octet/internal/suggest"
)

// Words that keys take.
var (
	platforms    = []string{"tensorflow", "caffe", "onnx", "megengine", "keras", "pytorch"}
	runtimes     = []string{"cpu", "gpu", "dsp", "hexagon", "hta", "apu", "htp", "cpu+gpu"}
	dataTypes    = []string{"fp32", "fp32_fp32", "fp16_fp32", "bf16_fp32", "fp16_fp16", "fp16", "uint8"}
	schemas      = []string{"int8", "mace_apu_16bit_per_tensor", "mace_htp_u16a_s8w"}
	tensorTypes  = []string{"float32", "float16", "bfloat16", "int32", "int16", "uint8"}
	formats      = []string{"NHWC", "NCHW", "NONE", "HWIO", "OIHW", "HWOI", "OHWI", "AUTO"}
	thresholds   = []string{"CPU", "GPU", "HEXAGON", "DSP", "HTA", "QUANTIZE", "APU", "HTP"}
	graphFormats = []string{"file", "code"}
)

// Keys of the top, and of models and subgraphs. MACE lays a subgraph's keys over its model's, so that nearly all may
// stand in either.
var (
	topKeys = []string{
		"library_name", "target_abis", "target_socs", "model_graph_format", "model_data_format", "quantize_stat",
		"apu_version_with_no_device", "embed_model_data", "models",
	}
	modelKeys = []string{
		"platform", "model_file_path", "model_sha256_checksum", "weight_file_path", "weight_sha256_checksum", "subgraphs",
		"runtime", "data_type", "quantize", "quantize_schema", "quantize_range_file", "quantize_large_weights",
		"change_concat_ranges", "input_ranges", "winograd", "cl_mem_type", "obfuscate", "nnlib_graph_mode",
		"limit_opencl_kernel_time", "opencl_queue_window_size", "graph_optimize_options", "validation_threshold",
		"backend", "accuracy_validation_script", "order", "accelerator_api", "micro", "dsp_mode",
		"docker_image_tag", "dockerfile_path", "dockerfile_sha256_checksum",
	}
	graphKeys = []string{
		"input_tensors", "output_tensors", "input_shapes", "output_shapes", "input_ranges", "input_data_types",
		"output_data_types", "input_data_formats", "output_data_formats", "check_tensors", "check_shapes",
		"input_aliases", "output_aliases", "validation_inputs_data", "validation_outputs_data",
	}
	allModelKeys = slices.Concat(modelKeys, graphKeys)
)

func (r *reader) top(body ast.Node) {
	entries := r.known(r.mapping(body, "a deployment file is a mapping, with at least the key models"), topKeys, "the deployment file")
	keys := byKey(entries)
	f := r.file
	if e, ok := keys["library_name"]; ok {
		if name, ok := scalar(e.value); ok {
			f.LibraryName = name
			r.pathElement(e.key, name, r.at(e.value))
		} else {
			r.bad(r.at(e.value), "%s: expected one value", e.key)
		}
	}
	if e, ok := keys["quantize_stat"]; ok {
		f.QuantizeStat = r.flag(e)
	}
	r.devices(keys)
	formats := map[string]string{}
	for _, name := range []string{"model_graph_format", "model_data_format"} {
		if e, ok := keys[name]; ok {
			if formats[name] = r.word(e, graphFormats); formats[name] == "code" {
				r.notes.add("code", name+" code")
			}
		}
	}
	if formats["model_graph_format"] == "file" && formats["model_data_format"] == "code" {
		r.bad(keys["model_data_format"].at, "model_data_format: code does not go with model_graph_format: file; write file for both")
	}
	models, ok := keys["models"]
	if !ok || models.value == nil {
		at := Position{}
		if ok {
			at = models.at
		}
		if len(r.problems) == 0 || ok {
			r.bad(at, "there are no models; write models:, and under it each model's name with its keys")
		}
		return
	}
	for _, e := range r.mapping(models.value, "models is a mapping of names to models") {
		r.modelName(e)
		f.Models = append(f.Models, r.model(e))
	}
	if len(f.Models) == 0 {
		r.bad(models.at, "there are no models under models")
	}
}

func (r *reader) devices(keys map[string]entry) {
	if e, ok := keys["target_abis"]; ok {
		for _, i := range r.items(e) {
			if i.text != "host" && i.text != "" {
				r.notes.add("device", "target_abis "+i.text)
			}
		}
	}
	if e, ok := keys["target_socs"]; ok {
		for _, i := range r.items(e) {
			if i.text != "" {
				r.notes.add("device", "target_socs "+strings.ToLower(i.text))
			}
		}
	}
	if e, ok := keys["apu_version_with_no_device"]; ok {
		if text := r.text(e); text != "" && text != "-1" {
			r.notes.add("dsp", e.key)
		}
	}
}

func byKey(entries []entry) map[string]entry {
	m := map[string]entry{}
	for _, e := range entries {
		m[e.key] = e
	}
	return m
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// pathElement makes sure that a name can be that of a file or folder.
func (r *reader) pathElement(key, name string, at Position) {
	switch {
	case name == "":
		r.bad(at, "%s is empty; it names what is written", key)
	case name == "." || name == ".." || strings.ContainsAny(name, "/\\:\x00"):
		r.bad(at, "%s: %q cannot be the name of a folder; use letters, digits, - and _", key, name)
	}
}

func (r *reader) modelName(e entry) {
	r.pathElement("a model's name", e.key, e.at)
	if e.key != "" && !identifier.MatchString(e.key) {
		r.warn(e.at, "MACE refuses the model name %q: it is not one of C++ (letters, digits and _, no digit first)", e.key)
	}
}

// model reads one model.
func (r *reader) model(e entry) Model {
	m := Model{Name: e.key, At: e.at, Backend: "tensorflow"}
	if e.value == nil {
		r.bad(e.at, "the model %s has no keys", m.Name)
		return m
	}
	keys := byKey(r.known(r.mapping(e.value, "a model is a mapping of keys to values"), allModelKeys, "model "+m.Name))
	if p, ok := keys["platform"]; ok && p.value != nil {
		m.Platform = r.word(p, platforms)
	} else {
		r.bad(e.at, "model %s: platform is missing; it is one of %s", m.Name, strings.Join(platforms, ", "))
	}
	if file := r.resource(keys, "model_file_path", "model_sha256_checksum"); file != nil {
		m.File = *file
	} else {
		r.bad(e.at, "model %s: model_file_path is missing", m.Name)
	}
	m.Weights = r.resource(keys, "weight_file_path", "weight_sha256_checksum")
	if m.Platform == "caffe" && m.Weights == nil {
		r.bad(e.at, "model %s: weight_file_path is missing; a Caffe model is a .prototxt and a .caffemodel", m.Name)
	}
	if t, ok := keys["validation_threshold"]; ok && t.value != nil {
		m.Thresholds = r.thresholds(t)
	}
	subgraphs, ok := keys["subgraphs"]
	switch list := subgraphs.value.(type) {
	case nil:
		if !ok && keys["input_tensors"].value != nil {
			m.Graphs = append(m.Graphs, r.graph("default_graph", m.Name, e.at, keys, nil))
			break
		}
		r.bad(e.at, "model %s: subgraphs is missing; it has the input_tensors and output_tensors", m.Name)
	case *ast.SequenceNode:
		for i, v := range list.Values {
			if i > 0 {
				r.warn(r.at(v), "MACE takes only the first subgraph of a list, and so does this; give several their names in a mapping")
				break
			}
			own := r.known(r.mapping(v, "a subgraph is a mapping of keys to values"), allModelKeys, "the subgraph of "+m.Name)
			m.Graphs = append(m.Graphs, r.graph("default_graph", m.Name, r.at(v), keys, own))
		}
	default:
		named := r.mapping(subgraphs.value, "subgraphs is a list with one subgraph, or a mapping of names to subgraphs")
		if slices.ContainsFunc(named, func(e entry) bool { return slices.Contains(graphKeys, e.key) }) {
			// One subgraph without the dash before it.
			named = []entry{{"default_graph", subgraphs.at, subgraphs.value}}
		}
		for _, g := range named {
			own := r.known(r.mapping(g.value, "a subgraph is a mapping of keys to values"), allModelKeys, "subgraph "+g.key)
			r.pathElement("a subgraph's name", g.key, g.at)
			m.Graphs = append(m.Graphs, r.graph(g.key, m.Name, g.at, keys, own))
		}
	}
	if len(m.Graphs) == 0 && ok {
		r.bad(subgraphs.at, "model %s: there is no subgraph under subgraphs", m.Name)
	}
	if b, ok := keys["backend"]; ok && r.text(b) != "" {
		m.Backend = r.text(b)
	}
	return m
}

// thresholds reads validation_threshold.
func (r *reader) thresholds(e entry) map[string]float64 {
	out := map[string]float64{}
	for _, t := range r.mapping(e.value, "validation_threshold is a mapping of "+strings.Join(thresholds, ", ")+" to similarities") {
		name := strings.ToUpper(t.key)
		if !slices.Contains(thresholds, name) {
			r.warn(t.at, "unknown key %q in validation_threshold%s; it is ignored", t.key, suggest.DidYouMean(t.key, thresholds))
			continue
		}
		if name == "DSP" {
			name = "HEXAGON"
		}
		v, err := strconv.ParseFloat(r.text(t), 64)
		if err != nil || !(v <= 1) {
			r.bad(r.at(t.value), "validation_threshold: %q is no similarity; write a number up to 1", r.text(t))
			continue
		}
		out[name] = v
	}
	return out
}

// graph reads a subgraph: its own keys over its model's.
func (r *reader) graph(name, model string, at Position, inherited map[string]entry, own []entry) Graph {
	keys := maps.Clone(inherited)
	for _, e := range own {
		keys[e.key] = e
	}
	g := Graph{Name: name, At: at, Runtime: "cpu"}
	get := func(key string) (entry, bool) {
		e, ok := keys[key]
		return e, ok && e.value != nil
	}
	flag := func(key string) bool {
		e, ok := get(key)
		return ok && r.flag(e)
	}
	g.Quantize, g.LargeWeights = flag("quantize"), flag("quantize_large_weights")
	g.ChangeConcatRanges = flag("change_concat_ranges")
	if g.Quantize && g.LargeWeights {
		r.bad(keys["quantize_large_weights"].at, "quantize and quantize_large_weights exclude each other: quantized models have 8-bit weights already")
	}
	if e, ok := get("quantize_schema"); ok && r.text(e) != "" {
		g.Schema = r.word(e, schemas)
	}
	g.Ranges = r.resource(keys, "quantize_range_file", "")
	if e, ok := get("runtime"); ok {
		if g.Runtime = r.word(e, runtimes); g.Runtime == "hexagon" {
			g.Runtime = "dsp"
		}
		if g.Runtime != "cpu" && g.Runtime != "" {
			r.notes.add("runtime", "runtime "+g.Runtime)
		}
	}
	if e, ok := get("data_type"); ok {
		g.DataType = r.word(e, dataTypes)
		if (strings.HasPrefix(g.DataType, "fp16") || strings.HasPrefix(g.DataType, "bf16")) && !g.Quantize {
			r.notes.add("data", "data_type "+g.DataType)
		}
	}
	r.withoutMeaning(keys)
	g.Inputs = r.inputs(model, at, get)
	g.Outputs = r.outputs(model, at, "output", get)
	if _, ok := get("check_tensors"); ok {
		g.Checks = r.outputs(model, at, "check", get)
	}
	g.ValidationInputs = r.resources(get, "validation_inputs_data", len(g.Inputs), "input_tensors")
	g.ValidationOutputs = r.resources(get, "validation_outputs_data", len(g.Outputs), "output_tensors")
	return g
}

// withoutMeaning notes the keys that say something that has no meaning here. Those with MACE's default say nothing.
func (r *reader) withoutMeaning(keys map[string]entry) {
	for _, k := range []struct{ key, kind, usual string }{
		{"winograd", "gpu", "0"}, {"cl_mem_type", "gpu", "image"}, {"limit_opencl_kernel_time", "gpu", "0"},
		{"opencl_queue_window_size", "gpu", "0"}, {"nnlib_graph_mode", "dsp", "0"}, {"dsp_mode", "dsp", "0"},
		{"accelerator_api", "dsp", ""}, {"obfuscate", "obfuscate", "0"},
	} {
		if e, ok := keys[k.key]; ok && e.value != nil {
			if text := r.text(e); text != k.usual && text != "" {
				r.notes.add(k.kind, k.key+" "+text)
			}
		}
	}
	for _, k := range []struct{ key, kind string }{
		{"graph_optimize_options", "pipeline"}, {"accuracy_validation_script", "script"}, {"micro", "micro"},
		{"docker_image_tag", "docker"}, {"dockerfile_path", "docker"}, {"dockerfile_sha256_checksum", "docker"}, {"order", "order"},
	} {
		if e, ok := keys[k.key]; ok && e.value != nil {
			r.notes.add(k.kind, k.key)
		}
	}
}
