//! Distributions that write their containerd's configuration by themselves: what to put where, by hand.

use super::node::Node;
use super::{EditError, Input, Wrap, cri, handler, imports};
use crate::engine::Distribution;
use std::path::{Path, PathBuf};

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

/// What an operator of such a distribution would write for these handlers; `None` where the files are the operator's own,
/// and [`super::changes`] says what to change. `input.root` is the configuration that the distribution has rendered.
///
/// # Errors
///
/// As [`super::changes`].
pub fn stanza(distribution: Distribution, input: &Input, wraps: &[Wrap]) -> Result<Option<Stanza>, EditError> {
    handler::check_names(wraps)?;
    let dump = Node::parse(&input.dump).map_err(|error| EditError::dump(&input.dump, &error))?;
    cri::check_on(&dump)?;
    let version = version(input)?;
    let tables = cri::tables(input, wraps, cri::section(version), &[], &dump)?.join("\n") + "\n";
    let place = place(distribution, input, version)?;
    Ok(place.map(|(path, opening, how)| Stanza { path, how, text: format!("{opening}{tables}") }))
}

/// The words of the rendered file; where there is none, those that the engine's version would be given.
fn version(input: &Input) -> Result<i64, EditError> {
    let text = input.root.text.as_deref().unwrap_or_default();
    let said = super::Toml::read(&input.root.path, text)?.version();
    Ok(said.unwrap_or(if input.is_in_place() { 2 } else { 3 }))
}

/// A file, what it begins with, and what to do.
type Place = (PathBuf, String, String);

fn place(distribution: Distribution, input: &Input, version: i64) -> Result<Option<Place>, EditError> {
    let own_file =
        |path, restart: &str| (path, format!("version = {version}\n\n"), format!("write this file, and {restart}"));
    Ok(Some(match distribution {
        Distribution::Plain => return Ok(None),
        Distribution::K3s | Distribution::Rke2 => {
            let rendered = if version <= 2 { "config.toml" } else { "config-v3.toml" };
            let directory = input.root.path.parent().unwrap_or(Path::new("/"));
            let dropin = directory.join(format!("{rendered}.d/50-berth.toml"));
            let name = if distribution == Distribution::K3s { "k3s or k3s-agent" } else { "rke2-server or rke2-agent" };
            if imports::is_covered(input, &dropin)? {
                return Ok(Some(own_file(dropin, &format!("restart {name}"))));
            }
            let how = format!(
                "write this file; if there is one, put all but the first line at its end; then restart {name}, \
                 which renders {} from it",
                input.root.path.display()
            );
            (directory.join(format!("{rendered}.tmpl")), "{{ template \"base\" . }}\n\n".to_owned(), how)
        }
        Distribution::K0s => own_file("/etc/k0s/containerd.d/50-berth.toml".into(), &k0s(input)),
        Distribution::MicroK8s => {
            let path = "/var/snap/microk8s/current/args/containerd-template.toml".into();
            let how = "put this at the end of the file, and run: snap restart microk8s.daemon-containerd".to_owned();
            (path, String::new(), how)
        }
    }))
}

/// k0s reads its directory only while it writes its containerd's configuration by itself, which a comment there says.
fn k0s(input: &Input) -> String {
    let root = input.root.path.display();
    match &input.root.text {
        Some(text) if !text.contains("k0s_managed=true") => format!(
            "import it in {root}, which is not k0s's any more (it lacks the comment k0s_managed=true); then restart k0s"
        ),
        _ => "k0s takes it up by itself; look into /run/k0s/containerd-cri.toml".to_owned(),
    }
}
