//! Distributions that write their containerd's configuration by themselves: what to put where, by hand.

use super::node::Node;
use super::{EditError, Engine, Input, Wrap, cri, handler, imports};
use std::fmt;
use std::path::{Path, PathBuf};

/// A distribution of Kubernetes that renders its engine's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// k3s, and its agents.
    K3s,
    /// RKE2, likewise.
    Rke2,
    /// k0s.
    K0s,
    /// `MicroK8s`.
    MicroK8s,
}

/// What an operator would put where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// The file.
    pub path: PathBuf,
    /// What to do with it, and what to do then.
    pub how: String,
    /// What to put in.
    pub text: String,
}

/// What an operator of such a distribution would write for these handlers. `input.root` is the configuration that the
/// distribution has rendered.
///
/// # Errors
///
/// As [`super::changes`].
pub fn stanza(distribution: Distribution, input: &Input, wraps: &[Wrap]) -> Result<Stanza, EditError> {
    handler::check_names(wraps)?;
    let dump = Node::parse(&input.dump).map_err(|error| EditError::dump(&input.dump, &error))?;
    cri::check_on(&dump)?;
    let version = version(input)?;
    let tables = cri::tables(input, wraps, version, &[], &dump)?.join("\n") + "\n";
    let (path, opening, how) = place(distribution, input, version)?;
    Ok(Stanza { path, how, text: format!("{opening}{tables}") })
}

/// The words of the rendered file; where there is none, those that the engine's version would be given.
fn version(input: &Input) -> Result<i64, EditError> {
    let text = input.root.text.as_deref().unwrap_or_default();
    let said = super::Toml::read(&input.root.path, text)?.version();
    Ok(said.unwrap_or(if matches!(input.engine, Engine::Containerd(2.., ..)) { 3 } else { 2 }))
}

/// The file, what it begins with, and what to do.
fn place(distribution: Distribution, input: &Input, version: i64) -> Result<(PathBuf, String, String), EditError> {
    let own_file =
        |path, restart: &str| (path, format!("version = {version}\n\n"), format!("write this file, and {restart}"));
    Ok(match distribution {
        Distribution::K3s | Distribution::Rke2 => {
            let rendered = if version <= 2 { "config.toml" } else { "config-v3.toml" };
            let directory = input.root.path.parent().unwrap_or(Path::new("/"));
            let dropin = directory.join(format!("{rendered}.d/50-berth.toml"));
            if imports::is_covered(input, &dropin)? {
                return Ok(own_file(dropin, &format!("restart {distribution} or its agent")));
            }
            let how = format!(
                "write this file; if there is one, put all but the first line at its end; then restart {distribution} or \
                 its agent, which renders {} from it",
                input.root.path.display()
            );
            (directory.join(format!("{rendered}.tmpl")), "{{ template \"base\" . }}\n\n".to_owned(), how)
        }
        Distribution::K0s => own_file(
            "/etc/k0s/containerd.d/50-berth.toml".into(),
            "k0s takes it up by itself; nothing is to be restarted",
        ),
        Distribution::MicroK8s => {
            let path = "/var/snap/microk8s/current/args/containerd-template.toml".into();
            let how = "put this at the end of the file, and run: snap restart microk8s.daemon-containerd".to_owned();
            (path, String::new(), how)
        }
    })
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::K3s => "k3s",
            Self::Rke2 => "rke2",
            Self::K0s => "k0s",
            Self::MicroK8s => "microk8s",
        })
    }
}
