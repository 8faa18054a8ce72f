//! dockerd in a rig, on the rig's containerd, with berth among its runtimes.

use std::process::Command;

use crate::rig::Rig;
use crate::rig::process::Process;
use crate::rig::wait::eventually;

/// The runtime's name, for `--runtime`.
pub(super) const RUNTIME: &str = "berth-runc";

const CONFIG: &str = "/run/rig/daemon.json";

/// Starts it and returns when it answers. `seccomp`: the OCI runtime has it.
pub(super) fn start(rig: &Rig, dockerd: &str, docker: &str, seccomp: bool) -> Process {
    // docker 20.10 writes a key into this directory of the distribution's, and no option says otherwise.
    rig.run("mount", &["-t", "tmpfs", "tmpfs", "/etc/docker"]).expect("cover the directory of docker's configuration");
    rig.write(CONFIG, &config(rig.cgroup_parent()));
    let mut command = rig.command(dockerd);
    if !seccomp {
        command.args(["--seccomp-profile", "unconfined"]);
    }
    command.args(["--config-file", CONFIG, "--containerd", "/run/containerd/containerd.sock"]);
    command.env("TMPDIR", "/run/rig/tmp");
    let mut process = Process::start("dockerd", command, rig.log_file("dockerd"));
    eventually("dockerd answers", || {
        assert!(process.is_running(), "dockerd ended at its start:\n{}", process.log());
        answers(rig.command(docker)).then_some(())
    });
    process
}

fn answers(mut docker: Command) -> bool {
    docker
        .args(["version", "--format", "{{.Server.Version}}"])
        .output()
        .expect("nsenter (util-linux) runs")
        .status
        .success()
}

/// The first key is what an operator writes. The rig's network goes nowhere, so nothing is filtered or translated.
fn config(cgroup_parent: &str) -> String {
    format!(
        r#"{{
  "runtimes": {{"{RUNTIME}": {{"path": "/run/rig/names/berth-runc"}}}},
  "cgroup-parent": "{cgroup_parent}",
  "exec-opts": ["native.cgroupdriver=cgroupfs"],
  "iptables": false,
  "ip6tables": false,
  "userland-proxy": false
}}
"#
    )
}
