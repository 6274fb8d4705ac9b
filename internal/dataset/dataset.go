// Package dataset turns files into the samples a network is calibrated and evaluated with: images, raw numbers, NumPy
// and IDX files, in folders or zip archives, with labels and one declarative Preprocess.
//
// A Dataset never holds its samples: it holds their names, and reads and decodes a few samples ahead of the one being
// used, so its memory does not grow with their number. Files are untrusted: every size is bounded by Limits.
package dataset

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/octet-nn/octet/tensor"
)

// Input says what one input of a model takes.
type Input struct {
	Name  string
	DType tensor.DType
	// Dims are the sizes of the dimensions, -1 where unknown. Where there are two or more, the first is taken for the
	// batch: a sample always has 1 there, and who runs larger batches puts samples together.
	Dims []int
	// Scale and ZeroPoint quantize real values for an input of integer type: round(x/Scale)+ZeroPoint, clamped.
	// With Scale 0 an integer input takes the preprocessed numbers themselves.
	Scale     float32
	ZeroPoint int
}

// String describes the input for messages: x f32[?,3,224,224].
func (in Input) String() string {
	return in.Name + " " + in.DType.String() + dimsText(in.Dims)
}

// dimsText writes dimensions with ? for unknown ones.
func dimsText(dims []int) string {
	text := make([]string, len(dims))
	for i, d := range dims {
		text[i] = "?"
		if d >= 0 {
			text[i] = fmt.Sprint(d)
		}
	}
	return "[" + strings.Join(text, ",") + "]"
}

// sample is the input of one sample: with a batch of 1.
func (in Input) sample() Input {
	if len(in.Dims) >= 2 {
		in.Dims = slices.Clone(in.Dims)
		in.Dims[0] = 1
	}
	return in
}

// elements is how many elements a value has; ok is false if dimensions are unknown.
func (in Input) elements() (n int, ok bool) { return tensor.Count(in.Dims) }

// Sample is one set of values for a model's inputs.
type Sample struct {
	// ID is the name of the file inside the data set, with '/' between folders; for a file with many samples it is
	// followed by # and the number of the sample. It is unique, and samples come in the order of file names.
	ID string
	// Inputs has a tensor for every input of the model, of its element type, with a batch of 1. The receiver owns them.
	Inputs map[string]*tensor.Tensor
	// Label is the index of the right class, -1 if unknown.
	Label int
}

// Samples is a sequence of samples that can be gone through any number of times, always in the same order.
type Samples interface {
	// Len is how many samples there are. All may give fewer where files turn out to be unreadable.
	Len() int
	// All goes through the samples. It ends after the first error, among them ctx.Err().
	All(ctx context.Context) iter.Seq2[Sample, error]
}

// Of makes Samples of values in memory.
func Of(samples ...Sample) Samples { return list(samples) }

type list []Sample

func (l list) Len() int { return len(l) }

