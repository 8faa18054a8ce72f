// A runtime as far as NRI goes: the reference adaptation, which is what containerd and CRI-O have, over real sockets. A
// benchmark tells it what to do, a line each on stdin, and gets a line each on stdout; times are taken in here, around
// the adaptation's own calls, and are nanoseconds.
//
//	start PLUGIN PODS CONTAINERS-EACH PROGRAM ARGUMENT...   pid, exec to synchronized, of it Synchronize
//	create PLUGIN CALLS PODS                                a time for each CreateContainer, for so many pods in turn
//	burst PLUGIN PODS                                       a time for each RunPodSandbox of so many pods, which are
//	                                                        ended after the last has come
//	live PLUGIN PODS MICROSECONDS                           nothing; pods that live and end, one every so many microseconds
//	run PLUGIN PODS                                         RunPodSandbox and two containers for pods that stay: nothing
//	stop PLUGIN                                             nothing
//
// The file of a pod's network namespace is ENGINE/berth-cni-NUMBER, and has to be there; ENGINE is the only argument.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"github.com/sirupsen/logrus"
)

// What a plugin may take to come.
const patience = 60 * time.Second

func main() {
	// Plugins go when the thread ends that has started them.
	runtime.LockOSThread()
	// What is measured is the plugin's part: no collection of this program's garbage but between the commands.
	debug.SetGCPercent(-1)
	logrus.SetLevel(logrus.WarnLevel)
	adaptation.SetPluginRequestTimeout(patience)
	engine := &engine{dir: os.Args[1], sessions: map[string]*session{}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := engine.obey(strings.Fields(lines.Text()))
		if err != nil {
			fmt.Fprintf(os.Stderr, "runtime: %s: %v\n", lines.Text(), err)
			os.Exit(1)
		}
		fmt.Println(strings.Join(answer, " "))
	}
}

type engine struct {
	dir      string
	sessions map[string]*session
}

