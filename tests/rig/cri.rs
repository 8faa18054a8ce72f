//! The CRI, as the kubelet speaks it, with every call waited for on the spot.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest, CreateContainerRequest,
    ExecSyncRequest, IdMapping, ImageSpec, ImageStatusRequest, LinuxContainerConfig, LinuxContainerSecurityContext,
    LinuxPodSandboxConfig, LinuxSandboxSecurityContext, ListPodSandboxRequest, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, PodSandboxStatusRequest, RemoveContainerRequest, RemovePodSandboxRequest,
    RunPodSandboxRequest, StartContainerRequest, StatusRequest, StopContainerRequest, StopPodSandboxRequest,
    UserNamespace,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::provision::provision;

/// What a call may take; the kubelet's own limit is two minutes.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// A pod as its author would ask for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The runtime handler; empty for the default one.
    pub(crate) handler: String,
    pub(crate) network: Network,
    pub(crate) users: Users,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) annotations: HashMap<String, String>,
    /// Its containers may be privileged.
    pub(crate) privileged: bool,
    /// The directory of its containers' logs, on the node; empty for none.
    pub(crate) logs: String,
}

impl Pod {
    pub(crate) fn new(name: &str, handler: &str) -> Self {
        Self { namespace: "default".into(), name: name.into(), handler: handler.into(), ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Network {
    #[default]
    Own,
    Host,
}

/// `hostUsers` of a pod.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Users {
    #[default]
    Host,
    /// A user namespace of the pod's own, whose ids are the node's from this one on.
    Own { from: u32 },
}

/// How many ids the kubelet gives to a pod.
const IDS: u32 = 65_536;

/// A pod sandbox that runs, or did.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    config: PodSandboxConfig,
}

/// What the engine says about a pod sandbox.
#[derive(Clone, Debug)]
pub(crate) struct SandboxState {
    /// Its process; 0 where it has none.
    pub(crate) pid: u32,
    pub(crate) address: String,
    /// The engine's own netns file; none on the host's network.
    pub(crate) netns: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Cri {
    runtime: Runtime,
    calls: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
}

impl Cri {
    /// Connects to the socket, which is a path of this process, not of the rig.
    pub(crate) fn connect(socket: &Path) -> Result<Self, tonic::transport::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("start a runtime");
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))?.timeout(CALL_LIMIT);
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Self {
            runtime,
            calls: RuntimeServiceClient::new(channel.clone()),
            images: ImageServiceClient::new(channel),
        })
    }

    /// Runtime and network are ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.says_of(&["RuntimeReady", "NetworkReady"])
    }

    /// The runtime is ready, whether or not there is a network for pods.
    pub(crate) fn is_up(&self) -> bool {
        self.says_of(&["RuntimeReady"])
    }

    fn says_of(&self, wanted: &[&str]) -> bool {
        let status = self.call(|mut calls| async move { calls.status(StatusRequest { verbose: false }).await });
        let conditions = status.ok().and_then(|answer| answer.status).map(|status| status.conditions);
        let conditions = conditions.unwrap_or_default();
        // There are others, such as whether containerd has a deprecated feature to warn of.
        wanted.iter().all(|wanted| conditions.iter().any(|condition| condition.r#type == *wanted && condition.status))
    }

    pub(crate) fn has_image(&self, image: &str) -> bool {
        let mut images = self.images.clone();
        let request = ImageStatusRequest { image: Some(image_spec(image)), verbose: false };
        let answer = self.runtime.block_on(images.image_status(request));
        answer.is_ok_and(|answer| answer.into_inner().image.is_some())
    }

    pub(crate) fn run_pod(&self, pod: &Pod, cgroup_parent: &str) -> Result<Sandbox, Status> {
        let config = sandbox_config(pod, cgroup_parent);
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: pod.handler.clone() };
        let answer = self.call(|mut calls| async move { calls.run_pod_sandbox(request).await })?;
        Ok(Sandbox { id: answer.pod_sandbox_id, config })
    }

    /// Creates a container of the pod, running `script` under a shell, and does not start it.
    pub(crate) fn create_container(&self, pod: &Sandbox, name: &str, script: &str) -> Result<String, Status> {
        self.create(pod, container_config(pod, name, script))
    }

    /// The same with an image of the test's own.
    pub(crate) fn create_container_of(
        &self,
        image: &str,
        pod: &Sandbox,
        name: &str,
        script: &str,
    ) -> Result<String, Status> {
        self.create(pod, ContainerConfig { image: Some(image_spec(image)), ..container_config(pod, name, script) })
    }

    /// The same as another client than the kubelet does it, such as crictl: without labels.
    pub(crate) fn create_container_without_labels(
        &self,
        pod: &Sandbox,
        name: &str,
        script: &str,
    ) -> Result<String, Status> {
        self.create(pod, ContainerConfig { labels: HashMap::new(), ..container_config(pod, name, script) })
    }

    /// Creates a container as it is asked for, and does not start it.
    pub(crate) fn create(&self, pod: &Sandbox, config: ContainerConfig) -> Result<String, Status> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.config.clone()),
        };
        Ok(self.call(|mut calls| async move { calls.create_container(request).await })?.container_id)
    }

    pub(crate) fn start_container(&self, id: &str) -> Result<(), Status> {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.call(|mut calls| async move { calls.start_container(request).await }).map(drop)
    }

    /// Kills the container without a grace period.
    pub(crate) fn stop_container(&self, id: &str) -> Result<(), Status> {
        self.stop_container_within(id, 0)
    }

    /// Ends the container by SIGTERM, and by SIGKILL if it still runs after so many seconds.
    pub(crate) fn stop_container_within(&self, id: &str, timeout: i64) -> Result<(), Status> {
        let request = StopContainerRequest { container_id: id.to_owned(), timeout };
        self.call(|mut calls| async move { calls.stop_container(request).await }).map(drop)
    }

    pub(crate) fn remove_container(&self, id: &str) -> Result<(), Status> {
        let request = RemoveContainerRequest { container_id: id.to_owned() };
        self.call(|mut calls| async move { calls.remove_container(request).await }).map(drop)
    }

    pub(crate) fn stop_pod(&self, id: &str) -> Result<(), Status> {
        let request = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.call(|mut calls| async move { calls.stop_pod_sandbox(request).await }).map(drop)
    }

    pub(crate) fn remove_pod(&self, id: &str) -> Result<(), Status> {
        let request = RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        self.call(|mut calls| async move { calls.remove_pod_sandbox(request).await }).map(drop)
    }

    /// The ids of all pod sandboxes, whatever their state.
    pub(crate) fn list_pods(&self) -> Vec<String> {
        let answer =
            self.call(|mut calls| async move { calls.list_pod_sandbox(ListPodSandboxRequest { filter: None }).await });
        answer.expect("list the pod sandboxes").items.into_iter().map(|pod| pod.id).collect()
    }

    /// Runs a command in a container; what it printed, or why it failed.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) -> Result<String, String> {
        let cmd = command.iter().map(|&word| word.to_owned()).collect();
        let request = ExecSyncRequest { container_id: container.to_owned(), cmd, timeout: 20 };
        let done = self.call(|mut calls| async move { calls.exec_sync(request).await });
        let done = done.map_err(|status| status.to_string())?;
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        if done.exit_code == 0 { Ok(out) } else { Err(format!("exit code {}: {out}{err}", done.exit_code)) }
    }

    pub(crate) fn sandbox_state(&self, id: &str) -> SandboxState {
        self.ask_sandbox_state(id).unwrap_or_else(|status| panic!("status of pod sandbox {id}: {status}"))
    }

    /// The same of an engine that may not answer.
    pub(crate) fn ask_sandbox_state(&self, id: &str) -> Result<SandboxState, Status> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: true };
        let answer = self.call(|mut calls| async move { calls.pod_sandbox_status(request).await })?;
        let info = verbose(&answer.info);
        let address = answer.status.and_then(|status| status.network).map(|network| network.ip).unwrap_or_default();
        let pid = if info["pid"].is_null() { 0 } else { pid(&info) };
        Ok(SandboxState { pid, address, netns: super::read::netns_path(&info["runtimeSpec"]) })
    }

    /// With what a container has ended; `None` while it runs, or while the engine does not say.
    pub(crate) fn exit_code(&self, id: &str) -> Option<i32> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let answer = self.call(|mut calls| async move { calls.container_status(request).await });
        let status = answer.ok()?.status?;
        (status.state() == ContainerState::ContainerExited).then_some(status.exit_code)
    }

    /// The process id of a container, as the rig numbers processes.
    pub(crate) fn container_pid(&self, id: &str) -> u32 {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: true };
        let answer = self.call(|mut calls| async move { calls.container_status(request).await });
        pid(&verbose(&answer.unwrap_or_else(|status| panic!("status of container {id}: {status}")).info))
    }

    fn call<T, F>(&self, call: impl FnOnce(RuntimeServiceClient<Channel>) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.runtime.block_on(call(self.calls.clone())).map(Response::into_inner)
    }
}

