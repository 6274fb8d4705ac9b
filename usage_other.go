//go:build !linux

package octet

import "time"

// processorTime is how much processor time the process has used; ok is false where that is not known.
func processorTime() (used time.Duration, ok bool) { return 0, false }

// peakBytes is the largest resident size of the process so far; 0 where it is not known.
func peakBytes() int64 { return 0 }
