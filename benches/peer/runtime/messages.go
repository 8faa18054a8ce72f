package main

import (
	"fmt"
	"os"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

// pod is one as containerd 2.3 tells of it.
func (s *session) pod(id, netns string) *adaptation.PodSandbox {
	name := "web-7c5ddbdf54-" + id[len(s.name)+5:len(s.name)+10]
	return &adaptation.PodSandbox{
		Id:             id,
		Name:           name,
		Uid:            "6f6f2c7e-0f2c-4c2f-9f0d-5a0b5f0f8b1a",
		Namespace:      "production",
		RuntimeHandler: "kata",
		Pid:            uint32(os.Getpid()),
		Ips:            []string{"10.85.0.17"},
		Labels: map[string]string{
			"app":                         "web",
			"pod-template-hash":           "7c5ddbdf54",
			"io.kubernetes.pod.name":      name,
			"io.kubernetes.pod.namespace": "production",
			"io.kubernetes.pod.uid":       "6f6f2c7e-0f2c-4c2f-9f0d-5a0b5f0f8b1a",
			"io.cri-containerd.kind":      "sandbox",
		},
		Annotations: map[string]string{
			"kubernetes.io/config.source":             "api",
			"kubernetes.io/config.seen":               "2026-11-22T06:00:00.000000000Z",
			"io.kubernetes.cri.container-type":        "sandbox",
			"io.kubernetes.cri.sandbox-id":            id,
			"io.kubernetes.cri.sandbox-name":          name,
			"io.kubernetes.cri.sandbox-namespace":     "production",
			"io.kubernetes.cri.sandbox-uid":           "6f6f2c7e-0f2c-4c2f-9f0d-5a0b5f0f8b1a",
			"io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/production_" + name,
		},
		Linux: &api.LinuxPodSandbox{
			CgroupParent: "/kubepods/burstable/pod6f6f2c7e",
			CgroupsPath:  "/kubepods/burstable/pod6f6f2c7e/" + id,
			Namespaces: []*api.LinuxNamespace{
				{Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}, {Type: "network", Path: netns},
			},
		},
	}
}

// network is the path of a pod's network namespace.
func network(pod *adaptation.PodSandbox) string {
	namespaces := pod.Linux.Namespaces
	return namespaces[len(namespaces)-1].Path
}

// container is one as containerd tells of it: the path of its network namespace leads through the sandbox's process, and
// most of the message are the environment of the pod's services and the mounts.
func container(pod *adaptation.PodSandbox, number int) *adaptation.Container {
	through := func(namespace string) string { return fmt.Sprintf("/proc/%d/ns/%s", pod.Pid, namespace) }
	name := fmt.Sprintf("app-%d", number)
	return &adaptation.Container{
		Id:           fmt.Sprintf("c%063d", number),
		PodSandboxId: pod.Id,
		Name:         name,
		State:        api.ContainerState_CONTAINER_CREATED,
		Args:         []string{"/usr/bin/web", "--listen", ":8080"},
		Env:          environment,
		Mounts:       mounts,
		Labels: map[string]string{
			"io.kubernetes.container.name": name,
			"io.kubernetes.pod.name":       pod.Name,
			"io.kubernetes.pod.namespace":  pod.Namespace,
			"io.kubernetes.pod.uid":        pod.Uid,
			"io.cri-containerd.kind":       "container",
		},
		Annotations: map[string]string{
			"io.kubernetes.container.hash":                     "5c5e2a6f",
			"io.kubernetes.container.restartCount":             "0",
			"io.kubernetes.container.terminationMessagePath":   "/dev/termination-log",
			"io.kubernetes.container.terminationMessagePolicy": "File",
			"io.kubernetes.pod.terminationGracePeriod":         "30",
			"io.kubernetes.cri.container-type":                 "container",
			"io.kubernetes.cri.container-name":                 name,
			"io.kubernetes.cri.image-name":                     "registry.example/web:1.2.3",
			"io.kubernetes.cri.sandbox-id":                     pod.Id,
			"io.kubernetes.cri.sandbox-name":                   pod.Name,
			"io.kubernetes.cri.sandbox-namespace":              pod.Namespace,
			"io.kubernetes.cri.sandbox-uid":                    pod.Uid,
		},
		Linux: &api.LinuxContainer{
			CgroupsPath: "/kubepods/burstable/pod6f6f2c7e/" + name,
			Namespaces: []*api.LinuxNamespace{
				{Type: "pid"}, {Type: "mount"}, {Type: "ipc", Path: through("ipc")}, {Type: "uts", Path: through("uts")},
				{Type: "network", Path: through("net")},
			},
			Resources: &api.LinuxResources{
				Memory: &api.LinuxMemory{Limit: api.Int64(int64(512 << 20))},
				Cpu:    &api.LinuxCPU{Shares: api.UInt64(uint64(512)), Quota: api.Int64(int64(50000)), Period: api.UInt64(uint64(100000))},
			},
		},
	}
}

var environment = func() []string {
	all := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=web", "GOGC=100"}
	for service := range 4 {
		name, address := fmt.Sprintf("SERVICE_%d", service), fmt.Sprintf("10.96.0.%d", service)
		all = append(all,
			name+"_SERVICE_HOST="+address,
			name+"_SERVICE_PORT=8080",
			name+"_PORT=tcp://"+address+":8080",
			name+"_PORT_8080_TCP=tcp://"+address+":8080",
			name+"_PORT_8080_TCP_PROTO=tcp",
			name+"_PORT_8080_TCP_PORT=8080",
			name+"_PORT_8080_TCP_ADDR="+address,
		)
	}
	return all
}()

var mounts = func() []*api.Mount {
	var all []*api.Mount
	for _, at := range []string{
		"/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/etc/hosts", "/dev/termination-log",
		"/etc/hostname", "/etc/resolv.conf", "/dev/shm", "/var/run/secrets/kubernetes.io/serviceaccount",
	} {
		all = append(all, &api.Mount{
			Destination: at,
			Type:        "bind",
			Source:      "/var/lib/kubelet/pods/6f6f2c7e-0f2c-4c2f-9f0d-5a0b5f0f8b1a" + at,
			Options:     []string{"rbind", "rprivate", "ro"},
		})
	}
	return all
}()
