//! `berth check` on a real CRI-O.

use std::fs;

use super::interposed;
use crate::rig::Rig;
use crate::rig::berth;
use crate::rig::containerd::NAMES;
use crate::rig::crio::{CONFIG, DROP_INS, Handler, Infra};

/// With the configuration that the rig's interposers have.
const BERTHS: [&str; 2] = ["--config", berth::CONFIG];

#[test]
fn a_good_node_passes() {
    let rig = Rig::crio(Infra::Kept);
    let _berth = rig.berth().args(&BERTHS).start();
    let found = rig.check(&BERTHS);
    found.assert_none("FAIL");
    assert_eq!(found.exit, 0);
    found.assert("engine", "PASS", "cri-o 1.36.3 with /run/rig/crio.conf, pid ");
    found.assert("engine-config", "PASS", "the running engine says: handlers ");
    for check in ["engine-restart", "nri", "nri-socket", "nri-level", "nri-validator", "pins-reach-engine", "daemon"] {
        found.assert(check, "PASS", "");
    }
    found.assert("delegates", "PASS", "wrapped: berth-runc becomes /run/rig/behind/runc");
    found.assert("delegates", "PASS", "becomes /run/rig/behind/containerd-shim-runc-v2");
    for handler in ["wrapped", "shimmed"] {
        let row = format!("{handler}: sandbox: interposer; containers: interposer; fails closed for both");
        found.assert("doors", "PASS", &row);
    }
    found.assert("doors", "PASS", "vm: sandbox: the engine's own identity; containers: NRI;");
}

#[test]
fn a_vm_runtime_whose_sandbox_is_never_created_fails() {
    let handler = |name| Handler::oci(name, &format!("{NAMES}/berth-runc"));
    let mut rig = Rig::crio_with(Infra::Dropped, &[handler("krun"), handler("kata-oci")]);
    rig.start_engine();
    let found = rig.check(&BERTHS);
    found.assert(
        "doors",
        "FAIL",
        "krun: sandbox: none is created; containers: interposer; fails closed for containers; a VM",
    );
    found.assert_hint("doors", &format!("drop_infra_ctr = false in {CONFIG}"));
    // CRI-O goes by the handler's name.
    found.assert("doors", "PASS", "kata-oci: sandbox: interposer;");
    found.assert("doors", "PASS", "shimmed: sandbox: interposer;");
    found.assert("doors", "PASS", "wrapped: sandbox: none is created;");
    assert_eq!(found.exit, 1);
    assert_eq!((created(&rig, "krun"), created(&rig, "kata-oci")), (false, true), "and so it is");
}

/// CRI-O creates a container of the pod's own for this handler.
fn created(rig: &Rig, handler: &str) -> bool {
    let pod = rig.pod(handler, handler);
    !interposed(rig, &pod.id).is_empty()
}

#[test]
fn what_the_files_say_and_the_engine_does_not_do_is_told() {
    let mut rig = Rig::crio(Infra::Kept);
    rig.check(&BERTHS).assert("engine-restart", "PASS", "");
    let path = format!("{DROP_INS}/50-berth.conf");
    let handler =
        format!("[crio.runtime.runtimes.late]\nruntime_path = \"{NAMES}/berth-runc\"\nmonitor_cgroup = \"pod\"\n");
    rig.write(&path, &format!("{handler}[crio.runtime]\ndrop_infra_ctr = true\n"));
    let found = rig.check(&BERTHS);
    found.assert("engine-restart", "WARN", "handler late, drop_infra_ctr");
    found.assert_hint("engine-restart", "systemctl restart crio");
    found.assert("drop-ins", "PASS", "files: 1");
    rig.restart_engine(nix::sys::signal::Signal::SIGTERM);
    let found = rig.check(&BERTHS);
    found.assert("engine-restart", "PASS", "");
    found.assert("doors", "PASS", "late: sandbox: none is created");

    rig.write(&path, "[crio.runtime");
    let found = rig.check(&BERTHS);
    found.assert("drop-ins", "FAIL", "is not TOML");
    found.assert("engine-restart", "FAIL", "would not start again");

    let nri = "[crio.nri]\nenable_nri = false\n";
    rig.write(&path, nri);
    rig.check(&BERTHS).assert("engine-restart", "WARN", "enable_nri");
    rig.restart_engine(nix::sys::signal::Signal::SIGTERM);
    let found = rig.check(&BERTHS);
    found.assert("nri", "FAIL", "NRI is off");
    found.assert_hint("nri", &format!("[crio.nri] enable_nri = true in {path}"));

    let validator = "[crio.nri.default_validator]\nnri_enable_default_validator = true\n\
                     nri_validator_reject_namespace_adjustment = true\nnri_validator_required_plugins = [\"berth\"]\n";
    rig.write(&path, validator);
    rig.restart_engine(nix::sys::signal::Signal::SIGTERM);
    let found = rig.check(&BERTHS);
    found.assert("nri-validator", "FAIL", "reject_namespace_adjustment");
    found.assert("nri-required-plugins", "FAIL", "no berth runs");
    fs::remove_file(rig.path(&path)).expect("remove it");
}
