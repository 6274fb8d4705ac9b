//go:build (!amd64 && !arm64) || noasm

package kernel

func (r *gemmInt8Row) finishes() bool { return false }

func (r *gemmInt8Row) finish(*tileInt8) { panic("kernel: plain Go requantizes sums one by one") }

func (r *gemmInt8Row) finishRows(*tileInt8) { panic("kernel: plain Go requantizes sums one by one") }
