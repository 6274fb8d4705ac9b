package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/octet-nn/octet/tensor"
)

// files is the source of a folder or archive: a sample is one file, or one file for each input.
type files struct {
	*builder
	opener   opener
	ids      []string
	parts    [][]string // names of files: one list with that of each sample, or one such list for each input
	required bool       // an unreadable file is an error, not left out
}

func (s *files) len() int        { return len(s.ids) }
func (s *files) id(i int) string { return s.ids[i] }

func (s *files) open() (reader, error) {
	fsys, c, err := s.opener()
	if err != nil {
		return nil, fmt.Errorf("samples %s: %w", s.place.path, err)
	}
	return &filesReader{s, fsys, c}, nil
}

type filesReader struct {
	*files
	fsys   fs.FS
	closer io.Closer
}

func (r *filesReader) close() error { return r.closer.Close() }

// tolerate marks an error as one that a folder does without.
func (r *filesReader) tolerate(err error) error {
	if r.required {
		return err
	}
	return unreadable{err}
}

func (r *filesReader) fetch(i int) (payload, error) {
	p := make(payload, len(r.parts))
	for k, names := range r.parts {
		data, err := readFile(r.fsys, names[i], r.options.Limits.Bytes)
		if err != nil {
			return nil, r.tolerate(err)
		}
		p[k] = data
	}
	return p, nil
}

// readFile is fs.ReadFile for at most limit bytes.
func readFile(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

func (r *filesReader) decode(i int, p payload) (map[string]*tensor.Tensor, error) {
	if len(r.parts) == 1 && kindOf(r.parts[0][i], p[0]) == npzKind {
		arrays, err := ReadNPZ(p[0], r.options.Limits.Bytes)
		if err != nil {
			return nil, r.tolerate(err)
		}
		return npzInputs(arrays, r.inputs, r.quantized())
	}
	inputs := make(map[string]*tensor.Tensor, len(r.inputs))
	for k, names := range r.parts {
		t, err := r.value(k, names[i], p[k])
		if err != nil {
			if len(r.parts) > 1 {
				err = fmt.Errorf("%s: %w", names[i], err)
			}
			return nil, err
		}
		inputs[r.inputs[k].Name] = t
	}
	return inputs, nil
}

// value is the value of input k in a file.
func (r *filesReader) value(k int, name string, data []byte) (*tensor.Tensor, error) {
	in := r.inputs[k]
	switch kindOf(name, data) {
	case imageKind:
		if r.imageErrors[k] != nil {
			return nil, r.imageErrors[k]
		}
		p, err := decodeImage(data, r.options.Limits.Pixels)
		if err != nil {
			return nil, r.tolerate(err)
		}
		return r.images[k].value(p)
	case npyKind:
		t, err := ReadNPY(bytes.NewReader(data), r.options.Limits.Bytes)
		if err != nil {
			return nil, r.tolerate(err)
		}
		return fit(t, in, r.quantized())
	case rawKind:
		return rawValue(data, in, r.quantized())
	}
	return nil, errors.New("unknown type of file; it can be an image, .npy, .npz, .raw or .bin")
}

// folder finds the samples of a folder or archive.
func (b *builder) folder(open opener) (source, error) {
	fsys, c, err := open()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, others, err := b.list(fsys)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if len(others) > 0 {
			slices.Sort(others)
			return nil, fmt.Errorf("there are no samples in it, only %s; samples can be %s", someNames(others), supported)
		}
		return nil, fmt.Errorf("it is empty; samples can be %s", supported)
	}
	s := &files{builder: b, opener: open}
	if parts, ids, err := b.byInput(names); err != nil {
		return nil, err
	} else if parts != nil {
		s.parts, s.ids = parts, ids
	} else {
		s.parts, s.ids = [][]string{names}, names
	}
	return s, b.checkKinds(s)
}

// list is the names of files that can be samples, sorted, and of others.
func (b *builder) list(fsys fs.FS) (names, others []string, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "__MACOSX")
		if entry.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			info, err := fs.Stat(fsys, name)
			if err != nil || !info.Mode().IsRegular() {
				return nil // a link to a folder could lead around in circles
			}
		} else if !entry.Type().IsRegular() {
			return nil
		}
		if hidden || kindByName(name) == unknownKind {
			others = append(others, name)
		} else {
			names = append(names, name)
		}
		if len(names)+len(others) > b.options.Limits.Files {
			return fmt.Errorf("there are more files in it than the limit of %d", b.options.Limits.Files)
		}
		return nil
	})
	slices.Sort(names)
	return names, others, err
}

// byInput pairs up the files of a folder that has one folder for each of several inputs. parts is nil if it has not.
func (b *builder) byInput(names []string) (parts [][]string, ids []string, err error) {
	if len(b.inputs) == 1 {
		return nil, nil, nil
	}
	tops := map[string]map[string]string{} // folder -> name in it without extension -> file
	for _, name := range names {
		top, rest, ok := strings.Cut(name, "/")
		if !ok {
			continue
		}
		if tops[top] == nil {
			tops[top] = map[string]string{}
		}
		tops[top][strings.TrimSuffix(rest, path.Ext(rest))] = name
	}
	folders := make([]map[string]string, len(b.inputs))
	for i, in := range b.inputs {
		for top, content := range tops {
			if top == in.Name || FileName(top) == FileName(in.Name) {
				folders[i] = content
			}
		}
		if folders[i] == nil {
			return nil, nil, nil
		}
	}
	count := map[string]int{}
	for _, folder := range folders {
		for id := range folder {
			count[id]++
		}
	}
	var lonely []string
	for id, n := range count {
		if n == len(folders) {
			ids = append(ids, id)
		} else {
			lonely = append(lonely, id)
		}
	}
	slices.Sort(ids)
	if lonely != nil {
		slices.Sort(lonely)
		return nil, nil, fmt.Errorf("%s without a file for each of the %d inputs: %s",
			plural(len(lonely), "sample"), len(b.inputs), someNames(lonely))
	}
	parts = make([][]string, len(folders))
	for i, folder := range folders {
		for _, id := range ids {
			parts[i] = append(parts[i], folder[id])
		}
	}
	return parts, ids, nil
}

// checkKinds finds, before anything is read, that files cannot be values of their inputs.
func (b *builder) checkKinds(s *files) error {
	for k, names := range s.parts {
		for _, name := range names {
			kind := kindByName(name)
			if kind != npzKind && len(s.parts) < len(b.inputs) {
				return b.severalInputs("file like " + name)
			}
			if kind == imageKind && b.imageErrors[k] != nil {
				return b.imageErrors[k]
			}
		}
	}
	return nil
}
