// Package octet takes a trained float neural network, makes it an 8-bit one, tells what that cost, and runs both.
//
//	model, err := octet.Load("mobilenet_v2.onnx", octet.LoadOptions{})
//	samples, err := octet.OpenSamples("photos/", model.Inputs(), octet.SampleOptions{Preprocess: "imagenet"})
//	quantized, report, err := model.Quantize(ctx, samples, octet.QuantizeOptions{})
//	err = quantized.Save("mobilenet_v2.int8.onnx", octet.SaveOptions{})
//	session, err := quantized.Compile(octet.CompileOptions{})
//	outputs, err := session.Run(ctx, inputs)
//
// Everything is pure Go. Options are structs whose zero value is the default; no option changes results except those
// documented so. Long calls take a Progress function and return ctx.Err() soon after ctx ends.
package octet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/onnx"
	"github.com/octet-nn/octet/internal/format/tensorflow"
	"github.com/octet-nn/octet/internal/format/tflite"
	"github.com/octet-nn/octet/internal/graph"
	"github.com/octet-nn/octet/internal/mapped"
	"github.com/octet-nn/octet/internal/numeric"
	"github.com/octet-nn/octet/internal/op"
	"github.com/octet-nn/octet/internal/rewrite"
)

// Version is the version of this package and of the octet program.
const Version = "0.1.0"

// LoadOptions bound what a model file may ask for. The zero value has safe defaults.
type LoadOptions struct {
	MaxFileBytes   int64 // size of the model file; 0 means 4 GiB
	MaxTensorBytes int   // size of one constant; 0 means 2 GiB
	MaxNodes       int   // number of nodes; 0 means 250 000
	// Weights is the second file of a network that has two: beside a .prototxt, the .caffemodel, and the other way round.
	// Without it that is the file with the same name, or the only one of its kind in the folder.
	Weights string
	// Inputs and Outputs cut the network: it starts and ends at the values with these names. A name may end in :0, as
	// TensorFlow writes it. Empty lists leave that side as the file has it; TensorFlow networks that decode sound or images
	// start behind that (see Notes).
	Inputs, Outputs []string

	mapFrom int64 // size from which files are mapped; 0 means mapped.Threshold
}

const defaultMaxFileBytes = 4 << 30

// Load reads a model file; its format is found by its content. Weights stay slices of the file's bytes. Errors are a
// *FormatError where the file is not what it should be.
//
// Where the system can, files of 64 MiB and more are mapped, not read, for as long as the model is in use; a compiled
// session no longer needs them. Such a file may be replaced, as Save does, but not written over or cut short meanwhile.
func Load(path string, o LoadOptions) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot load the model: %w", err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("cannot load the model: %s is a folder, not a model file%s", path, format.Folder(os.DirFS(path)))
	}
	folder, err := openFolder(path)
	if err != nil {
		return nil, fmt.Errorf("cannot load the model: %w", err)
	}
	defer folder.Close()
	weights := folder
	if o.Weights != "" {
		if weights, err = openFolder(o.Weights); err != nil {
			return nil, fmt.Errorf("cannot load the weights: %w", err)
		}
		defer weights.Close()
		o.Weights = filepath.Base(o.Weights)
	}
	m, err := read(folder, filepath.Base(path), weights, o)
	if err != nil {
		return nil, err
	}
	m.path = path
	return m, nil
}

// folderOf is the folder of a file that the caller has named. That file may be a link to anywhere; what it names in turn,
// external data, cannot lead out of the folder, by links neither.
type folderOf struct {
	fs.FS // of root
	root  *os.Root
	path  string
}

func openFolder(path string) (*folderOf, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &folderOf{root.FS(), root, path}, nil
}

// Open opens a file of the folder, or the one that the caller has named.
func (f *folderOf) Open(name string) (fs.File, error) {
	if name == filepath.Base(f.path) {
		return os.Open(f.path)
	}
	return f.FS.Open(name)
}

