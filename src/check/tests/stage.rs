//! A node in a directory: a good one, to be broken.

use crate::check::node::{Node, Privileges};
use crate::config::Config;
use crate::engine::testing::FakeHost;
use crate::engine::{Choice, Effective, Engine, EngineError, Kind, RunError, Source, Version};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::SystemTime;

/// What `config dump` says, in short.
const CONTAINERD: &str = "version = 4
disabled_plugins = []
imports = ['/etc/containerd/conf.d/*.toml']

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = 'runc'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata-berth]
runtime_type = 'io.containerd.kata.v2'
runtime_path = '/usr/local/bin/containerd-shim-berth-kata-v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun-berth]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.crun-berth.options]
BinaryName = '/usr/local/bin/berth-crun'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.gvisor]
runtime_type = 'io.containerd.runsc.v1'

[plugins.'io.containerd.nri.v1.nri']
disable = false
disable_connections = false
socket_path = '/run/nri/nri.sock'
plugin_path = '/opt/nri/plugins'
plugin_config_path = '/etc/nri/conf.d'
";

const ROOT: &str = "version = 4
imports = ['/etc/containerd/conf.d/*.toml']
";

const DROP_IN: &str = "version = 4
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata-berth]
runtime_type = 'io.containerd.kata.v2'
runtime_path = '/usr/local/bin/containerd-shim-berth-kata-v2'
";

const CRIO: &str = "[crio.runtime]
drop_infra_ctr = true
default_runtime = 'runc'
[crio.runtime.runtimes.runc]
runtime_path = '/usr/bin/runc'
[crio.runtime.runtimes.crun-berth]
runtime_path = '/usr/local/bin/berth-crun'
[crio.runtime.runtimes.kata-berth]
runtime_type = 'vm'
runtime_path = '/usr/local/bin/containerd-shim-berth-kata-v2'
runtime_root = '/run/vc'
[crio.nri]
enable_nri = true
nri_listen = '/run/nri/nri.sock'
";

/// All capabilities.
const ALL: u64 = u64::MAX;

/// A node, and what its engine says.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) host: FakeHost,
    pub(super) kind: Option<Kind>,
    /// What the engine prints of its version.
    pub(super) version: &'static str,
    /// What it says of its configuration.
    pub(super) dump: String,
    /// What CRI-O's files make.
    pub(super) files: Option<String>,
    /// Why it says nothing.
    pub(super) silent: Option<fn() -> RunError>,
    /// berth's configuration.
    pub(super) config: String,
    pub(super) privileges: Privileges,
    pub(super) choice: Choice,
    /// When the engine was started.
    pub(super) started: SystemTime,
    _socket: Option<UnixListener>,
}

impl Stage {
    /// A node with nothing.
    pub(super) fn empty() -> Self {
        Self::of(None, "", "")
    }

    pub(super) fn containerd() -> Self {
        let stage = Self::of(Some(Kind::Containerd), "containerd v2.3.4", CONTAINERD);
        stage.host.process(7, "/usr/bin/containerd").program("/usr/bin/containerd", "");
        stage.write("/etc/containerd/config.toml", ROOT).write("/etc/containerd/conf.d/50-berth.toml", DROP_IN);
        stage
    }

    pub(super) fn crio() -> Self {
        let mut stage = Self::of(Some(Kind::CriO), "crio version 1.36.3", CRIO);
        stage.host.process(7, "/usr/bin/crio").program("/usr/bin/crio", "");
        stage.write("/etc/crio/crio.conf.d/50-berth.conf", "[crio.runtime.runtimes.kata-berth]\nruntime_type = 'vm'\n");
        stage.files = Some(CRIO.to_owned());
        stage
    }

    /// A good node whose files outlive the machine.
    pub(super) fn on_disk() -> Self {
        let mut stage = Self::containerd();
        let target = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        stage.host = FakeHost { dir: tempfile::tempdir_in(target).expect("make a directory on a disk") };
        stage.host.dir("/run", 0o755);
        stage
    }

