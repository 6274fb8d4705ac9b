package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// findLabels is the class of every sample of s.
func findLabels(s source, o Options, openFile func(string) (fs.File, error), inside opener) (labeler, error) {
	if o.Labels == "" {
		return nil, nil
	}
	labels := make([]int, s.len())
	var missing []string
	collect := func(label func(id string) (int, bool)) {
		for i := range labels {
			var ok bool
			if labels[i], ok = label(s.id(i)); !ok {
				missing = append(missing, s.id(i))
			}
		}
	}
	why := ""
	switch o.Labels {
	case "folder":
		why = "they are in no folder of the data set"
		byName := folderLabels(s)
		collect(func(id string) (int, bool) {
			label, ok := byName[path.Base(path.Dir(id))]
			return label, ok
		})
	case "filename":
		why = "their names do not begin with an integer"
		collect(func(id string) (int, bool) { return leadingInteger(path.Base(id)) })
	default:
		data, err := readLabels(o.Labels, o.Limits.Bytes, openFile, inside)
		if err != nil {
			return nil, fmt.Errorf("labels %s: %w", o.Labels, err)
		}
		if isIDX(data) {
			found, err := readIDXLabels(bytes.NewReader(data), o.Limits.Bytes)
			if err != nil {
				return nil, fmt.Errorf("labels %s: %w", o.Labels, err)
			}
			if len(found) != len(labels) {
				return nil, fmt.Errorf("labels %s: it has %s for %s", o.Labels, plural(len(found), "label"), plural(len(labels), "sample"))
			}
			return func(i int) int { return found[i] }, nil
		}
		rows, err := parseLabels(o.Labels, data, o.Classes)
		if err != nil {
			return nil, err
		}
		why = "each line is: file,label"
		collect(labelFinder(s, rows))
	}
	if missing != nil {
		return nil, fmt.Errorf("labels %s: no label for %d of %s: %s (%s)",
			o.Labels, len(missing), plural(len(labels), "sample"), someNames(missing), why)
	}
	return func(i int) int { return labels[i] }, nil
}

// readLabels reads a label file on disk, or else in the folder or archive of the samples, decompressing .gz.
func readLabels(name string, limit int64, openFile func(string) (fs.File, error), inside opener) ([]byte, error) {
	f, err := openFile(name)
	if err != nil && inside != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)) {
		fsys, c, insideErr := inside()
		if insideErr != nil {
			return nil, insideErr
		}
		defer c.Close()
		f, insideErr = fsys.Open(path.Clean(strings.ReplaceAll(name, "\\", "/")))
		if insideErr != nil {
			return nil, errors.New(`there is no such file, neither by itself nor among the samples (besides files, labels can be "folder" or "filename")`)
		}
		err = nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New(`there is no such file (besides files, labels can be "folder" or "filename")`)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, limit)
	if err != nil || !bytes.HasPrefix(data, []byte("\x1f\x8b")) {
		return data, err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return readAll(z, limit)
}

// folderLabels numbers the folders that samples are in.
func folderLabels(s source) map[string]int {
	labels := map[string]int{}
	integers := true
	for i := range s.len() {
		if dir := path.Dir(s.id(i)); dir != "." {
			label, ok := leadingInteger(path.Base(dir))
			labels[path.Base(dir)] = label
			integers = integers && ok
		}
	}
	if integers {
		return labels
	}
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		labels[name] = i
	}
	return labels
}