// Stat is the same for fs.Stat.
func (f *folderOf) Stat(name string) (fs.FileInfo, error) {
	if name == filepath.Base(f.path) {
		return os.Stat(f.path)
	}
	return fs.Stat(f.FS, name)
}

// Close lets the folder go; files that are open stay so.
func (f *folderOf) Close() error { return f.root.Close() }

// Read is Load for a file of fsys, which may be embedded in the program. External data is read from the same fsys.
func Read(fsys fs.FS, name string, o LoadOptions) (*Model, error) { return read(fsys, name, fsys, o) }

// read is Read with the weights in a file system of their own.
func read(fsys fs.FS, name string, weights fs.FS, o LoadOptions) (*Model, error) {
	files := &modelFiles{FS: fsys, mapFrom: o.mapFrom}
	m, err := readFrom(files, name, weights, o)
	if err == nil && len(files.mapped) > 0 {
		m.graph.Backing = files.mapped
	}
	runtime.KeepAlive(files)
	return m, err
}

func readFrom(fsys *modelFiles, name string, weights fs.FS, o LoadOptions) (*Model, error) {
	data, err := readModelFile(fsys, fsys.FS, name, o)
	if err != nil {
		return nil, err
	}
	if isCaffe(data) {
		g, size, err := readCaffe(data, fsys, name, weights, o.Weights, o)
		if err != nil {
			return nil, err
		}
		if err := o.cut(g, name); err != nil {
			return nil, err
		}
		return &Model{graph: g, path: name, size: size}, nil
	}
	if o.Weights != "" {
		return nil, fmt.Errorf("cannot load %s: it is not a Caffe file, so %s has no use", name, o.Weights)
	}
	g, notes, err := readGraph(data, fsys, name, o)
	if err != nil {
		return nil, err
	}
	m := &Model{graph: g, path: name, size: int64(len(data)), notes: notes}
	if tflite.IsTFLite(data) && g.Metadata[MetadataArithmetic] != numeric.ONNX.String() {
		return m, nil // what its kernels compute on codes is typed already
	}
	if err := toTyped(g); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// cut applies Inputs and Outputs.
func (o LoadOptions) cut(g *graph.Graph, name string) error {
	if len(o.Inputs)+len(o.Outputs) == 0 {
		return nil
	}
	if err := rewrite.Cut(g, o.Inputs, o.Outputs); err != nil {
		return fmt.Errorf("cannot cut %s: %w", name, err)
	}
	return nil
}

// modelFiles are the files that one model is read from. Those that were mapped have to be kept as long as its graph.
type modelFiles struct {
	fs.FS
	mapFrom int64
	mapped  map[string]*mapped.File // by name in FS, or by the name of a weights file
}

// Map is the content of a file, without reading it; nil if it is small, or in a file system that is none of the system's.
func (f *modelFiles) Map(name string) ([]byte, error) { return f.mapIn(f.FS, name) }

func (f *modelFiles) mapIn(fsys fs.FS, name string) ([]byte, error) {
	if m := f.mapped[name]; m != nil && fsys == f.FS {
		return m.Bytes(), nil
	}
	least := f.mapFrom
	if least == 0 {
		least = mapped.Threshold
	}
	if info, err := fs.Stat(fsys, name); err != nil || !info.Mode().IsRegular() || info.Size() < least || info.Size() == 0 || !mapped.Supported {
		return nil, err
	}
	opened, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	file, ok := opened.(*os.File)
	if !ok {
		return nil, nil
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	m, err := mapped.Open(file, info.Size())
	if err != nil {
		return nil, err
	}
	if f.mapped == nil {
		f.mapped = map[string]*mapped.File{}
	}
	if fsys != f.FS {
		name = "weights/" + name
	}
	f.mapped[name] = m
	return m.Bytes(), nil
}

// readModelFile reads or maps a file of at most o.MaxFileBytes, which may be in another file system than files' own.
func readModelFile(files *modelFiles, fsys fs.FS, name string, o LoadOptions) ([]byte, error) {
	limit := o.MaxFileBytes
	if limit == 0 {
		limit = defaultMaxFileBytes
	}
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("cannot load the model: %w", err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("cannot load %s: it has %d bytes, the limit is %d (LoadOptions.MaxFileBytes)", name, info.Size(), limit)
	}
	data, err := files.mapIn(fsys, name)
	if data == nil && err == nil {
		data, err = readWhole(fsys, name, info.Size())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot load the model: %w", err)
	}
	return data, nil
}

// readWhole reads a file; a large one in two halves at once, because copying it out of the system's cache and clearing
// the memory for it is most of what loading costs.
func readWhole(fsys fs.FS, name string, size int64) ([]byte, error) {
	const large = 4 << 20
	if size < large || size > math.MaxInt {
		return fs.ReadFile(fsys, name)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at, ok := f.(io.ReaderAt)
	if !ok {
		return fs.ReadFile(fsys, name)
	}
	data := make([]byte, size)
	read := func(begin, end int64) error {
		_, err := io.ReadFull(io.NewSectionReader(at, begin, end-begin), data[begin:end])
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return fmt.Errorf("%s became shorter while it was read", name)
		}
		return err
	}
	half := make(chan error, 1)
	go func() { half <- read(size/2, size) }()
	return data, errors.Join(read(0, size/2), <-half)
}

// readGraph reads a model of whichever format its content shows. notes say what the reader did that people should know.
func readGraph(data []byte, fsys fs.FS, name string, o LoadOptions) (g *graph.Graph, notes []string, err error) {
	switch {
	case tflite.IsTFLite(data):
		g, err = tflite.Read(data, tflite.Options{File: name, Limits: o.limits(), Arithmetic: MetadataArithmetic})
	case tensorflow.IsGraph(data): // which cuts by itself, because files may have nodes that cannot be read before the cut
		return tensorflow.Read(data, tensorflow.Options{File: name, Limits: o.limits(), Inputs: o.Inputs, Outputs: o.Outputs})
	default:
		g, err = onnx.Read(data, onnx.Options{File: name, External: fsys, Limits: o.limits()})
		if err != nil {
			if other := format.Other(data, name); other != nil {
				err = other
			} else if !onnx.MayBeONNX(data) {
				err = format.Unknown(name)
			}
		}
	}
	if err == nil {
		if err = restoreStates(g); err != nil {
			return nil, nil, format.InFile(err, name)
		}
		err = o.cut(g, name)
	}
	return g, nil, err
}

// toTyped gives a network that simulates quantization (Quantize and Dequantize around float operators) the form in
// which its operators compute on codes, in the bodies of nodes as well. Float networks stay as the file has them.
func toTyped(g *graph.Graph) error {
	arithmetic := numeric.ONNX
	if name := g.Metadata[MetadataArithmetic]; name != "" {
		var err error
		if arithmetic, err = numeric.ParseArithmetic(name); err != nil {
			return err
		}
	}
	return typedBy(g, arithmetic)
}

func typedBy(g *graph.Graph, arithmetic numeric.Arithmetic) error {
	simulated := false
	for _, n := range g.Nodes {
		switch o := n.Op.(type) {
		case *op.Dequantize, *op.FakeQuantize:
			simulated = true
		case op.Bodied:
			bodies := o.Bodies()
			for i, body := range bodies {
				bodies[i] = body.Clone()
				if err := typedBy(bodies[i], arithmetic); err != nil {
					return fmt.Errorf("%s: %w", n.Describe(), err)
				}
			}
			n.Op = o.WithBodies(bodies)
		}
	}
	if !simulated {
		return nil
	}
	if err := rewrite.Simplify(g, rewrite.SimplifyOptions{}); err != nil {
		return err
	}
	options := rewrite.AbsorbOptions{Arithmetic: arithmetic}
	if arithmetic == numeric.TFLite || arithmetic == numeric.TFLite16x8 {
		options.Float = map[*graph.Node]string{}
		for _, n := range g.Nodes {
			if why := tflite.OnCodes(n); why != "" {
				options.Float[n] = why
			}
		}
	}
	if _, err := rewrite.Absorb(g, options); err != nil {
		return err
	}
	return g.Check()
}
