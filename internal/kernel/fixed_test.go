package kernel

import (
	"fmt"
	"math"
	"testing"

	"github.com/octet-nn/octet/internal/cpu"
	"github.com/octet-nn/octet/internal/numeric"
)

// fixedRequantizers is n of them whose multipliers are around least, growing by the factor.
func fixedRequantizers(row numeric.Arithmetic, n int, least, factor float32) []numeric.Requantizer {
	var all []numeric.Requantizer
	for range n {
		all = append(all, row.Requantizer(numeric.Convolution, numeric.Codes{Scale: least, Highest: 255}, 1, numeric.Codes{Scale: 1, Highest: 255}))
		least *= factor
	}
	return all
}

// Tiles of sums at their extremes, for shifts from none to the longest, rows and columns around a vector's.
func TestFixedTileIsRequantizerCode(t *testing.T) {
	sums := []int32{0, 1, -1, 2, -2, 3, 127, -128, 255, 256, 1 << 15, -1 << 15, 1<<30 - 1, 1 << 30, -1 << 30, -1<<30 - 1,
		math.MaxInt32, math.MaxInt32 - 1, math.MinInt32, math.MinInt32 + 1, 12345678, -12345678}
	r := random(9)
	for range 40 {
		sums = append(sums, int32(r.Uint32()), int32(r.Uint32())>>(r.IntN(24)))
	}
	limits := [][3]int32{{0, 0, 255}, {-128, -128, 127}, {255, 0, 255}, {127, -128, 127}, {3, -128, 127}, {10, 20, 200}, {10, 0, 5}}
	for _, tier := range cpu.Available() {
		if For(tier).Vector() == (Vector{}) {
			t.Logf("%v has no fixed-point tiles", tier)
			continue
		}
		for _, row := range []numeric.Arithmetic{numeric.MACE, numeric.TFLite} {
			for _, limit := range limits {
				for _, columns := range []int{1, 15, 16, 17, 31, 32, 33, 65} {
					for rows := range 4 {
						by := fixedRequantizers(row, columns, 0.99, 0.62)
						e := Epilogue{Requantizer: by, Fixed: NewFixedPoint(by, columns), ZeroPoint: limit[0], Lowest: limit[1], Highest: limit[2]}
						tile, ok := newFixedTile(&e, tier, Destination{Codes: []byte{}})
						if !ok {
							t.Fatal("not a fixed-point tile")
						}
						tile.of(e.Fixed, 0, columns)
						tile.stride, tile.rows, tile.sums = columns+3, rows, make([]int32, rows*(columns+3))
						for i := range tile.sums {
							tile.sums[i] = sums[r.IntN(len(sums))]
						}
						for i := range rows {
							tile.outStarts = append(tile.outStarts, (rows-1-i)*(columns+1))
						}
						tile.out = guarded(t, make([]byte, max(rows*(columns+1)-1, 0)))
						if rows > 0 {
							tile.run()
						}
						for i := range rows {
							for j := range columns {
								sum := tile.sums[i*tile.stride+j]
								got := tile.out[tile.outStarts[i]+j]
								if want := byte(by[j].Code(int64(sum), limit[0], limit[1], limit[2])); got != want {
									m, away, _ := by[j].Fixed()
									t.Fatalf("sum %d by %+v (away %v) is %d, want %d", sum, m, away, got, want)
								}
							}
							if i+1 < rows && tile.out[tile.outStarts[i+1]+columns] != 0 {
								t.Fatal("wrote between the rows")
							}
						}
					}
				}
			}
		}
	}
}

// Every row of the table of arithmetics decides about the codes, at every tier, with and without zero points of weights.
func TestProductInOtherArithmetics(t *testing.T) {
	const rows, depth, n = 13, 20, 35
	forEachTier(t, func(t *testing.T, s Set) {
		r := random(7)
		in, weights := randomCodes(r, rows*depth), randomCodes(r, n*depth)
		for _, row := range []numeric.Arithmetic{numeric.MACE, numeric.TFLite, numeric.Gemmlowp, numeric.TFLite16x8} {
			for _, zero := range [][]int32{nil, {77}} {
				for _, signed := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v/%v/%v", row, zero, signed), func(t *testing.T) {
						k := GemmInt8{s.PackInt8(Int8Weights{Matrix(depth, n, true), weights, true, zero}), rows, depth, n, signed, 9,
							Epilogue{ZeroPoint: 3, Lowest: 0, Highest: 255}}
						exact := make([]int32, rows*n)
						scratch := AlignedScratch(k.Scratch())
						k.Run(Destination{Sums: exact}, in, 0, k.Units(), scratch)
						k.Epilogue.Requantizer = fixedRequantizers(row, n, 0.4, 0.7)
						for _, fixed := range []*FixedPoint{nil, NewFixedPoint(k.Epilogue.Requantizer, n)} {
							k.Epilogue.Fixed = fixed
							got := make([]byte, rows*n)
							k.Run(Destination{Codes: got}, in, 0, k.Units(), scratch)
							for i, sum := range exact {
								if want := byte(k.Epilogue.Requantizer[i%n].Code(int64(sum), 3, 0, 255)); got[i] != want {
									t.Fatalf("code %d of sum %d is %d, want %d", i, sum, got[i], want)
								}
							}
						}
					})
				}
			}
		}
	})
}

// Every pair of codes, and shapes that do not fill a tile.
func TestSumInt8IsSumCode(t *testing.T) {
	forEachTier(t, func(t *testing.T, s Set) {
		for _, row := range numeric.Arithmetics() {
			for _, subtract := range []bool{false, true} {
				for _, signed := range []bool{false, true} {
					lowest, highest := limits(signed)
					of := func(scale float32, zero int32) numeric.Codes {
						return numeric.Codes{Scale: scale, ZeroPoint: lowest + zero, Lowest: lowest, Highest: highest}
					}
					sum := row.Sum(subtract, of(0.03, 100), of(0.011, 3), of(0.04, 128))
					for _, shape := range [][3][]int{
						{{256, 256}, {256, 1}, {1, 256}}, {{256, 256}, {256, 256}, {256, 1}}, {{3, 37}, {3, 37}, {3, 37}}, {{15}, {15}, {15}}, {{700}, {700}, {1}},
					} {
						broadcast, err := NewBroadcast(shape[0], shape[1], shape[2])
						if err != nil {
							t.Fatal(err)
						}
						k := NewSumInt8(broadcast, sum, signed, signed, s.Vector())
						elements := func(dims []int) int {
							n := 1
							for _, d := range dims {
								n *= d
							}
							return n
						}
						n := elements(shape[0])
						a, b := make([]byte, elements(shape[1])), make([]byte, elements(shape[2]))
						for i := range a {
							a[i] = byte(i)
						}
						for i := range b {
							b[i] = byte(i + i/256)
						}
						got, want := make([]byte, n), make([]byte, n)
						k.Run(got, a, b, 0, k.Units())
						runCodes(&broadcast, signed, signed, sum.Code, want, a, b, 0, k.Units())
						for i := range want {
							if got[i] != want[i] {
								t.Fatalf("%v, subtract %v: element %d of %v is %d, want %d", row, subtract, i, shape, int8(got[i]), int8(want[i]))
							}
						}
					}
				}
			}
		}
	})
}
