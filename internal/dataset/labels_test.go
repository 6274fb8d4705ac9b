package dataset

import (
	"slices"
	"strings"
	"testing"

	"github.com/octet-nn/octet/tensor"
)

func TestLabels(t *testing.T) {
	vector := []Input{{Name: "x", DType: tensor.Float32, Dims: []int{1, 1}}}
	number := make([]byte, 4)
	for _, tc := range []struct {
		name   string
		files  []string
		labels string
		csv    string
		want   []int  // in the order of names
		err    string // or an error with these parts, separated by |
	}{
		{"leading integers of folders", []string{"0_cat/a.raw", "10_dog/a.raw", "9_owl/x.raw"}, "folder", "", []int{0, 10, 9}, ""},
		{"sorted folders", []string{"n02/a.raw", "n01/b.raw", "n01/c.raw"}, "folder", "", []int{0, 0, 1}, ""},
		{"folders, some with integers", []string{"1a/a.raw", "b/b.raw"}, "folder", "", []int{0, 1}, ""},
		{"innermost folder", []string{"val/3_c/a.raw", "val/5_d/a.raw"}, "folder", "", []int{3, 5}, ""},
		{"no folder", []string{"a.raw", "1/b.raw"}, "folder", "", nil, "no label for 1 of 2 samples: a.raw|in no folder"},
		{"file names", []string{"0007_x.raw", "d/12.raw"}, "filename", "", []int{7, 12}, ""},
		{"file names without", []string{"cat.raw", "1.raw"}, "filename", "", nil, "1 of 2 samples: cat.raw|begin with an integer"},
		{"two columns", []string{"a.raw", "b.raw"}, "l.csv", "a.raw,3\nb.raw,4\n", []int{3, 4}, ""},
		{"three columns", []string{"a.raw", "b.raw"}, "l.csv", "a.raw, 12, 3\nb.raw, 12, 4\n", []int{3, 4}, ""},
		{"header", []string{"a.raw"}, "l.csv", "file,class,source\na.raw,3,5\n", []int{3}, ""},
		{"header without a known name", []string{"a.raw"}, "l.csv", "f,y\na.raw,3\n", []int{3}, ""},
		{"byte order mark, CRLF, comment", []string{"a.raw"}, "l.csv", "\xef\xbb\xbfa.raw,3\r\n# b,c\r\n", []int{3}, ""},
		{"base names", []string{"d/a.raw", "e/b.raw"}, "l.csv", "a.raw,1\nb,2\n", []int{1, 2}, ""},
		{"paths", []string{"d/a.raw", "e/a.raw"}, "l.csv", "./d/a.raw,1\ne\\a.raw,2\n", []int{1, 2}, ""},
		{"ambiguous base names", []string{"d/a.raw", "e/a.raw"}, "l.csv", "a.raw,1\n", nil, "no label for 2 of 2"},
		{"class names", []string{"a.raw", "b.raw"}, "l.csv", "file,label\na.raw,dog\nb.raw,cat\n", []int{1, 0}, ""},
		{"missing", []string{"a.raw", "b.raw", "c.raw", "d.raw", "e.raw", "f.raw", "g.raw"}, "l.csv", "a.raw,1\n", nil,
			"l.csv: no label for 6 of 7 samples: b.raw, c.raw, d.raw, e.raw, f.raw and 1 more"},
		{"no class", []string{"a.raw"}, "l.csv", "a.raw,1\nb.raw,fish\nc.raw,-1\n", nil, `l.csv:2: "fish" is no class|or one of the 2 class names|l.csv:3`},
		{"one column", []string{"a.raw"}, "l.csv", "a.raw\n", nil, "l.csv:1: expected file,label"},
		{"two labels", []string{"a.raw"}, "l.csv", "a.raw,1\na.raw,2\n", nil, "l.csv:2: a.raw has the labels 1 and 2"},
		{"no labels", []string{"a.raw"}, "l.csv", "", nil, "no labels"},
		{"no file", []string{"a.raw"}, "other.csv", "", nil, `other.csv: there is no such file|"folder" or "filename"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := map[string][]byte{"l.csv": []byte(tc.csv)}
			for _, name := range tc.files {
				files[name] = number
			}
			// The same inside an archive, which has the label file too.
			archive := mapFS(map[string][]byte{"z.zip": zipped(t, files)})
			for _, open := range []func() (*Dataset, error){
				func() (*Dataset, error) {
					return OpenFS(mapFS(files), ".", vector, Options{Labels: tc.labels, Classes: []string{"cat", "dog"}})
				},
				func() (*Dataset, error) {
					return OpenFS(archive, "z.zip", vector, Options{Labels: tc.labels, Classes: []string{"cat", "dog"}})
				},
			} {
				d, err := open()
				if tc.err != "" {
					wantError(t, err, strings.Split(tc.err, "|")...)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				var got []int
				for i := range d.Len() {
					got = append(got, d.Label(i))
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("labels %v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestReadClasses(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string
		err  string
	}{
		{"cat\ndog\n", []string{"cat", "dog"}, ""},
		{"\xef\xbb\xbfcat\r\ndog, hound\r\n", []string{"cat", "dog, hound"}, ""},
		{"0 cat\n1 dog\n", []string{"cat", "dog"}, ""},
		{"2: fish\n0: cat\n", []string{"cat", "", "fish"}, ""},
		{"0\tcat\n1\tdog house\n", []string{"cat", "dog house"}, ""},
		{"7 up\ncola\n", []string{"7 up", "cola"}, ""},
		{"n01440764 tench, Tinca tinca\n", []string{"n01440764 tench, Tinca tinca"}, ""},
		{"0\n1\n2\n", []string{"0", "1", "2"}, ""},
		{"0 cat\n0 dog\n", nil, "class 0 has two names"},
		{"99999999 cat\n", nil, "not credible"},
		{"", nil, "empty"},
	} {
		got, err := ReadClasses(strings.NewReader(tc.text))
		if tc.err != "" {
			wantError(t, err, tc.err)
		} else if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, %v; want %q", tc.text, got, err, tc.want)
		}
	}
}
