// Command amx runs a program as if the processor had AMX, on Linux on amd64: go test -exec takes it.
//
//	go build -C internal/kernel/_amx -o /tmp/amx . && go test -exec /tmp/amx ./internal/cpu ./internal/kernel
//
// It is a debugger. CPUID and XGETBV of the packages that ask say that there are tiles and that they are saved, Linux
// seems to give permission for them, and what then is no instruction to the real processor is executed here, by its
// definition, on tiles that each thread has of its own. Everything else runs on the real processor, which must have
// AVX-512 VNNI. Tiles are never lost, as Linux saves them; that they are released is checked.
package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

func cpuid(leaf, sub uint32) (a, b, c, d uint32)

func xgetbv0() (low, high uint32)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: amx PROGRAM [ARGUMENT...]")
		os.Exit(2)
	}
	status, err := run(os.Args[1], os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "amx:", err)
		os.Exit(1)
	}
	if status.Signaled() {
		fmt.Fprintln(os.Stderr, "amx:", os.Args[1], "ended by", status.Signal())
		os.Exit(128 + int(status.Signal()))
	}
	os.Exit(status.ExitStatus())
}

// debugger runs one program.
type debugger struct {
	process  int
	threads  map[int]*unit
	stops    map[uint64][]byte // instructions that are replaced by breakpoints
	asked    bool              // the program has permission
	counts   map[byte]int      // of instructions, by opcode
	inSystem map[int]bool      // threads in a system call
}

// What package syscall lacks.
const (
	optionExitKill = 0x100000
	allThreads     = 0x40000000 // __WALL
	archPermitted  = 0x1022     // ARCH_GET_XCOMP_PERM
	archPermit     = 0x1023     // ARCH_REQ_XCOMP_PERM
	tileData       = 18
	systemStop     = syscall.SIGTRAP | 0x80
)

func run(program string, args []string) (syscall.WaitStatus, error) {
	runtime.LockOSThread() // one thread of this process is the debugger
	path, err := exec.LookPath(program)
	if err != nil {
		return 0, err
	}
	process, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return 0, err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(process, &status, allThreads, nil); err != nil {
		return 0, err
	}
	if !status.Stopped() {
		return status, nil
	}
	if err := syscall.PtraceSetOptions(process, syscall.PTRACE_O_TRACECLONE|syscall.PTRACE_O_TRACESYSGOOD|optionExitKill); err != nil {
		return 0, err
	}
	d := debugger{process: process, threads: map[int]*unit{process: {}}, stops: map[uint64][]byte{}, counts: map[byte]int{}, inSystem: map[int]bool{}}
	if err := d.setStops(path); err != nil {
		return 0, err
	}
	d.resume(process, 0)
	return d.loop()
}

