package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestHostileMemory reads files of less than 1 MiB that are made to take a lot of memory; each may take 1 GiB.
func TestHostileMemory(t *testing.T) {
	const size = 1<<20 - 1000
	fill := func(part []byte) string { return string(bytes.Repeat(part, size/len(part))) }
	list := initializer("w", []uint64{4}, number(2, 7), text(9, strings.Repeat("\x01\x00\x00\x00\x00\x00\x00\x00", 4)))
	huge := initializer("h", []uint64{2}, number(2, 7), text(9, strings.Repeat("\x00\x00\x00\x40\x00\x00\x00\x00", 2)))
	doubled := []string{list, nodeText("Concat", "c0", "w", "w")}
	for i := range 60 {
		doubled = append(doubled, nodeText("Concat", fmt.Sprintf("c%d", i+1), fmt.Sprintf("c%d", i), fmt.Sprintf("c%d", i)))
	}
	dimensions := string(message(2, string(message(1, string(message(2, fill(message(1))))))))
	for name, data := range map[string][]byte{
		"nodes":             modelOf(fill(message(1))),
		"attributes":        modelOf(string(message(1, string(text(2, "y")), string(text(4, "Relu")), fill(message(5))))),
		"inputs":            modelOf(string(message(1, string(text(2, "y")), string(text(4, "Concat")), fill(text(1, ""))))),
		"outputs":           modelOf(string(message(1, string(text(4, "Split")), string(text(1, "x")), fill(text(2, ""))))),
		"constants":         modelOf(fill(message(5))),
		"values":            modelOf(fill(message(13))),
		"dimensions":        modelOf(string(message(13, string(text(1, "v")), dimensions))),
		"dims":              modelOf(string(message(5, fill(number(1, 1))))),
		"packed":            modelOf(string(message(5, string(text(7, fill([]byte{1})))))),
		"metadata":          []byte(fill(message(14))),
		"operators":         modelOf(strings.Repeat(nodeText("Relu", "y", "x"), size/20)),
		"lists that double": modelOf(doubled...),
		"huge results": modelOf(huge, nodeText("ConstantOfShape", "a", "h"), nodeText("Expand", "b", "w", "h"), list,
			nodeText("Tile", "d", "w", "h"), nodeText("Shape", "s", "a"), nodeText("Gather", "e", "a", "b")),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := Read(data, Options{})
			runtime.ReadMemStats(&after)
			var format *FormatError
			if err != nil && !errors.As(err, &format) {
				t.Errorf("%T: %v", err, err)
			}
			// What is allocated in all, freed or not, is no less than what is in use at any one time.
			total := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d bytes: %d MiB", len(data), total>>20)
			if total > 1<<30 {
				t.Errorf("%d bytes took %d MiB", len(data), total>>20)
			}
		})
	}
}
