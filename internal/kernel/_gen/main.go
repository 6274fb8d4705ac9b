// Command gen writes the assembly of package kernel. Run it by go generate in that package; with -check it compares
// instead of writing.
//
// Each target is a pair of files, NAME_ARCH.s and its Go declarations NAME_ARCH.go, made by one function of this
// package. Kernels are written as Go functions that print instructions, so that tile sizes and instruction sets are
// arguments. Nothing but the standard library is needed: the Go assembler knows most instructions by name, and
// encode.go has the bytes of the others.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// target is one pair of generated files.
type target struct {
	name  string // of the files, with the architecture and without extension
	write func(f *file)
}

var targets = []target{
	{"product_int8_amd64", productInt8},
	{"gemv_int8_amd64", gemvAVX512},
	{"product_f32_amd64", productF32},
	{"winograd_amd64", winograd},
	{"product_amx_amd64", productAMX},
	{"product_arm64", productARM64},
	{"depthwise_arm64", depthwiseARM64},
	{"elementwise_arm64", elementsARM64},
	{"pool_arm64", poolsARM64},
	{"rows_arm64", rowsARM64},
	{"unary_arm64", unaryARM64},
	{"fixed_int8_amd64", fixedInt8},
	{"terms_amd64", terms},
	{"depthwise_int8_amd64", depthwiseInt8},
	{"depthwise_f32_amd64", depthwiseF32},
	{"elementwise_amd64", elementwise},
	{"pool_amd64", pools},
	{"move_amd64", moves},
	{"unary_amd64", unary},
	{"rows_amd64", rows},
}

func main() {
	out := flag.String("out", "..", "folder of package kernel")
	check := flag.Bool("check", false, "say which files differ from what would be written, and write nothing")
	flag.Parse()
	failed := false
	for _, t := range targets {
		f := &file{}
		t.write(f)
		for name, text := range map[string][]byte{t.name + ".s": f.source(), t.name + ".go": f.declarations()} {
			path := filepath.Join(*out, name)
			if *check {
				if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) {
					fmt.Fprintf(os.Stderr, "%s is not what the generator writes: run go generate ./internal/kernel\n", name)
					failed = true
				}
				continue
			}
			if err := os.WriteFile(path, text, 0o644); err != nil {
				fmt.Fprintln(os.Stderr, err)
				failed = true
			}
		}
	}
	if failed {
		os.Exit(1)
	}
}