fn verbose(info: &HashMap<String, String>) -> Value {
    info.get("info").and_then(|text| serde_json::from_str(text).ok()).expect("the engine's verbose answer is JSON")
}

fn pid(info: &Value) -> u32 {
    info["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("the engine's verbose answer has a pid")
}

pub(crate) fn image_spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.to_owned(), user_specified_image: image.to_owned(), ..ImageSpec::default() }
}

fn namespaces(pod: &Pod) -> NamespaceOption {
    let network = match pod.network {
        Network::Own => NamespaceMode::Pod,
        Network::Host => NamespaceMode::Node,
    };
    NamespaceOption {
        network: network.into(),
        pid: NamespaceMode::Container.into(),
        userns_options: user_namespace(pod.users),
        ..NamespaceOption::default()
    }
}

fn user_namespace(users: Users) -> Option<UserNamespace> {
    let Users::Own { from } = users else { return None };
    let ids = vec![IdMapping { host_id: from, container_id: 0, length: IDS }];
    Some(UserNamespace { mode: NamespaceMode::Pod.into(), uids: ids.clone(), gids: ids })
}

/// The labels that the kubelet gives to a pod and to its containers, over whatever the pod's author wrote.
fn kubelets_labels(pod: &PodSandboxMetadata) -> [(String, String); 3] {
    [("namespace", &pod.namespace), ("name", &pod.name), ("uid", &pod.uid)]
        .map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.clone()))
}