func (l list) All(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for _, s := range l {
			if err := ctx.Err(); err != nil {
				yield(Sample{}, err)
				return
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// Slice is the samples from (included) to to (not included), both clipped to what there is: Slice(s, 0, 100) to
// calibrate on, Slice(s, 100, s.Len()) to evaluate on. The others are not read if s is a *Dataset.
func Slice(s Samples, from, to int) Samples {
	from = min(max(from, 0), s.Len())
	to = max(min(to, s.Len()), from)
	switch s := s.(type) {
	case *Dataset:
		return s.Slice(from, to)
	case list:
		return s[from:to]
	}
	return &section{s, from, to}
}

// section is a part of Samples of which nothing is known.
type section struct {
	whole    Samples
	from, to int
}

func (s *section) Len() int { return s.to - s.from }

func (s *section) All(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		i := 0
		for sample, err := range s.whole.All(ctx) {
			if i >= s.to {
				return
			}
			if i >= s.from || err != nil {
				if !yield(sample, err) {
					return
				}
			}
			i++
		}
	}
}

// Limits bounds what files may make the program do. The zero value of each field stands for its default.
type Limits struct {
	Pixels int   // of one image, before it is decoded; 100 million
	Bytes  int64 // of one file, decompressed; 1 GiB
	Files  int   // in a folder or archive; 2 million
}

func (l Limits) withDefaults() Limits {
	if l.Pixels == 0 {
		l.Pixels = 100_000_000
	}
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Files == 0 {
		l.Files = 2_000_000
	}
	return l
}

// Options says how files become samples. The zero value suits arrays without labels.
type Options struct {
	// Preprocess turns images into numbers, and says how quantized arrays are read. Images for a floating-point input
	// need one.
	Preprocess *Preprocess
	// Labels says where labels come from: "" nowhere; "folder" the name of the folder a file is in (its leading
	// integer if all folders have one, otherwise the folder's position in the sorted list of names); "filename" the
	// leading integer of the file's name; otherwise the path of a CSV file (file,label or file,count,label, header
	// optional) or of an IDX label file, on disk or inside the folder or archive of samples.
	Labels string
	// Classes are the names of the classes, for CSV files that say names instead of indices.
	Classes []string
	// Workers is how many samples are decoded at once; 0 means one per available processor, at most 8. The samples
	// and their order do not depend on it.
	Workers int
	Limits  Limits
}

// Skipped is a file that was left out because it could not be read.
type Skipped struct {
	ID  string
	Err error
}

// Dataset is the Samples of a file, folder or archive. It is safe for concurrent use and holds no open files between
// passes.
type Dataset struct {
	path    string // as the user named it, for messages
	source  source
	labels  labeler
	workers int
	indices []int // the samples of this data set, as indices of source and labels; nil means all

	mu      sync.Mutex
	skipped map[string]error
}

// labeler is the class of a sample by index, -1 if unknown. A nil labeler knows none.
type labeler func(index int) int

// Len is how many samples the data set names. See Samples.
func (d *Dataset) Len() int {
	if d.indices != nil {
		return len(d.indices)
	}
	return d.source.len()
}

// index is the position in source of sample i.
func (d *Dataset) index(i int) int {
	if d.indices != nil {
		return d.indices[i]
	}
	return i
}

// ID is the name of sample i without reading it.
func (d *Dataset) ID(i int) string { return d.source.id(d.index(i)) }

// Label is the class of sample i without reading it, -1 if unknown.
func (d *Dataset) Label(i int) int {
	if d.labels == nil {
		return -1
	}
	return d.labels(d.index(i))
}

// Slice is the samples from (included) to to (not included). It panics unless 0 ≤ from ≤ to ≤ Len.
func (d *Dataset) Slice(from, to int) *Dataset {
	indices := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		indices = append(indices, i)
	}
	return d.Subset(indices)
}

// Subset is the samples at the given positions, in increasing order of position. It panics if one is not below Len.
func (d *Dataset) Subset(positions []int) *Dataset {
	indices := make([]int, len(positions))
	for i, p := range positions {
		if p < 0 || p >= d.Len() {
			panic(fmt.Sprintf("dataset: sample %d of %d", p, d.Len()))
		}
		indices[i] = d.index(p)
	}
	slices.Sort(indices)
	return &Dataset{path: d.path, source: d.source, labels: d.labels, workers: d.workers, indices: indices}
}

// Skipped lists the files that passes over this data set have left out so far, by name.
func (d *Dataset) Skipped() []Skipped {
	d.mu.Lock()
	defer d.mu.Unlock()
	files := make([]Skipped, 0, len(d.skipped))
	for id, err := range d.skipped {
		files = append(files, Skipped{id, err})
	}
	slices.SortFunc(files, func(a, b Skipped) int { return strings.Compare(a.ID, b.ID) })
	return files
}

func (d *Dataset) skip(id string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.skipped == nil {
		d.skipped = map[string]error{}
	}
	d.skipped[id] = err
}
