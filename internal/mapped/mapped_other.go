//go:build !unix || solaris || aix

package mapped

import (
	"errors"
	"os"
)

// Supported says whether files are mapped here.
const Supported = false

func mapFile(*os.File, int) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapFile([]byte) {}
