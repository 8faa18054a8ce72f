//! The engine's NRI: on, reachable, able, and letting berth do its work.

use super::{Node, daemon, doors, drop_ins};
use crate::config::Config;
use crate::decide::policy::NetnsPolicy;
use crate::engine::Kind;
use crate::finding::Finding;
use crate::nri::{Capabilities, Level};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket as open};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub(super) const NRI: &str = "nri";
pub(super) const SOCKET: &str = "nri-socket";
pub(super) const LEVEL: &str = "nri-level";
pub(super) const VALIDATOR: &str = "nri-validator";
pub(super) const REQUIRED: &str = "nri-required-plugins";

/// The engine has an NRI of the protocol that berth speaks, as far as its release tells.
pub(super) fn of_engine(node: &Node) -> Option<Capabilities> {
    let engine = node.engine()?;
    let version = engine.version.as_ref().ok()?;
    Level::of_release(engine.kind.as_str(), &version.text).map(Capabilities::from)
}

/// NRI can be used: it is there, on, and takes berth in.
pub(super) fn is_on(node: &Node) -> bool {
    let Some(nri) = node.effective().map(|effective| &effective.nri) else { return false };
    // Of an engine whose version is not known, its own word is taken.
    let unknown = node.engine().is_some_and(|engine| engine.version.is_err());
    nri.known && nri.enabled && (unknown || of_engine(node).is_some())
}

/// Where the engines have what they say of NRI, and of the validator that comes with it.
const CONTAINERD: [&str; 3] = ["plugins", "io.containerd.nri.v1.nri", "default_validator"];
const CRIO: [&str; 3] = ["crio", "nri", "default_validator"];

/// `[section] key = value in FILE`: a setting in the words of the engine, and the file that it is to be changed in.
fn setting(node: &Node, of: Section, containerd: &str, crio: &str) -> String {
    let kind = node.engine().map_or(Kind::Containerd, |engine| engine.kind);
    let (keys, header, words) = match (kind, of) {
        (Kind::Containerd, Section::Nri) => (&CONTAINERD[..2], "[plugins.'io.containerd.nri.v1.nri']", containerd),
        (Kind::Containerd, Section::Validator) => {
            (&CONTAINERD[..], "[plugins.'io.containerd.nri.v1.nri'.default_validator]", containerd)
        }
        (Kind::CriO, Section::Nri) => (&CRIO[..2], "[crio.nri]", crio),
        (Kind::CriO, Section::Validator) => (&CRIO[..], "[crio.nri.default_validator]", crio),
    };
    let key = words.split(' ').next().unwrap_or_default();
    format!("{header} {words} in {}", drop_ins::file_with(node, &[keys, &[key]].concat()))
}

/// A section of the engine's configuration.
#[derive(Debug, Clone, Copy)]
enum Section {
    Nri,
    Validator,
}

/// It is on, and takes plugins that come by themselves.
pub(super) fn enabled(node: &Node) -> Vec<Finding> {
    let (Some(engine), Some(effective)) = (node.engine(), node.effective()) else {
        return vec![Finding::skip(NRI, "the engine's configuration is not known")];
    };
    let nri = &effective.nri;
    // Where interposers do everything, berth can do without.
    let grade = if doors::need_nri(node) { Finding::fail } else { Finding::warn };
    let one = if !nri.known || of_engine(node).is_none() && engine.version.is_ok() {
        let hint =
            "wrap the handler with interposers, or upgrade: containerd 1.7 and CRI-O 1.26 are the first with one";
        grade(NRI, format!("{} {} has no NRI that berth speaks", engine.kind, node.version_text()), hint.to_owned())
    } else if !nri.enabled {
        let on = setting(node, Section::Nri, "disable = false", "enable_nri = true");
        grade(NRI, "NRI is off".to_owned(), format!("set {on}, then {}", node.restart()))
    } else if !nri.connections && super::plugins::own_files(node).is_empty() {
        let message = "NRI is on, and takes no plugins but those that the engine starts itself".to_owned();
        let hint = format!(
            "set {}, then {}; or have the engine start berth: put it into {} as {}-{}",
            setting(node, Section::Nri, "disable_connections = false", "nri_disable_connections = false"),
            node.restart(),
            nri.plugins.display(),
            node.index,
            node.name
        );
        grade(NRI, message, hint)
    } else {
        Finding::pass(NRI, "NRI is on")
    };
    vec![one]
}

