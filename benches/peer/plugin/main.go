// The daemon's work done the usual way, in Go and on the reference NRI stub: what berth's benchmark measures it beside. It
// pins a pod's network namespace by a bind mount, gives each container three annotations and the pin's path, and removes
// the pin when the pod stops or goes. It keeps no records, takes no lock, compares nothing, watches nothing and writes no
// log, all of which berth does beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

const nsfsMagic = 0x6e736673

func main() {
	err := run()
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

// run serves until the runtime hangs up.
func run() error {
	socket := flag.String("socket", "/var/run/nri/nri.sock", "where the runtime listens")
	dir := flag.String("netns-dir", "", "where pins are made")
	constant := flag.Bool("constant", false, "do nothing, and answer CreateContainer from a constant")
	flag.Parse()
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	var plugin any = &peer{dir: *dir, pods: map[string]string{}}
	if *constant {
		plugin = &fixed{adjustment("sandbox", "name", filepath.Join(*dir, "peer-sandbox"))}
	}
	nri, err := stub.New(plugin, stub.WithPluginName("peer"), stub.WithPluginIdx("10"), stub.WithSocketPath(*socket))
	if err != nil {
		return err
	}
	if err := nri.Run(context.Background()); err != nil {
		return err
	}
	return errors.New("the runtime hung up")
}

// peer knows the pins of pods by their ids.
type peer struct {
	dir  string
	lock sync.Mutex
	pods map[string]string
}

// Synchronize pins all pods there are.
func (p *peer) Synchronize(
	_ context.Context, pods []*api.PodSandbox, _ []*api.Container,
) ([]*api.ContainerUpdate, error) {
	for _, pod := range pods {
		if _, err := p.pin(pod); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (p *peer) RunPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	_, err := p.pin(pod)
	return err
}

// CreateContainer answers with identity and pin, which is made if it is not known.
func (p *peer) CreateContainer(
	_ context.Context, pod *api.PodSandbox, _ *api.Container,
) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	pin, err := p.pin(pod)
	if err != nil || pin == "" {
		return nil, nil, err
	}
	return adjustment(pod.Id, pod.Name, pin), nil, nil
}

func (p *peer) StopPodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.release(pod.Id)
}

func (p *peer) RemovePodSandbox(_ context.Context, pod *api.PodSandbox) error {
	return p.release(pod.Id)
}

// pin makes the pin of a pod, unless it is known, and returns its path; none for the default handler and for pods on the
// host's network.
func (p *peer) pin(pod *api.PodSandbox) (string, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if pin, known := p.pods[pod.Id]; known {
		return pin, nil
	}
	source := network(pod)
	if pod.RuntimeHandler == "" || source == "" {
		return "", nil
	}
	pin := filepath.Join(p.dir, "peer-"+pod.Id)
	if err := bind(source, pin); err != nil {
		return "", fmt.Errorf("pin pod %s: %w", pod.Id, err)
	}
	p.pods[pod.Id] = pin
	return pin, nil
}

// release removes the pin of a pod, if there is one.
func (p *peer) release(pod string) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	pin, known := p.pods[pod]
	if !known {
		return nil
	}
	delete(p.pods, pod)
	return errors.Join(syscall.Unmount(pin, syscall.MNT_DETACH), os.Remove(pin))
}

// network is the path of a pod's network namespace.
func network(pod *api.PodSandbox) string {
	for _, namespace := range pod.GetLinux().GetNamespaces() {
		if namespace.Type == "network" {
			return namespace.Path
		}
	}
	return ""
}

// bind makes sure that the source is a namespace and mounts it onto a fresh file.
func bind(source, pin string) error {
	ns, err := os.Open(source)
	if err != nil {
		return err
	}
	defer ns.Close()
	var stat syscall.Statfs_t
	if err := syscall.Fstatfs(int(ns.Fd()), &stat); err != nil {
		return err
	}
	if stat.Type != nsfsMagic {
		return errors.New(source + " is no namespace")
	}
	placeholder, err := os.OpenFile(pin, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o400)
	if err != nil {
		return err
	}
	defer placeholder.Close()
	return syscall.Mount(fmt.Sprintf("/proc/self/fd/%d", ns.Fd()), pin, "", syscall.MS_BIND, "")
}

// adjustment says who a container is, and where its network is.
func adjustment(sandbox, name, pin string) *api.ContainerAdjustment {
	adjust := &api.ContainerAdjustment{}
	adjust.AddAnnotation("ocid/container_type", "container")
	adjust.AddAnnotation("ocid/sandbox_id", sandbox)
	adjust.AddAnnotation("ocid/sandbox_name", name)
	adjust.AddOrReplaceNamespace(&api.LinuxNamespace{Type: "network", Path: pin})
	return adjust
}

// fixed answers from a constant: what the reference stub takes by itself.
type fixed struct {
	adjust *api.ContainerAdjustment
}

func (f *fixed) RunPodSandbox(context.Context, *api.PodSandbox) error { return nil }

func (f *fixed) CreateContainer(
	context.Context, *api.PodSandbox, *api.Container,
) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return f.adjust, nil, nil
}