    /// A good node whose daemon answers so, to everybody.
    pub(super) fn answering(status: &'static str, body: &'static str) -> Self {
        use std::io::{Read, Write};
        let mut stage = Self::containerd();
        stage.config.push_str("listen: unix:/run/berth/http.sock\n");
        let listener = UnixListener::bind(stage.host.dir.path().join("run/berth/http.sock")).expect("listen");
        // It ends with the process: nobody connects to it any more then.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("accept");
                let asked = stream.read(&mut [0; 1024]).expect("read the request");
                assert!(asked > 0, "nobody asks");
                write!(stream, "HTTP/1.0 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).expect("answer");
            }
        });
        stage
    }

    fn of(kind: Option<Kind>, version: &'static str, dump: &str) -> Self {
        let host = FakeHost::in_memory();
        for program in ["/usr/local/bin/berth", "/usr/bin/crun", "/usr/bin/containerd-shim-kata-v2"] {
            host.program(program, program);
        }
        for name in ["berth-crun", "containerd-shim-berth-kata-v2"] {
            host.link(&format!("/usr/local/bin/{name}"), "berth");
        }
        for (dir, mode) in
            [("/run/netns", 0o755), ("/run/berth", 0o700), ("/run/berth/sandboxes", 0o700), ("/run/nri", 0o755)]
        {
            host.dir(dir, mode);
        }
        host.write("/proc/7/mountinfo", "1 0 0:1 / / rw shared:1 - tmpfs tmpfs rw\n");
        host.write("/proc/7/environ", "PATH=/usr/local/bin:/usr/bin\0");
        host.dir("/opt/nri/plugins", 0o755);
        let socket = kind.map(|_| UnixListener::bind(host.dir.path().join("run/nri/nri.sock")).expect("listen"));
        let stage = Self {
            host,
            kind,
            version,
            dump: dump.to_owned(),
            files: None,
            silent: None,
            config: "profiles: [{name: all}]\n".to_owned(),
            privileges: Privileges { root: true, capabilities: ALL, filtered: false },
            choice: Choice::default(),
            started: SystemTime::now(),
            _socket: socket,
        };
        stage.daemon(20);
        stage
    }

    /// A daemon that runs, and holds the lock if it is the first.
    pub(super) fn daemon(&self, pid: u32) -> &Self {
        use std::os::unix::fs::MetadataExt;
        let lock = self.host.dir.path().join("run/berth/daemon.lock");
        if !lock.exists() {
            std::fs::File::create(&lock).expect("the lock's file");
            let data = std::fs::metadata(&lock).expect("the lock");
            let (dev, ino) = (data.dev(), data.ino());
            let device = format!("{:02x}:{:02x}", nix::sys::stat::major(dev), nix::sys::stat::minor(dev));
            self.write("/proc/locks", &format!("1: FLOCK  ADVISORY  WRITE {pid} {device}:{ino} 0 EOF\n"));
        }
        self.host.process(pid, "/usr/local/bin/berth nri --index 90");
        self
    }

    /// The daemon has ended.
    pub(super) fn without_daemon(&self) {
        std::fs::remove_dir_all(self.host.dir.path().join("proc/20")).expect("the daemon");
        std::fs::remove_file(self.host.dir.path().join("proc/locks")).expect("its lock");
    }

    pub(super) fn write(&self, path: &str, text: &str) -> &Self {
        self.host.write(path, text);
        self
    }

    pub(super) fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.host.dir.path().join(path.trim_start_matches('/'))).expect("remove");
        self
    }

    pub(super) fn mode(&self, path: &str, mode: u32) -> &Self {
        let path = self.host.dir.path().join(path.trim_start_matches('/'));
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set the mode");
        self
    }

    pub(super) fn root(&self) -> String {
        self.host.dir.path().canonicalize().expect("the root").display().to_string()
    }

    fn parse(&self, kind: Kind, source: Source, text: &str) -> Result<Effective, EngineError> {
        Effective::parse(kind, source, text).map_err(|error| EngineError::unreadable(format!("{kind} config"), &error))
    }

    /// What there is to see.
    pub(super) fn node(&self) -> Node {
        let host = self.host.host();
        let mut engine = Engine::find(&host, &self.choice);
        if let Ok(engine) = &mut engine {
            engine.version = Version::in_words(self.version).ok_or_else(|| "it prints none".to_owned());
            if let Some(process) = &mut engine.running {
                process.started = Some(self.started);
            }
        }
        let effective = match (self.silent, self.kind) {
            (Some(why), _) => Err(why().into()),
            (None, Some(kind)) => {
                let source = if self.files.is_some() { Source::Process } else { Source::Files };
                self.parse(kind, source, &self.dump)
            }
            (None, None) => Err(EngineError::None(Vec::new())),
        };
        Node {
            on_disk: self.kind.zip(self.files.as_ref()).map(|(kind, text)| self.parse(kind, Source::Files, text)),
            config: Config::parse(&self.config, "/etc/berth/config.yaml"),
            state_dir: "/run/berth".into(),
            netns_dir: "/run/netns".into(),
            index: "90".into(),
            name: "berth".into(),
            own: self.host.dir.path().join("usr/local/bin/berth"),
            privileges: self.privileges,
            host,
            engine,
            effective,
        }
    }
}
