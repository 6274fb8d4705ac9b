//go:build !amd64 || noasm

package kernel

func (s *winogradInput) run(int) { panic("kernel: no row of gemmF32Table has Winograd's transforms") }

func (s *winogradOutput) run(int) { panic("kernel: no row of gemmF32Table has Winograd's transforms") }