/// Somebody listens at its socket, and this process may talk to it. The connection is closed again at once, before anything
/// is said: the engine logs a plugin that did not register.
pub(super) fn socket(node: &Node) -> Vec<Finding> {
    let Some(effective) = node.effective().filter(|_| is_on(node)) else {
        return vec![Finding::skip(SOCKET, "NRI is not on")];
    };
    if !effective.nri.connections {
        return vec![Finding::skip(SOCKET, "NRI takes no connections, so the engine makes none")];
    }
    let path = effective.nri.socket.as_path();
    let restart = || {
        format!("{} has not made it: {}", node.engine().map_or("the engine", |engine| engine.name()), node.restart())
    };
    let shown = path.display();
    let one = match node.host.look(path) {
        Ok(None) if node.engine().is_some_and(|engine| engine.running.is_none()) => {
            Finding::skip(SOCKET, format!("{shown} is not there: the engine does not run"))
        }
        Ok(None) => Finding::fail(SOCKET, format!("{shown} is not there"), restart()),
        Ok(Some(data)) if !data.file_type().is_socket() => {
            Finding::fail(SOCKET, format!("{shown} is not a socket"), format!("remove it, then {}", node.restart()))
        }
        Err(_) if !node.privileges.root => Finding::skip(SOCKET, format!("{shown} cannot be looked at; run as root")),
        Err(error) => Finding::fail(SOCKET, crate::exit::chain(&error), restart()),
        Ok(Some(_)) => match reach(&node.here(path)) {
            Ok(()) => Finding::pass(SOCKET, format!("{shown} takes connections")),
            Err(Errno::EACCES | Errno::EPERM) if !node.privileges.root => {
                Finding::skip(SOCKET, format!("{shown} is root's; run as root"))
            }
            Err(errno @ (Errno::EACCES | Errno::EPERM)) => Finding::fail(
                SOCKET,
                format!("{shown} may not be connected to: {errno}"),
                "run as root with CAP_DAC_OVERRIDE, and let SELinux or AppArmor allow it (in a pod: type spc_t)",
            ),
            Err(Errno::EAGAIN) => Finding::warn(
                SOCKET,
                format!("{shown}: the engine takes no connection just now"),
                "check again; an engine that stays like this hangs: look into its log",
            ),
            Err(errno) => Finding::fail(SOCKET, format!("{shown}: nobody answers: {errno}"), restart()),
        },
    };
    vec![one]
}

/// Connects without waiting: a full queue is an error.
fn reach(path: &Path) -> Result<(), Errno> {
    let socket = open(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)
}

/// What may be asked of it.
pub(super) fn level(node: &Node) -> Vec<Finding> {
    let one = match of_engine(node).filter(|_| is_on(node)) {
        None => Finding::skip(LEVEL, "NRI is not on, or the engine's version is not known"),
        Some(can) => {
            let engine = node.engine().map_or("the engine", |engine| engine.kind.as_str());
            let what = format!("{engine} {}: {:?}", node.version_text(), can.level);
            if can.namespaces {
                Finding::pass(LEVEL, format!("{what}: identity and network namespace path of containers"))
            } else {
                Finding::warn(
                    LEVEL,
                    format!("{what}: identity of containers; it cannot change a path"),
                    "for the path, wrap the handler with an interposer, or upgrade: containerd 2.2 and CRI-O 1.34 can",
                )
            }
        }
    };
    vec![one]
}

/// The validator that comes with NRI lets a namespace be changed.
pub(super) fn validator(node: &Node) -> Vec<Finding> {
    let Some(effective) = node.effective().filter(|_| is_on(node)) else {
        return vec![Finding::skip(VALIDATOR, "NRI is not on")];
    };
    let validator = &effective.nri.validator;
    let swaps = |config: &Config| config.policy.profiles.iter().any(|profile| profile.netns != NetnsPolicy::Leave);
    if validator.enabled && validator.rejects_namespaces && !node.config.as_ref().map_or(true, swaps) {
        return vec![Finding::pass(
            VALIDATOR,
            "the default validator rejects changed namespaces; no profile changes one",
        )];
    }
    vec![match (validator.enabled, validator.rejects_namespaces) {
        (false, _) => Finding::pass(VALIDATOR, "the default validator is off"),
        (true, false) => Finding::pass(VALIDATOR, "the default validator lets namespaces be changed"),
        (true, true) => Finding::fail(
            VALIDATOR,
            "the default validator rejects every container whose namespace is changed: reject_namespace_adjustment",
            format!(
                "set {}, then {}; or let profiles have netns: leave",
                setting(
                    node,
                    Section::Validator,
                    "reject_namespace_adjustment = false",
                    "nri_validator_reject_namespace_adjustment = false"
                ),
                node.restart()
            ),
        ),
    }]
}

/// If the validator requires plugins, berth is there.
pub(super) fn required(node: &Node) -> Vec<Finding> {
    let Some(effective) = node.effective().filter(|_| is_on(node)) else {
        return vec![Finding::skip(REQUIRED, "NRI is not on")];
    };
    let validator = &effective.nri.validator;
    let full = format!("{}-{}", node.index, node.name);
    let similar =
        |plugin: &&String| plugin.split_once('-').is_some_and(|(_, name)| name == node.name) && **plugin != full;
    let one = if !validator.enabled || validator.required.is_empty() {
        Finding::pass(
            REQUIRED,
            "no plugin is required: containers that NRI alone covers run unadjusted while berth is away",
        )
    } else if let Some(other) = validator.required.iter().find(similar) {
        Finding::fail(
            REQUIRED,
            format!("{other:?} is required, and berth registers as {full:?}: no container can be created"),
            format!("write {:?} or {full:?} into {}", node.name, required_setting(node)),
        )
    } else if !validator.required.iter().any(|plugin| *plugin == node.name || *plugin == full) {
        Finding::pass(REQUIRED, format!("required are {}; not berth", validator.required.join(", ")))
    } else {
        let except = validator.tolerating.as_ref().map(|key| format!(", but those of pods annotated with {key}"));
        let except_them = except.as_deref().unwrap_or_default();
        if daemon::running(node).is_empty() {
            let grade = if except.is_some() { Finding::warn } else { Finding::fail };
            grade(
                REQUIRED,
                format!("{} is required and no berth runs: no container can be created{except_them}", node.name),
                format!("start berth's daemon, or take {:?} out of {}", node.name, required_setting(node)),
            )
        } else {
            Finding::pass(REQUIRED, format!("berth is required: no container is created without it{except_them}"))
        }
    };
    vec![one]
}

fn required_setting(node: &Node) -> String {
    setting(node, Section::Validator, "required_plugins", "nri_validator_required_plugins")
}
