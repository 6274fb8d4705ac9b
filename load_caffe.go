package octet

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/octet-nn/octet/internal/format"
	"github.com/octet-nn/octet/internal/format/caffe"
	"github.com/octet-nn/octet/internal/graph"
)

// Endings of the two files of a Caffe network.
const (
	caffeStructure = ".prototxt"
	caffeWeights   = ".caffemodel"
)

// isCaffe reports whether data is either file of a Caffe network.
func isCaffe(data []byte) bool { return caffe.IsStructure(data) || caffe.IsWeights(data) }

// readCaffe reads a Caffe network, of which data, in the file name, is one half. The other half is the file other of
// otherFS; without a name it is the one beside the first with the same name, or the only one there is. size is that of
// both files.
func readCaffe(data []byte, fsys *modelFiles, name string, otherFS fs.FS, other string, o LoadOptions) (g *graph.Graph, size int64, err error) {
	isStructure := caffe.IsStructure(data)
	ending := caffeStructure
	if isStructure {
		ending = caffeWeights
	}
	if other == "" {
		if other, err = beside(fsys, name, ending); err != nil {
			return nil, 0, err
		}
		otherFS = fsys.FS
	}
	second, err := readModelFile(fsys, otherFS, other, o)
	if err != nil {
		return nil, 0, err
	}
	if caffe.IsStructure(second) == isStructure {
		return nil, 0, fmt.Errorf("cannot load %s: %s is no %s file that belongs to it", name, other, ending)
	}
	options := caffe.Options{File: name, Weights: other, Limits: o.limits()}
	if isStructure {
		g, err = caffe.Read(data, second, options)
	} else {
		options.File, options.Weights = other, name
		g, err = caffe.Read(second, data, options)
	}
	return g, int64(len(data) + len(second)), err
}

// beside finds the other file of a Caffe network.
func beside(fsys fs.FS, name, ending string) (string, error) {
	same := strings.TrimSuffix(name, path.Ext(name)) + ending
	if _, err := fs.Stat(fsys, same); err == nil {
		return same, nil
	}
	entries, err := fs.ReadDir(fsys, path.Dir(name))
	if err != nil {
		return "", fmt.Errorf("cannot load %s: %w", name, err)
	}
	var found []string
	for _, e := range entries {
		if !e.IsDir() && path.Ext(e.Name()) == ending {
			found = append(found, path.Join(path.Dir(name), e.Name()))
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("cannot load %s: a Caffe network is two files; put %s beside it", name, same)
	}
	return "", fmt.Errorf("cannot load %s: a Caffe network is two files; which belongs to it, %s? Name that one %s", name, strings.Join(found, " or "), same)
}

// limits are the options as the readers of files know them.
func (o LoadOptions) limits() format.Limits {
	return format.Limits{MaxTensorBytes: o.MaxTensorBytes, MaxNodes: o.MaxNodes}
}