// leadingInteger reads the digits that a name begins with.
func leadingInteger(name string) (int, bool) {
	end := 0
	for end < len(name) && name[end] >= '0' && name[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(name[:end])
	return n, err == nil
}

// labelFinder finds a sample among the rows of a CSV file: by its name in the data set, by the name of the file alone
// if no other sample has it, both also without extension, or by the number of a sample in its file.
func labelFinder(s source, rows map[string]int) func(id string) (int, bool) {
	bases := map[string]int{}
	for i := range s.len() {
		bases[path.Base(s.id(i))]++
	}
	return func(id string) (int, bool) {
		base := path.Base(id)
		names := []string{id, strings.TrimSuffix(id, path.Ext(id))}
		if bases[base] == 1 {
			names = append(names, base, strings.TrimSuffix(base, path.Ext(base)))
		}
		if i := strings.LastIndexByte(id, '#'); i >= 0 {
			if n, err := strconv.Atoi(id[i+1:]); err == nil {
				names = append(names, strconv.Itoa(n))
			}
		}
		for _, name := range names {
			if label, ok := rows[name]; ok {
				return label, true
			}
		}
		return 0, false
	}
}

// labelColumns are headings of the column with the class.
var labelColumns = []string{"label", "class", "class_index", "class_id", "target", "category"}

// parseLabels reads a CSV file: the file's name in the first column, the class, an index or one of classes, in the
// column called so or else in the last. All problems are reported, up to ten.
func parseLabels(name string, data []byte, classes []string) (map[string]int, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord, r.Comment = -1, true, true, '#'
	labels := map[string]int{}
	var problems []error
	column := -1
	for first := true; len(problems) < 10; first = false {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			break
		}
		line, _ := r.FieldPos(0)
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, line, fmt.Errorf(format, args...)))
		}
		if len(row) < 2 {
			bad("expected file,label, found %.80q", strings.Join(row, ","))
			continue
		}
		at := len(row) - 1
		if column >= 0 && column < len(row) {
			at = column
		}
		label, ok := classIndex(strings.TrimSpace(row[at]), classes)
		if !ok {
			if first {
				column = slices.IndexFunc(row, func(heading string) bool {
					return slices.Contains(labelColumns, strings.ToLower(strings.TrimSpace(heading)))
				})
				continue
			}
			bad("%.80q is no class: it must be an index from 0 on%s", row[at], orClassName(classes))
			continue
		}
		file := path.Clean(strings.ReplaceAll(strings.TrimSpace(row[0]), "\\", "/"))
		if before, twice := labels[file]; twice && before != label {
			bad("%s has the labels %d and %d", file, before, label)
		}
		labels[file] = label
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("%s: it has no labels; each line is: file,label", name)
	}
	return labels, nil
}

func orClassName(classes []string) string {
	if len(classes) == 0 {
		return ""
	}
	return fmt.Sprintf(" or one of the %d class names", len(classes))
}

func classIndex(text string, classes []string) (int, bool) {
	if i := slices.Index(classes, text); i >= 0 {
		return i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

// ReadClasses reads the names of classes: one a line, the first being class 0, or, if every line begins with an integer
// and a space, tab, colon or comma, the index and the name.
func ReadClasses(r io.Reader) ([]string, error) {
	const limit = 16 << 20
	data, err := readAll(r, limit)
	if err != nil {
		return nil, err
	}
	text := strings.TrimPrefix(string(data), "\xef\xbb\xbf")
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	indices, names := make([]int, len(lines)), make([]string, len(lines))
	numbered, highest := true, -1
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
		end := strings.IndexAny(lines[i], " \t:,")
		index, err := -1, error(nil)
		if end > 0 {
			index, err = strconv.Atoi(lines[i][:end])
		}
		if end <= 0 || err != nil || index < 0 {
			numbered = false
			break
		}
		indices[i], names[i] = index, strings.Trim(lines[i][end:], " \t:,")
		highest = max(highest, index)
	}
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	if !numbered {
		if len(lines) == 1 && lines[0] == "" {
			return nil, errors.New("the file of class names is empty")
		}
		return lines, nil
	}
	if highest >= 1<<20 {
		return nil, fmt.Errorf("class index %d is not credible", highest)
	}
	classes := make([]string, highest+1)
	for i, index := range indices {
		if classes[index] != "" {
			return nil, fmt.Errorf("line %d: class %d has two names, %s and %s", i+1, index, classes[index], names[i])
		}
		classes[index] = names[i]
	}
	return classes, nil
}
