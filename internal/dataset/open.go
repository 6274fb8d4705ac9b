package dataset

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// What a sample file can be.
type kind uint8

const (
	unknownKind kind = iota
	imageKind
	rawKind
	npyKind
	npzKind
	idxKind
)

// kinds are the endings of file names that are samples.
var kinds = map[string]kind{
	".jpg": imageKind, ".jpeg": imageKind, ".png": imageKind, ".bmp": imageKind, ".webp": imageKind, ".gif": imageKind,
	".raw": rawKind, ".bin": rawKind, ".npy": npyKind, ".npz": npzKind,
}

// supported names what can be opened, for messages.
const supported = "images (.jpg .jpeg .png .bmp .webp .gif), .npy, .npz, .raw or .bin numbers, an IDX file, " +
	"a folder or a .zip archive of such files"

// kindByName is the kind of file that a name promises.
func kindByName(name string) kind { return kinds[strings.ToLower(path.Ext(name))] }

// kindOf is the kind of a file by how it begins, or by its name where that says nothing. Raw numbers may begin with
// anything, so their name decides.
func kindOf(name string, data []byte) kind {
	named := kindByName(name)
	switch {
	case named == rawKind:
		return rawKind
	case imageFormat(data) >= 0:
		return imageKind
	case bytes.HasPrefix(data, []byte(npyMagic)):
		return npyKind
	}
	return named
}

// Open finds the samples in a file, a folder (with the folders in it) or a .zip archive, which is not unpacked:
//
//   - images, .raw or .bin files with the bytes of one sample: little-endian float32 or elements of the input's type,
//     .npy files with one array, .npz files with one array for each input;
//   - for several inputs also one folder for each, called like the input (see FileName), with files of equal names;
//   - one .npy file with many samples along its first axis; one raw file of many samples; one IDX file, plain or .gz.
//
// Nothing is decoded yet. The error says what was looked for and what is there.
func Open(name string, inputs []Input, o Options) (*Dataset, error) {
	if name == "" {
		return nil, fmt.Errorf("samples: no path given; samples can be %s", supported)
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	dir, base := filepath.Split(absolute)
	if base == "" {
		base = "."
	}
	place := place{os.DirFS(dir), base, name}
	return open(place, inputs, o, func(name string) (fs.File, error) { return os.Open(name) })
}

// OpenFS is Open for a file, folder or archive in fsys, for example an embedded one. Label files are looked for in fsys
// too.
func OpenFS(fsys fs.FS, name string, inputs []Input, o Options) (*Dataset, error) {
	return open(place{fsys, name, name}, inputs, o, fsys.Open)
}

// place is where a data set is.
type place struct {
	fsys fs.FS
	name string // in fsys
	path string // for messages
}

// builder is what opening needs to know everywhere.
type builder struct {
	place   place
	inputs  []Input // of one sample
	options Options
	images  []*imageInput // by input, nil where images are impossible
	// imageErrors says why images are impossible, by input.
	imageErrors []error
}

func open(at place, inputs []Input, o Options, openLabels func(string) (fs.File, error)) (*Dataset, error) {
	fail := func(format string, args ...any) (*Dataset, error) {
		return nil, fmt.Errorf("samples %s: %w", at.path, fmt.Errorf(format, args...))
	}
	if len(inputs) == 0 {
		return fail("the model has no inputs")
	}
	o.Limits = o.Limits.withDefaults()
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), 8)
	}
	if o.Preprocess != nil {
		if err := o.Preprocess.Validate(); err != nil {
			return fail("preprocessing: %w", err)
		}
	}
	b := &builder{place: at, options: o}
	for _, in := range inputs {
		m, err := newImageInput(in, o.Preprocess, o.Limits.Pixels)
		b.images, b.imageErrors = append(b.images, m), append(b.imageErrors, err)
		b.inputs = append(b.inputs, in.sample())
	}
	info, err := fs.Stat(at.fsys, at.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail("there is no such file or folder")
	case err != nil:
		return fail("%w", err)
	case !info.IsDir() && !info.Mode().IsRegular():
		return fail("it is neither a file nor a folder")
	}
	var s source
	inside := openFolder(at)
	if info.IsDir() {
		s, err = b.folder(inside)
	} else {
		s, inside, err = b.file(info.Size())
	}
	if err != nil {
		return fail("%w", err)
	}
	d := &Dataset{path: at.path, source: s, workers: o.Workers}
	if d.labels, err = findLabels(s, o, openLabels, inside); err != nil {
		return nil, err
	}
	return d, nil
}

// opener gives access to the files of a folder or archive for one pass.
type opener func() (fs.FS, io.Closer, error)