// setStops replaces the instructions that ask what the processor can do. They are found by their bytes and those of
// what stores the answer, because test binaries have no symbols.
func (d *debugger) setStops(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	text := f.Section(".text")
	if text == nil || f.Type != elf.ET_EXEC {
		return errors.New(path + " is no Go program of fixed position")
	}
	code, err := text.Data()
	if err != nil {
		return err
	}
	for _, instruction := range [][]byte{{0x0f, 0xa2}, {0x0f, 0x01, 0xd0}} { // CPUID, XGETBV
		pattern := append(bytes.Clone(instruction), 0x89, 0x44, 0x24) // MOVL AX, …(SP)
		for at := 0; ; at++ {
			i := bytes.Index(code[at:], pattern)
			if i < 0 {
				break
			}
			at += i
			d.stops[text.Addr+uint64(at)] = instruction
			if _, err := syscall.PtracePokeText(d.process, uintptr(text.Addr)+uintptr(at), []byte{0xcc}); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume lets a thread go on with a signal. System calls stop it only until there is permission.
func (d *debugger) resume(thread int, signal syscall.Signal) {
	if d.asked {
		syscall.PtraceCont(thread, int(signal)) // fails if it has been killed, which Wait4 will say
	} else {
		syscall.PtraceSyscall(thread, int(signal))
	}
}

func (d *debugger) loop() (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		thread, err := syscall.Wait4(-1, &status, allThreads, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if status.Exited() || status.Signaled() {
			if u := d.threads[thread]; u != nil && u.configured && thread != d.process && !status.Signaled() {
				fmt.Fprintln(os.Stderr, "amx: a thread ended without releasing its tiles")
			}
			delete(d.threads, thread)
			if thread == d.process {
				if os.Getenv("AMX_COUNTS") != "" {
					fmt.Fprintf(os.Stderr, "amx: %d configurations and tiles cleared, %d loads and stores, %d products\n", d.counts[0x49], d.counts[0x4b], d.counts[0x5e])
				}
				return status, nil
			}
			continue
		}
		signal := status.StopSignal()
		switch {
		case d.threads[thread] == nil: // a new one stops once
			d.threads[thread] = &unit{}
			if signal == syscall.SIGSTOP {
				signal = 0
			}
		case signal == systemStop:
			signal = 0
			err = d.system(thread)
		case signal == syscall.SIGTRAP && status.TrapCause() > 0:
			signal = 0
		case signal == syscall.SIGTRAP:
			signal, err = d.stop(thread)
		case signal == syscall.SIGILL:
			signal, err = d.illegal(thread)
		}
		if err != nil && err != syscall.ESRCH {
			return 0, err
		}
		d.resume(thread, signal)
	}
}

// stop is a breakpoint.
func (d *debugger) stop(thread int) (syscall.Signal, error) {
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &r); err != nil {
		return 0, err
	}
	instruction := d.stops[r.Rip-1]
	if instruction == nil {
		return syscall.SIGTRAP, nil
	}
	if len(instruction) == 2 {
		leaf, sub := uint32(r.Rax), uint32(r.Rcx)
		a, b, c, dx := cpuid(leaf, sub)
		if leaf == 7 && sub == 0 {
			dx |= 1<<24 | 1<<25 // AMX-TILE and AMX-INT8
		}
		r.Rax, r.Rbx, r.Rcx, r.Rdx = uint64(a), uint64(b), uint64(c), uint64(dx)
	} else {
		low, high := xgetbv0()
		r.Rax, r.Rdx = uint64(low|1<<17|1<<18), uint64(high)
	}
	r.Rip += uint64(len(instruction)) - 1
	return 0, syscall.PtraceSetRegs(thread, &r)
}

// system is a system call's begin or end: the end of those about permission gets another result.
func (d *debugger) system(thread int) error {
	d.inSystem[thread] = !d.inSystem[thread]
	if d.inSystem[thread] {
		return nil
	}
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &r); err != nil {
		return err
	}
	if r.Orig_rax != syscall.SYS_ARCH_PRCTL {
		return nil
	}
	switch {
	case r.Rdi == archPermit && r.Rsi == tileData:
		r.Rax = 0
	case r.Rdi == archPermitted:
		r.Rax = 0
		permitted := binary.LittleEndian.AppendUint64(nil, 0xff|1<<17|1<<tileData)
		if err := (space{thread}).write(r.Rsi, permitted); err != nil {
			return err
		}
		d.asked = true
	default:
		return nil
	}
	return syscall.PtraceSetRegs(thread, &r)
}

// illegal executes what the processor could not, or gives the program the signal that a processor with AMX would.
func (d *debugger) illegal(thread int) (syscall.Signal, error) {
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(thread, &r); err != nil {
		return 0, err
	}
	first := true
	for ; first || rand.IntN(16) > 0; first = false { // a signal may come between any two
		var code [16]byte
		if (space{thread}).read(r.Rip, code[:]) != nil || !isAMX(code[:]) {
			break
		}
		if !d.asked {
			fmt.Fprintf(os.Stderr, "amx: % x at %#x without permission\n", code[:8], r.Rip)
			break
		}
		general := registers{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}
		length, err := d.threads[thread].execute(code[:], &general, space{thread})
		if err != nil {
			fmt.Fprintf(os.Stderr, "amx: at %#x: %v\n", r.Rip, err)
			if f := (fault{}); first && errors.As(err, &f) {
				return f.signal, nil
			}
			break // it comes back as the first
		}
		d.counts[code[3]]++
		r.Rip += uint64(length)
	}
	if first {
		return syscall.SIGILL, nil
	}
	return 0, syscall.PtraceSetRegs(thread, &r)
}

// space is the memory of a thread's process, with its protection.
type space struct{ thread int }

func (s space) read(at uint64, to []byte) error {
	const processVMReadv = 310
	return s.transfer(processVMReadv, "reading", at, to)
}

func (s space) write(at uint64, from []byte) error {
	const processVMWritev = 311
	return s.transfer(processVMWritev, "writing", at, from)
}

func (s space) transfer(call uintptr, what string, at uint64, here []byte) error {
	local := struct {
		base   unsafe.Pointer
		length uintptr
	}{unsafe.Pointer(&here[0]), uintptr(len(here))}
	remote := struct{ base, length uintptr }{uintptr(at), uintptr(len(here))}
	n, _, errno := syscall.Syscall6(call, uintptr(s.thread), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 || int(n) != len(here) {
		return fault{syscall.SIGSEGV, fmt.Sprintf("%s %d bytes at %#x: %v", what, len(here), at, errno)}
	}
	return nil
}