fn sandbox_config(pod: &Pod, cgroup_parent: &str) -> PodSandboxConfig {
    let security = LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        privileged: pod.privileged,
        ..LinuxSandboxSecurityContext::default()
    };
    let metadata = PodSandboxMetadata {
        name: pod.name.clone(),
        uid: format!("uid-of-{}-{}", pod.namespace, pod.name),
        namespace: pod.namespace.clone(),
        attempt: 0,
    };
    PodSandboxConfig {
        labels: pod.labels.clone().into_iter().chain(kubelets_labels(&metadata)).collect(),
        metadata: Some(metadata),
        annotations: pod.annotations.clone(),
        log_directory: pod.logs.clone(),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: cgroup_parent.to_owned(),
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}

impl Sandbox {
    /// Which namespaces its containers share.
    pub(crate) fn namespaces(&self) -> Option<NamespaceOption> {
        self.config.linux.as_ref()?.security_context.as_ref()?.namespace_options.clone()
    }
}

fn container_config(pod: &Sandbox, name: &str, script: &str) -> ContainerConfig {
    let security = LinuxContainerSecurityContext {
        namespace_options: pod.namespaces(),
        ..LinuxContainerSecurityContext::default()
    };
    let labels = pod.config.metadata.iter().flat_map(kubelets_labels);
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
        labels: labels.chain([("io.kubernetes.container.name".to_owned(), name.to_owned())]).collect(),
        image: Some(image_spec(&provision().image_busybox)),
        command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        linux: Some(LinuxContainerConfig { security_context: Some(security), ..LinuxContainerConfig::default() }),
        ..ContainerConfig::default()
    }
}