type noCloser struct{}

func (noCloser) Close() error { return nil }

func openFolder(at place) opener {
	return func() (fs.FS, io.Closer, error) {
		folder, err := fs.Sub(at.fsys, at.name)
		return folder, noCloser{}, err
	}
}

// openArchive reads the directory of a zip archive. A file system whose files cannot be read at any place costs a copy
// in memory, at most limit bytes.
func openArchive(at place, limit int64) opener {
	return func() (fs.FS, io.Closer, error) {
		f, err := at.fsys.Open(at.name)
		if err != nil {
			return nil, nil, err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, nil, err
		}
		content, ok := f.(io.ReaderAt)
		size := info.Size()
		if !ok {
			data, err := readAll(f, limit)
			if err != nil {
				f.Close()
				return nil, nil, err
			}
			content, size = bytes.NewReader(data), int64(len(data))
		}
		archive, err := zip.NewReader(content, size)
		if err != nil {
			f.Close()
			return nil, nil, fmt.Errorf("bad zip archive: %w", err)
		}
		return archive, f, nil
	}
}

// readAll reads to the end, which must come within limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	if limit < math.MaxInt64 {
		r = io.LimitReader(r, limit+1)
	}
	data, err := io.ReadAll(r)
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than the limit of %d bytes", limit)
	}
	return data, err
}

// file finds the samples in one file. For an archive it also returns what opens it, otherwise nil.
func (b *builder) file(size int64) (source, opener, error) {
	f, err := b.place.fsys.Open(b.place.name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	start := make([]byte, 64)
	n, err := io.ReadFull(f, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, err
	}
	start = start[:n]
	kind := kindOf(b.place.name, start)
	switch {
	case size == 0:
		return nil, nil, errors.New("the file is empty")
	case kind == npyKind:
		s, err := b.npy(size)
		return s, nil, err
	case kind == rawKind:
		s, err := b.raw(size)
		return s, nil, err
	case kind == npzKind || kind == imageKind:
		s, err := b.single()
		return s, nil, err
	case bytes.HasPrefix(start, []byte("PK")):
		inside := openArchive(b.place, b.options.Limits.Bytes)
		s, err := b.folder(inside)
		return s, inside, err
	case bytes.HasPrefix(start, []byte("\x1f\x8b")) || isIDX(start):
		s, err := b.idx(size)
		return s, nil, err
	}
	return nil, nil, fmt.Errorf("unknown type of file; samples can be %s", supported)
}

// ReadTensor reads one file as the whole value of an input, of any batch: .npy, .npz (the array of the input's name),
// .raw or .bin, or an image. Dimensions of -1 follow from the file; of a raw file, one can.
func ReadTensor(name string, in Input, o Options) (*tensor.Tensor, error) {
	o.Limits = o.Limits.withDefaults()
	t, err := readTensor(name, in, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func readTensor(name string, in Input, o Options) (*tensor.Tensor, error) {
	f, err := os.Open(name)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // the caller says the name
		}
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, o.Limits.Bytes)
	if err != nil {
		return nil, err
	}
	b := &builder{inputs: []Input{in}, options: o}
	m, err := newImageInput(in, o.Preprocess, o.Limits.Pixels)
	b.images, b.imageErrors = []*imageInput{m}, []error{err}
	r := &filesReader{files: &files{builder: b, parts: [][]string{{name}}, required: true}}
	values, err := r.decode(0, payload{data})
	return values[in.Name], err
}

// single is one file with one sample.
func (b *builder) single() (source, error) {
	dir, base := path.Split(b.place.name)
	dir = path.Clean(dir)
	s := &files{builder: b, ids: []string{base}, parts: [][]string{{base}}, required: true}
	s.opener = openFolder(place{b.place.fsys, dir, b.place.path})
	if err := b.checkKinds(s); err != nil {
		return nil, err
	}
	return s, nil
}

func (b *builder) quantized() *Quantized {
	if b.options.Preprocess == nil {
		return nil
	}
	return b.options.Preprocess.Quantized
}

// severalInputs explains that what was found has values for one input only.
func (b *builder) severalInputs(found string) error {
	names, folders := make([]string, len(b.inputs)), make([]string, len(b.inputs))
	for i, in := range b.inputs {
		names[i], folders[i] = in.Name, FileName(in.Name)+"/"
	}
	return fmt.Errorf("the model has %d inputs (%s), one %s cannot feed them: give an .npz file for each sample with arrays of these names, "+
		"or a folder with %s and files of equal names in them", len(names), strings.Join(names, ", "), found, strings.Join(folders, " "))
}
