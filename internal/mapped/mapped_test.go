package mapped

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReplacedFile maps a file, replaces it by rename, as this program saves, and still sees the old content.
func TestReplacedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	old := bytes.Repeat([]byte("old content "), 10000)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	m := open(t, path)
	if err := os.WriteFile(path+".new", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("SKIP: an open file cannot be replaced here")
		}
		t.Fatal(err)
	}
	if !bytes.Equal(m.Bytes(), old) {
		t.Error("the content changed with the name")
	}
	runtime.KeepAlive(m)
}

// TestUnmapped waits until a file that nobody holds any more has left the list of mappings.
func TestUnmapped(t *testing.T) {
	const maps = "/proc/self/maps"
	if _, err := os.Stat(maps); err != nil || !Supported {
		t.Skip("SKIP: this system has no list of mappings")
	}
	path := filepath.Join(t.TempDir(), "unmapped-test")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	listed := func() bool {
		text, err := os.ReadFile(maps)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), "unmapped-test")
	}
	m := open(t, path)
	if !listed() {
		t.Fatal("the file is not mapped")
	}
	if m.Bytes()[1<<20-1] != 0 {
		t.Error("the last byte is wrong")
	}
	runtime.KeepAlive(m)
	for range 100 {
		runtime.GC()
		if !listed() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the file is still mapped")
}

func TestEmptyFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f, 0); err == nil {
		t.Error("an empty file was mapped")
	}
}
