package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/octet-nn/octet/internal/suggest"
)

// Resource is a file that a deployment file refers to by a path or by a URL.
type Resource struct {
	Key      string // of the deployment file
	Text     string // as it is written there
	Checksum string // SHA-256 in hexadecimal; "" if none is given
	At       Position
	// ChecksumAt is where the checksum stands.
	ChecksumAt Position
}

// IsURL reports whether the file is on the network.
func (r Resource) IsURL() bool {
	return strings.HasPrefix(r.Text, "http://") || strings.HasPrefix(r.Text, "https://")
}

var hexadecimal = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

// resource reads a path and its checksum, whose key may be ""; nil if there is no path.
func (r *reader) resource(keys map[string]entry, key, checksumKey string) *Resource {
	e, ok := keys[key]
	if !ok || e.value == nil || r.text(e) == "" {
		return nil
	}
	res := &Resource{Key: key, Text: r.text(e), At: r.at(e.value)}
	if checksumKey == "" {
		return res
	}
	sum := keys[checksumKey]
	if sum.value != nil {
		res.Checksum, res.ChecksumAt = strings.ToLower(r.text(sum)), r.at(sum.value)
	}
	switch {
	case res.Checksum == "":
		r.warn(res.At, "%s has no %s: whether it is the right file cannot be checked", key, checksumKey)
	case !hexadecimal.MatchString(res.Checksum):
		r.bad(res.ChecksumAt, "%s: %q is no SHA-256 checksum, which has 64 hexadecimal digits; sha256sum FILE prints it", checksumKey, res.Checksum)
	}
	return res
}

// resources reads a list of paths, one for each of n tensors.
func (r *reader) resources(get getter, key string, n int, tensors string) []Resource {
	e, ok := get(key)
	if !ok {
		return nil
	}
	var list []Resource
	for _, i := range r.counted(e, tensors, n) {
		list = append(list, Resource{Key: key, Text: i.text, At: i.at})
	}
	return list
}

// CacheFolder is where, under the working directory or the deployment file's folder, files that a URL names are looked
// for.
const CacheFolder = "build/cache"

// Found is a resource's file on this machine.
type Found struct {
	Path string
	// Warning says what is doubtful about it; nil if nothing is.
	Warning *Problem
}

// Find is a resource's file on this machine. A relative path is looked up in the deployment file's folder and, if it
// is not there, in the working directory, where MACE's tools look. Nothing is downloaded: a URL's file may lie, under its
// own name, in either of the two or in build/cache of either, or where MACE's own converter has put it. If there is a
// checksum the file is compared with it.
func (f *File) Find(m *Model, r Resource) (Found, error) {
	problem := func(at Position, format string, args ...any) error {
		return Problem{f.Path, at, fmt.Sprintf(format, args...)}
	}
	if r.IsURL() {
		return f.findURL(m, r, problem)
	}
	if filepath.IsAbs(r.Text) {
		return Found{Path: r.Text}, f.check(r, r.Text, problem)
	}
	beside, here := filepath.Join(filepath.Dir(f.Path), r.Text), filepath.Clean(r.Text)
	besideInfo, err := os.Stat(beside)
	hereInfo, hereErr := os.Stat(here)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Found{}, problem(r.At, "%s: %v", r.Key, err)
	case err != nil && hereErr != nil:
		return Found{}, problem(r.At, "%s: there is no file %s, neither beside the deployment file nor in the working directory%s",
			r.Key, r.Text, nearbyFiles(beside))
	case err != nil:
		return Found{Path: here}, f.check(r, here, problem)
	}
	found := Found{Path: beside}
	if hereErr == nil && !os.SameFile(besideInfo, hereInfo) && r.Checksum == "" {
		found.Warning = &Problem{f.Path, r.At, fmt.Sprintf("%s: there are two files, %s and %s; the one beside the deployment file is taken (MACE takes the other)",
			r.Key, beside, here)}
	}
	err = f.check(r, beside, problem)
	if err != nil && hereErr == nil && f.check(r, here, problem) == nil {
		return Found{Path: here}, nil
	}
	return found, err
}

func (f *File) findURL(m *Model, r Resource, problem func(at Position, format string, args ...any) error) (Found, error) {
	name := r.Text
	if u, err := url.Parse(r.Text); err == nil {
		name = path.Base(u.Path)
	}
	if name == "" || name == "." || name == "/" || strings.ContainsAny(name, "/\\") {
		return Found{}, problem(r.At, "%s: %s names no file", r.Key, r.Text)
	}
	dir := filepath.Dir(f.Path)
	candidates := []string{
		filepath.Join(dir, name), filepath.Join(dir, CacheFolder, name), name, filepath.Join(CacheFolder, name),
		filepath.Join("build", m.Name, "org_model", name+"-"+r.Checksum+".pb"), // MACE's converter downloads to there
	}
	var mismatch error
	for _, c := range candidates {
		if _, err := os.Stat(c); err != nil {
			continue
		}
		err := f.check(r, c, problem)
		if err == nil {
			return Found{Path: c}, nil
		}
		if mismatch == nil {
			mismatch = err
		}
	}
	if mismatch != nil {
		return Found{}, mismatch
	}
	return Found{}, problem(r.At, "%s: %s is on the network, and nothing is ever downloaded. Fetch it yourself, to this folder or beside the deployment file:\n  mkdir -p %s && curl -L -o %s/%s '%s'",
		r.Key, r.Text, CacheFolder, CacheFolder, name, r.Text)
}

// check compares a file with its checksum.
func (f *File) check(r Resource, path string, problem func(at Position, format string, args ...any) error) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return problem(r.At, "%s: %v", r.Key, err)
	case info.IsDir():
		return problem(r.At, "%s: %s is a folder, not a file", r.Key, path)
	case r.Checksum == "":
		return nil
	}
	sum, err := checksum(path)
	if err != nil {
		return problem(r.At, "%s: %v", r.Key, err)
	}
	if sum != r.Checksum {
		return problem(r.ChecksumAt, "%s has the SHA-256 checksum %s, not %s: it is another file, or damaged. If it is the right one, write its checksum here",
			path, sum, r.Checksum)
	}
	return nil
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// maxListed bounds how many files of a folder are compared with a name.
const maxListed = 10000

// nearbyFiles is a sentence with files of similar names in the folder where one was expected.
func nearbyFiles(path string) string {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return ""
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxListed) // an unreadable folder has nothing to suggest
	return suggest.DidYouMean(filepath.Base(path), names)
}
