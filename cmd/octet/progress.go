package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/octet-nn/octet"
)

// progressDelay is how long a command may take before it shows progress.
const progressDelay = 2 * time.Second

// progress shows how far a long call has come and when it will end, if stderr is a terminal and the call takes longer
// than progressDelay. done takes the display away.
func progress(stderr io.Writer, what string) (report octet.Progress, done func()) {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, func() {}
	}
	return progressOn(stderr, what, progressDelay)
}

func progressOn(w io.Writer, what string, delay time.Duration) (report octet.Progress, done func()) {
	gate := &delayed{w: w, from: time.Now().Add(delay)}
	var bar *progressbar.ProgressBar
	report = func(n, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetWriter(gate),
				progressbar.OptionSetDescription(what),
				progressbar.OptionSetWidth(30),
				progressbar.OptionShowCount(),
				progressbar.OptionSetPredictTime(true),
				progressbar.OptionThrottle(200*time.Millisecond),
				progressbar.OptionClearOnFinish(),
				progressbar.OptionSetRenderBlankState(false),
			)
		}
		// A failure to draw is no reason to stop.
		_ = bar.Set(min(n, total))
	}
	done = func() {
		if bar != nil {
			_ = bar.Clear()
		}
	}
	return report, done
}

// delayed drops what is written before a moment: short calls show nothing, and yet the time that long ones will take
// is predicted from their beginning.
type delayed struct {
	w    io.Writer
	from time.Time
}

func (d *delayed) Write(p []byte) (int, error) {
	if time.Now().Before(d.from) {
		return len(p), nil
	}
	return d.w.Write(p)
}