func (e *engine) obey(words []string) ([]string, error) {
	if len(words) < 2 {
		return nil, errors.New("a command and a plugin are wanted")
	}
	name, args := words[1], words[2:]
	if words[0] == "start" {
		s, took, err := start(e.dir, name, args)
		if err != nil {
			return nil, err
		}
		e.sessions[name] = s
		return append([]string{strconv.Itoa(s.plugin.Process.Pid)}, times(took)...), nil
	}
	s, known := e.sessions[name]
	if !known {
		return nil, errors.New("there is no such plugin")
	}
	var numbers []int
	for _, arg := range args {
		number, err := strconv.Atoi(arg)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	runtime.GC()
	switch words[0] {
	case "create":
		took, err := s.create(numbers[0], numbers[1])
		return times(took), err
	case "burst":
		took, err := s.burst(numbers[0])
		return times(took), err
	case "live":
		return nil, s.live(numbers[0], time.Duration(numbers[1])*time.Microsecond)
	case "run":
		return nil, s.run(numbers[0])
	case "stop":
		delete(e.sessions, name)
		return nil, s.stop()
	}
	return nil, errors.New("there is no such command")
}

func times(took []time.Duration) []string {
	var words []string
	for _, time := range took {
		words = append(words, strconv.FormatInt(time.Nanoseconds(), 10))
	}
	return words
}

// session is a runtime of its own with one plugin.
type session struct {
	dir    string
	name   string
	nri    *adaptation.Adaptation
	plugin *exec.Cmd
	pods   []*adaptation.PodSandbox
	lived  int
}

// start listens, starts the plugin and returns when it is synchronized: when a runtime would ask it from then on.
func start(dir, name string, args []string) (*session, []time.Duration, error) {
	pods, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, nil, err
	}
	each, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, nil, err
	}
	s := &session{dir: dir, name: name}
	var containers []*adaptation.Container
	for number := range pods {
		s.pods = append(s.pods, s.pod(s.id("pod", number), s.netns(number)))
		for which := range each {
			containers = append(containers, s.standing(s.pods[number], which))
		}
	}
	type done struct {
		at   time.Time
		took time.Duration
		err  error
	}
	synchronized := make(chan done, 1)
	sync := func(ctx context.Context, tell adaptation.SyncCB) error {
		began := time.Now()
		_, err := tell(ctx, s.pods, containers)
		at := time.Now()
		synchronized <- done{at, at.Sub(began), err}
		return err
	}
	update := func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
		return nil, errors.New("no update is expected")
	}
	socket := filepath.Join("/run", name+".sock")
	s.nri, err = adaptation.New("containerd", "v2.3.4", sync, update, adaptation.WithSocketPath(socket),
		adaptation.WithPluginPath("/run/none"), adaptation.WithPluginConfigPath("/run/none"))
	if err != nil {
		return nil, nil, err
	}
	if err := s.nri.Start(); err != nil {
		return nil, nil, err
	}
	// It has synchronized the plugins that it launched itself, of which there are none.
	<-synchronized
	log, err := os.Create(filepath.Join("/run", name+".log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	s.plugin = exec.Command(args[2], args[3:]...)
	s.plugin.Stderr = log
	s.plugin.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.GC()
	began := time.Now()
	if err := s.plugin.Start(); err != nil {
		return nil, nil, err
	}
	select {
	case done := <-synchronized:
		// It is asked from the next moment on, under a lock that is not seen from here.
		s.nri.BlockPluginSync().Unblock()
		return s, []time.Duration{done.at.Sub(began), done.took}, done.err
	case <-time.After(patience):
		return nil, nil, fmt.Errorf("it did not come within %s", patience)
	}
}

func (s *session) stop() error {
	if err := s.plugin.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	// How it ends is no matter: the peer knows no signals.
	_, err := s.plugin.Process.Wait()
	s.nri.Stop()
	return err
}

// create asks about a container of one pod after another.
func (s *session) create(calls, pods int) ([]time.Duration, error) {
	var took []time.Duration
	for number := range calls {
		// No pod is the neighbour of the one before.
		pod := s.pods[number*7%pods]
		request := &adaptation.CreateContainerRequest{Pod: pod, Container: container(pod, number)}
		began := time.Now()
		answer, err := s.nri.CreateContainer(context.Background(), request)
		took = append(took, time.Since(began))
		if err := checked(answer, err); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// checked makes sure that what was measured did the work.
func checked(answer *adaptation.CreateContainerResponse, err error) error {
	if err != nil {
		return err
	}
	adjust := answer.GetAdjust()
	if len(adjust.GetLinux().GetNamespaces()) != 1 || adjust.GetAnnotations()["ocid/sandbox_id"] == "" {
		return fmt.Errorf("the answer has no identity or no namespace: %v", adjust)
	}
	return nil
}

// run brings pods that stay, each with two containers.
func (s *session) run(pods int) error {
	for range pods {
		number := len(s.pods)
		pod := s.pod(s.id("pod", number), s.netns(number))
		s.pods = append(s.pods, pod)
		if _, err := s.begin(pod); err != nil {
			return err
		}
	}
	return nil
}

// live brings pods and ends each before the next comes.
func (s *session) live(pods int, every time.Duration) error {
	next := time.Now()
	for range pods {
		time.Sleep(time.Until(next))
		next = next.Add(every)
		if _, err := s.burst(1); err != nil {
			return err
		}
	}
	return nil
}

// burst brings pods one after another, and then ends all of them.
func (s *session) burst(pods int) ([]time.Duration, error) {
	var brought []*adaptation.PodSandbox
	var took []time.Duration
	for range pods {
		// The namespaces stand, and are those of pods that stay; the files are each pod's own.
		pod := s.pod(s.id("new", s.lived), filepath.Join(s.dir, fmt.Sprintf("%s-%d", s.name, s.lived)))
		if err := bind(s.netns(s.lived%64), network(pod)); err != nil {
			return nil, err
		}
		s.lived++
		brought = append(brought, pod)
		time, err := s.begin(pod)
		if err != nil {
			return nil, err
		}
		took = append(took, time)
	}
	for _, pod := range brought {
		if err := s.end(pod, network(pod)); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// begin brings a pod with two containers; how long RunPodSandbox took.
func (s *session) begin(pod *adaptation.PodSandbox) (time.Duration, error) {
	ctx := context.Background()
	began := time.Now()
	err := s.nri.RunPodSandbox(ctx, &adaptation.RunPodSandboxRequest{Pod: pod})
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	for number := range 2 {
		container := container(pod, number)
		answer, err := s.nri.CreateContainer(ctx, &adaptation.CreateContainerRequest{Pod: pod, Container: container})
		if err := errors.Join(
			checked(answer, err),
			s.nri.PostCreateContainer(ctx, &adaptation.PostCreateContainerRequest{Pod: pod, Container: container}),
			s.nri.StartContainer(ctx, &adaptation.StartContainerRequest{Pod: pod, Container: container}),
			s.nri.PostStartContainer(ctx, &adaptation.PostStartContainerRequest{Pod: pod, Container: container}),
		); err != nil {
			return 0, err
		}
	}
	return took, nil
}

// end stops and removes a pod and its containers, in the order that containerd has.
func (s *session) end(pod *adaptation.PodSandbox, file string) error {
	ctx := context.Background()
	var failed error
	for number := range 2 {
		container := container(pod, number)
		_, err := s.nri.StopContainer(ctx, &adaptation.StopContainerRequest{Pod: pod, Container: container})
		failed = errors.Join(failed, err,
			s.nri.RemoveContainer(ctx, &adaptation.RemoveContainerRequest{Pod: pod, Container: container}))
	}
	return errors.Join(failed,
		s.nri.StopPodSandbox(ctx, &adaptation.StopPodSandboxRequest{Pod: pod}),
		syscall.Unmount(file, syscall.MNT_DETACH), os.Remove(file),
		s.nri.RemovePodSandbox(ctx, &adaptation.RemovePodSandboxRequest{Pod: pod}))
}

// bind mounts a namespace onto a file of its own.
func bind(source, file string) error {
	placeholder, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(placeholder.Close(), syscall.Mount(source, file, "", syscall.MS_BIND, ""))
}

// standing is a container that the plugin has adjusted before it was started anew, as far as berth names its pins.
func (s *session) standing(pod *adaptation.PodSandbox, number int) *adaptation.Container {
	container := container(pod, number)
	container.State = api.ContainerState_CONTAINER_RUNNING
	container.Annotations["ocid/container_type"] = "container"
	container.Annotations["ocid/sandbox_id"] = pod.Id
	container.Annotations["ocid/sandbox_name"] = pod.Name
	for _, namespace := range container.Linux.Namespaces {
		if namespace.Type == "network" {
			namespace.Path = filepath.Join("/run", s.name+"-netns", "berth-"+pod.Id)
		}
	}
	return container
}

// netns is the file of a network namespace that stands.
func (s *session) netns(number int) string {
	return filepath.Join(s.dir, fmt.Sprintf("berth-cni-%d", number))
}

// id is as long as the ids of containerd.
func (s *session) id(kind string, number int) string {
	id := fmt.Sprintf("%s-%s-%d-", s.name, kind, number)
	return id + strings.Repeat("0", 64-len(id))
}
