// The interposer's work done the usual way, in Go and by way of the typed specification: what berth's benchmark measures
// it beside. In front of an OCI runtime, for containerd's pods. It keeps no records, takes no lock, settles nothing and
// writes no log, all of which berth does beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const nsfsMagic = 0x6e736673

func main() {
	err := run()
	fmt.Fprintln(os.Stderr, "go-wrapper:", err)
	os.Exit(1)
}

// run becomes the delegate, and returns only if it cannot.
func run() error {
	delegate, err := exec.LookPath(strings.TrimPrefix(filepath.Base(os.Args[0]), "go-"))
	if err != nil {
		return err
	}
	if bundle, id, creates := parse(os.Args[1:]); creates {
		if err := adjust(bundle, id); err != nil {
			return err
		}
	}
	return syscall.Exec(delegate, append([]string{delegate}, os.Args[1:]...), os.Environ())
}

// parse finds bundle and id on runc's command line.
func parse(args []string) (bundle, id string, creates bool) {
	valued := map[string]bool{
		"root": true, "log": true, "log-format": true, "bundle": true, "b": true, "pid-file": true, "console-socket": true,
		"image-path": true, "work-path": true, "preserve-fds": true,
	}
	var command string
	bundle = "."
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			if command == "" {
				command = args[i]
			} else {
				id = args[i]
			}
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if valued[name] && !given && i+1 < len(args) {
			i++
			value = args[i]
		}
		if name == "bundle" || name == "b" {
			bundle = value
		}
	}
	return bundle, id, command == "create" || command == "run" || command == "restore"
}

// adjust pins the pod's network namespace and writes its path and the container's identity into the bundle.
func adjust(bundle, id string) error {
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	kind, sandbox := spec.Annotations["io.kubernetes.cri.container-type"], id
	if kind == "container" {
		sandbox = spec.Annotations["io.kubernetes.cri.sandbox-id"]
	}
	if kind == "" || sandbox == "" {
		return nil
	}
	spec.Annotations["ocid/container_type"] = kind
	spec.Annotations["ocid/sandbox_id"] = sandbox
	spec.Annotations["ocid/sandbox_name"] = spec.Annotations["io.kubernetes.cri.sandbox-name"]
	for i := range spec.Linux.Namespaces {
		if entry := &spec.Linux.Namespaces[i]; entry.Type == specs.NetworkNamespace {
			if entry.Path, err = pin(entry.Path, sandbox); err != nil {
				return err
			}
		}
	}
	return replace(path, &spec)
}

// pin makes the pin of a sandbox, unless it stands, and returns its path.
func pin(source, sandbox string) (string, error) {
	path := filepath.Join(os.Getenv("BERTH_NETNS_DIR"), "go-"+sandbox)
	if standing, err := os.Open(path); err == nil {
		defer standing.Close()
		return path, verify(standing)
	}
	ns, err := os.Open(source)
	if err != nil {
		return "", err
	}
	defer ns.Close()
	if err := verify(ns); err != nil {
		return "", err
	}
	placeholder, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o400)
	if err != nil {
		return "", err
	}
	defer placeholder.Close()
	return path, syscall.Mount(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()), path, "", syscall.MS_BIND, "")
}

// verify makes sure that a file is a namespace.
func verify(file *os.File) error {
	var stat syscall.Statfs_t
	if err := syscall.Fstatfs(int(file.Fd()), &stat); err != nil {
		return err
	}
	if stat.Type != nsfsMagic {
		return errors.New(file.Name() + " is no namespace")
	}
	return nil
}

// replace puts the specification into the file's place, with the old one's mode and owner.
func replace(path string, spec *specs.Spec) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	old, err := os.Stat(path)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	defer temp.Close()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	owner := old.Sys().(*syscall.Stat_t)
	if err := errors.Join(temp.Chown(int(owner.Uid), int(owner.Gid)), temp.Chmod(old.Mode())); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
