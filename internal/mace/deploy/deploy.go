// Package deploy reads MACE deployment files: which models there are, where their files lie, what goes in and comes
// out, and how they are to be quantized. It knows every key that MACE's converter and its runners know, in the spelling
// of either of MACE's two generations of tools.
package deploy

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds a deployment file, in bytes; real ones have a few thousand. maxNesting bounds lists and mappings inside
// of each other, which take the parser of YAML a time that grows with the square of their depth.
const (
	maxFile    = 1 << 18
	maxNesting = 32
)

// File is a deployment file.
type File struct {
	Path string
	// LibraryName names the folder that converted models are written to; "" if the file has none (MACE's CMake tools
	// do not ask for it).
	LibraryName string
	// QuantizeStat asks for models whose ranges are to be collected.
	QuantizeStat bool
	Models       []Model // in the file's order
	// Warnings are what is probably a mistake but does not stop anything.
	Warnings []Problem
	// Notes say what was accepted and has no meaning here, one for each kind of thing.
	Notes []string
}

// Model is one entry of models.
type Model struct {
	Name     string
	At       Position
	Platform string // tensorflow, caffe, onnx, megengine, keras or pytorch
	File     Resource
	Weights  *Resource // the second file of Caffe models; nil if there is none
	// Thresholds are the similarities that validation has to exceed, by MACE's names of runtimes in capitals: CPU, GPU,
	// HEXAGON, HTA, QUANTIZE. It holds what the file gives; see DefaultThreshold.
	Thresholds map[string]float64
	Backend    string // the framework of an ONNX model's reference run: tensorflow unless given
	Graphs     []Graph
}

// Graph is one subgraph of a model, with the settings of the model where it has none of its own.
type Graph struct {
	Name    string
	At      Position
	Inputs  []Input
	Outputs []Output
	// Checks replace the outputs while a quantized model is checked.
	Checks   []Output
	Runtime  string // cpu, gpu, dsp, hta, apu, htp or cpu+gpu
	DataType string // fp32_fp32, fp16_fp32, …; "" if not given
	Quantize bool
	// Schema is the quantize_schema: "" (8-bit unsigned, asymmetric), int8, mace_apu_16bit_per_tensor or
	// mace_htp_u16a_s8w.
	Schema string
	Ranges *Resource // quantize_range_file; nil if there is none
	// LargeWeights asks for weights that are stored in 8 bits and used as floats.
	LargeWeights       bool
	ChangeConcatRanges bool
	// ValidationInputs and ValidationOutputs are files of raw values in the order of Inputs and Outputs; nil if not given.
	ValidationInputs, ValidationOutputs []Resource
}

// Input describes a graph's input.
type Input struct {
	Name, Alias string
	At          Position
	Shape       []int
	Type        string // float32, float16, bfloat16, int32, int16 or uint8
	Format      string // NHWC, NCHW, NONE, …: the layout of files and buffers, in capitals
	// Range is [lowest, highest]: input_ranges, [-1, 1] if the file has none.
	Range [2]float64
}

// Output describes a graph's output.
type Output struct {
	Name, Alias string
	At          Position
	Shape       []int
	ShapeAt     Position
	Type        string
	Format      string
}

// Position is a place in the deployment file, counted from 1; Line 0 means the file as a whole.
type Position struct{ Line, Column int }

// Problem is something wrong at a place of the file.
type Problem struct {
	File string
	At   Position
	Text string
}

func (p Problem) Error() string {
	if p.At.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.At.Line, p.At.Column, p.Text)
}

// Error is all that is wrong with a file, in the order of places, and what would have been warnings without it.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Load reads the deployment file at path; lookup finds environment variables (os.LookupEnv) for ${NAME}. What is wrong
// with the content is an *Error.
func Load(path string, lookup func(name string) (string, bool)) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("deployment file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("deployment file: %w", err)
	}
	return Parse(path, data, lookup)
}

// Model is the model of a name, or nil.
func (f *File) Model(name string) *Model {
	for i := range f.Models {
		if f.Models[i].Name == name {
			return &f.Models[i]
		}
	}
	return nil
}

// Folder is where a model's converted files go: build/<library name>/model under output, or
// build/<model name>/model if the file names no library, as MACE's CMake tools have it.
func (f *File) Folder(output string, m *Model) string {
	name := f.LibraryName
	if name == "" {
		name = m.Name
	}
	return filepath.Join(output, name, "model")
}

// Threshold is the similarity that validation of a graph has to exceed: the file's or MACE's own.
func (m *Model) Threshold(g *Graph) float64 {
	key := "CPU"
	switch g.Runtime {
	case "gpu", "cpu+gpu":
		key = "GPU"
	case "dsp":
		key = "HEXAGON"
	case "hta", "apu", "htp":
		key = strings.ToUpper(g.Runtime)
	}
	if (key == "CPU" || key == "GPU") && (g.Quantize || g.LargeWeights) {
		key = "QUANTIZE"
	}
	if t, ok := m.Thresholds[key]; ok {
		return t
	}
	switch key {
	case "CPU":
		return 0.999
	case "GPU":
		return 0.995
	}
	return 0.980
}
