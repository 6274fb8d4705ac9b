package octet

import (
	"context"
	"fmt"
	"io/fs"
	"iter"

	"github.com/octet-nn/octet/internal/dataset"
	"github.com/octet-nn/octet/tensor"
)

// Sample is one set of values for a model's inputs.
type Sample struct {
	// ID names the sample, usually its file. Calibration counts a sample once per ID.
	ID string
	// Inputs has a tensor for every input of the model, of its element type; where an input has a batch dimension the
	// sample has 1 there.
	Inputs map[string]*tensor.Tensor
	// Label is the index of the right class, −1 if unknown.
	Label int
}

// Samples is a sequence of samples that can be gone through any number of times, always in the same order.
type Samples interface {
	// Len is how many samples there are; All may give fewer where files turn out to be unreadable.
	Len() int
	// All goes through the samples and ends after the first error, among them ctx.Err().
	All(ctx context.Context) iter.Seq2[Sample, error]
}

// SliceSamples makes Samples of values in memory.
func SliceSamples(samples ...Sample) Samples { return memorySamples(samples) }

type memorySamples []Sample

// Len is how many samples there are.
func (m memorySamples) Len() int { return len(m) }

// All goes through the samples.
func (m memorySamples) All(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for _, s := range m {
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

// SampleOptions say how files become samples. The zero value suits arrays without labels.
type SampleOptions struct {
	// Preprocess says how images become numbers: the name of a preset ("imagenet", "caffe", …), the path of a YAML
	// file, or the text that a quantized model stores.
	Preprocess string
	// Labels says where labels come from: "" nowhere, "folder" the name of the folder a file is in, "filename" the
	// leading integer of its name, otherwise the path of a CSV file.
	Labels string
	// Classes are the names of the classes, for CSV files that say names instead of indices.
	Classes []string
	// Offset and Limit choose a part of the samples in the order of their names: skip Offset, then take Limit
	// (0: all the rest).
	Offset, Limit int
	// MaxPixels bounds the size of an image before it is decoded; 0 means 100 million.
	MaxPixels int
}

// FileSamples are the samples of a file, folder or archive. Memory does not grow with their number.
type FileSamples struct{ set *dataset.Dataset }

// OpenSamples opens images (JPEG, PNG, BMP, WebP, GIF), .npy, .npz, raw or IDX files for the given inputs: a single
// file, a folder, a folder per input, or a zip archive of any of those.
func OpenSamples(path string, inputs []ValueInfo, o SampleOptions) (*FileSamples, error) {
	return openSamples(inputs, o, func(wanted []dataset.Input, options dataset.Options) (*dataset.Dataset, error) {
		return dataset.Open(path, wanted, options)
	})
}

// ReadSamples is OpenSamples for a file, folder or archive of fsys, which may be embedded in the program. A CSV file of
// labels is read from fsys too.
func ReadSamples(fsys fs.FS, name string, inputs []ValueInfo, o SampleOptions) (*FileSamples, error) {
	return openSamples(inputs, o, func(wanted []dataset.Input, options dataset.Options) (*dataset.Dataset, error) {
		return dataset.OpenFS(fsys, name, wanted, options)
	})
}

func openSamples(inputs []ValueInfo, o SampleOptions, open func([]dataset.Input, dataset.Options) (*dataset.Dataset, error)) (*FileSamples, error) {
	if o.Offset < 0 || o.Limit < 0 {
		return nil, fmt.Errorf("offset %d and limit %d of samples cannot be negative", o.Offset, o.Limit)
	}
	options := dataset.Options{Labels: o.Labels, Classes: o.Classes, Limits: dataset.Limits{Pixels: o.MaxPixels}}
	if o.Preprocess != "" {
		p, err := dataset.LoadPreprocess(o.Preprocess)
		if err != nil {
			return nil, err
		}
		options.Preprocess = p
	}
	wanted := make([]dataset.Input, len(inputs))
	for i, in := range inputs {
		wanted[i] = dataset.Input{Name: in.Name, DType: in.DType, Dims: in.Shape}
		if q := in.Quantization; q != nil && len(q.Scale) == 1 {
			wanted[i].Scale, wanted[i].ZeroPoint = q.Scale[0], int(q.ZeroPoint[0])
		}
	}
	set, err := open(wanted, options)
	if err != nil {
		return nil, err
	}
	from := min(o.Offset, set.Len())
	to := set.Len()
	if o.Limit > 0 {
		to = from + min(o.Limit, to-from)
	}
	return &FileSamples{set.Slice(from, to)}, nil
}

// Len is how many samples the files name.
func (f *FileSamples) Len() int { return f.set.Len() }

// All goes through the samples in the order of their names. Unreadable files are skipped, see Skipped; it is an error
// if none is left.
func (f *FileSamples) All(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		for s, err := range f.set.All(ctx) {
			if !yield(Sample(s), err) {
				return
			}
		}
	}
}

// SkippedFile is a file that was left out because it could not be read.
type SkippedFile struct {
	ID  string // name of the sample, usually its file
	Err error  // why it could not be read
}

// Skipped lists the files that passes over the samples have left out so far, by name.
func (f *FileSamples) Skipped() []SkippedFile {
	var files []SkippedFile
	for _, s := range f.set.Skipped() {
		files = append(files, SkippedFile(s))
	}
	return files
}

// Preprocess is the compact text of a preprocessing (preset name, YAML path or text), in the form that a quantized
// model stores.
func Preprocess(nameOrPath string) (string, error) {
	p, err := dataset.LoadPreprocess(nameOrPath)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}
