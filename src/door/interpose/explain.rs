//! What the door would do with a bundle, and why. Changes nothing.

use super::act::{Asked, Examined, changes};
use super::argv::Create;
use super::gather::Source;
use super::name::Grammar;
use super::report::Failure;
use super::setup::{self, Node, Places};
use crate::config::{Config, Interposer};
use crate::decide::verdict::Verdict;
use crate::dialect::identity_key;
use crate::door::said::words;
use crate::exit::chain;
use crate::identity::{CONTAINERD_CRI_NAMESPACE, Engine, Role};
use crate::oci::{Bundle, Scan, edit};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The name under which berth would be run; `None`: one that has no entry.
    pub name: Option<String>,
    /// The id; `None`: by the bundle's directory, as the engines lay it out.
    pub id: Option<String>,
    /// The root directory of an OCI runtime, or containerd's namespace, in which ids are unique; `None`: that of
    /// containerd's bundles by their directory, and of others none, which is right where pins' names carry none.
    pub root: Option<String>,
    /// What the configuration is taken to say of the name, in the place of its own entry.
    pub entry: Option<Interposer>,
}

/// The answer. Annotations that do not say who a container is are told by key alone: their values can be secret.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The file.
    pub config: PathBuf,
    /// `leave`, `adjust` or `refuse`.
    pub verdict: &'static str,
    /// Why, in a word.
    pub reason: &'static str,
    /// What the engine would be told, where it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The profile; none selects it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What is trusted: engine, scope, role, sandbox and pod.
    pub facts: BTreeMap<&'static str, String>,
    /// The container's name, where its engine says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Identity annotations as they stand, of all dialects.
    pub identity: BTreeMap<String, String>,
    /// Annotations that are missing and would be written, with their values, which are berth's.
    pub written: BTreeMap<String, String>,
    /// Annotations that are there and would be overwritten.
    pub corrected: BTreeMap<String, String>,
    /// Annotations that would be removed.
    pub removed: Vec<String>,
    /// Those that contradict the engine, of the ones above.
    pub contradictions: Vec<String>,
    /// The network namespace's path now.
    pub path_before: Option<String>,
    /// And then.
    pub path_after: Option<String>,
}

/// Explains.
///
/// # Errors
/// What would be told to the engine in the place of an answer, or that there is no `config.json`.
pub fn explain(question: &Question, config: &Config, places: Places) -> Result<Explained, Failure> {
    let name = question.name.as_deref().unwrap_or_default();
    let entry = question.entry.as_ref().or_else(|| setup::entry(config, name));
    let grammar = setup::grammar(entry, name);
    let bundle = Bundle::open(&question.bundle)?.ok_or_else(|| Failure::NoSpec(question.bundle.clone()))?;
    let spec = bundle.scan()?;
    let create = Create { engine: manager(&spec), ..create(question, grammar, entry.map(|entry| entry.engine)) };
    let node = Node::look(places)?;
    let asked = Asked { config, grammar, entry, create: &create };
    let who = asked.who(&spec)?;
    let profile = asked.profile(&who);
    let examined = asked.examine(&node, &spec, who, profile);
    let mut explained = unchanged(bundle.path(), &spec, &examined);
    match examined.verdict {
        Verdict::Leave(_) => {}
        Verdict::Refuse(refusal) => explained.refusal = Some(refusal.to_string()),
        Verdict::Adjust(plan) => {
            edit(&spec, &changes(&plan, &examined.gathered.pin_path))?;
            if plan.joins_pin() {
                explained.path_after = Some(examined.gathered.pin_path);
            }
            let there = |key: &String| spec.values.contains_key(key);
            (explained.corrected, explained.written) = plan.set.into_iter().partition(|(key, _)| there(key));
            explained.removed = plan.remove.into_iter().collect();
            explained.contradictions = plan.contradictions;
        }
    }
    Ok(explained)
}

/// Under which the engines write a container's name: containerd, and CRI-O after the kubelet.
const NAMES: [&str; 2] = ["io.kubernetes.cri.container-name", "io.kubernetes.container.name"];

fn copied((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

/// The verdict and what it rests on.
fn unchanged(config: &Path, spec: &Scan<'_>, examined: &Examined<'_>) -> Explained {
    let Examined { scope, who, profile, gathered, verdict } = examined;
    let (verdict, reason) = words(verdict);
    let path = spec.network.as_ref().and_then(|entry| entry.path.clone());
    Explained {
        config: config.to_owned(),
        verdict,
        reason,
        refusal: None,
        profile: profile.map(|profile| profile.name.clone()),
        facts: BTreeMap::from([
            ("engine", scope.engine.to_string()),
            ("scope", scope.root.clone()),
            ("role", role(who.role).to_owned()),
            ("sandbox", who.sandbox.to_string()),
            ("pod", who.pod.to_string()),
            ("podUid", who.pod.uid.clone()),
            ("network", source(&gathered.source)),
        ]),
        container: NAMES.iter().find_map(|key| spec.values.get(*key)).cloned(),
        identity: spec.values.iter().filter(|(key, _)| identity_key(key).is_some()).map(copied).collect(),
        written: BTreeMap::new(),
        corrected: BTreeMap::new(),
        removed: Vec::new(),
        contradictions: Vec::new(),
        path_before: path.clone(),
        path_after: path,
    }
}

/// The creation that would bring the bundle here. containerd's bundles are `<namespace>/<id>`, CRI-O's and podman's
/// `<id>/userdata`.
fn create(question: &Question, grammar: Grammar, engine: Option<Engine>) -> Create {
    let bundle = std::path::absolute(&question.bundle).unwrap_or_else(|_| question.bundle.clone());
    let last = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (own, parent) = (last(&bundle), bundle.parent().map(last).unwrap_or_default());
    let id = match &question.id {
        Some(id) => id.clone(),
        None if own == "userdata" => parent.clone(),
        None => own,
    };
    let containerd = engine == Some(Engine::Containerd) || (engine.is_none() && parent == CONTAINERD_CRI_NAMESPACE);
    let root = match (&question.root, containerd, grammar) {
        (Some(root), ..) => root.clone(),
        (None, false, _) => String::new(),
        (None, true, Grammar::Shim) => parent,
        (None, true, Grammar::Runtime) => format!("/{parent}"),
    };
    Create { bundle: question.bundle.clone(), id, root, log: None, restores: false, engine: None }
}

/// The engine that would run it, by its own word in the specification. Not what an interposer goes by: an author can
/// have written it into CRI-O's sandboxes. Here it misleads nobody but who asks.
fn manager(spec: &Scan<'_>) -> Option<Engine> {
    (spec.values.get("io.container.manager")? == Engine::CriO.as_str()).then_some(Engine::CriO)
}

fn role(role: Role) -> &'static str {
    role.container_type().unwrap_or("standalone")
}

fn source(source: &Source) -> String {
    match source {
        Source::Pinned => "pinned".to_owned(),
        Source::Open(path, _) => format!("to be pinned from {}", path.display()),
        Source::Broken(error) => format!("cannot be pinned: {}", chain(error)),
        Source::New => "a new one is asked for".to_owned(),
        Source::None => "nothing to pin".to_owned(),
    }
}
