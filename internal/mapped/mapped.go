// Package mapped makes the bytes of large files available without reading them into memory: the system brings in the
// pages that are looked at, and may take them back. Systems that cannot map files read them.
package mapped

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

// Threshold is the size from which mapping a file beats reading it: below, a private copy costs little and nothing that
// happens to the file later can reach it.
const Threshold = 64 << 20

// File is the content of a file. The bytes are valid for as long as the File is reachable, so whoever keeps a part of
// them must keep the File as well.
type File struct {
	data []byte
}

// Open maps an open file of the given size, or reads it where the system cannot; the file may be closed afterwards. A
// file that others replace by another of the same name stays what it was; one that they write over changes under the
// program, and one that they cut short ends it.
func Open(f *os.File, size int64) (*File, error) {
	if size <= 0 || int64(int(size)) != size {
		return nil, fmt.Errorf("%s has %d bytes, which cannot be mapped", f.Name(), size)
	}
	if !Supported {
		data := make([]byte, size)
		if _, err := io.ReadFull(f, data); err != nil {
			return nil, err
		}
		return &File{data}, nil
	}
	data, err := mapFile(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	m := &File{data}
	runtime.AddCleanup(m, unmapFile, data)
	return m, nil
}

// Bytes is the content; it must not be written to.
func (f *File) Bytes() []byte { return f.data }
