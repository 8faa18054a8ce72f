//! From a YAML tree to interposers.

use super::Interposer;
use super::read::{absolute, name};
use super::walk::{Node, Problems};
use crate::decide::policy::Profile;
use crate::identity::Engine;
use std::collections::BTreeMap;

/// berth's own name, under which it is no interposer.
const OWN: &str = "berth";

pub(super) fn interposers(
    node: &Node<'_>,
    profiles: &[Profile],
    problems: &mut Problems,
) -> BTreeMap<String, Interposer> {
    let mut interposers = BTreeMap::new();
    for (key, value) in node.mapping(problems) {
        if key.is_empty() || key.contains('/') || key == OWN {
            problems.add(&value.path, "expected the file name under which berth is run, other than berth");
            continue;
        }
        if let Some(interposer) = interposer(&value, profiles, problems) {
            interposers.insert(key.to_owned(), interposer);
        }
    }
    interposers
}

fn interposer(node: &Node<'_>, profiles: &[Profile], problems: &mut Problems) -> Option<Interposer> {
    const ENGINES: [Engine; 4] = [Engine::Containerd, Engine::CriO, Engine::Podman, Engine::Other];
    let (mut engine, mut delegate, mut handler, mut profile, mut told) = (None, None, None, None, false);
    for (key, value) in node.entries(&["engine", "delegate", "handler", "profile"], problems) {
        match key {
            "engine" => {
                told = true;
                engine = value.choice(&ENGINES.map(|engine| (engine.as_str(), engine)), problems);
            }
            "delegate" => delegate = absolute(&value, problems),
            "handler" => handler = value.text("a runtime handler", problems).map(str::to_owned),
            _ => {
                let known = |wanted: &&str| profiles.iter().any(|profile| profile.name == *wanted);
                profile = name(&value, problems);
                if let Some(wanted) = profile.filter(|wanted| !known(wanted)) {
                    problems.add(&value.path, format!("no profile has the name {wanted:?}"));
                }
            }
        }
    }
    if !told {
        problems.add(&node.path, "expected an engine: whose annotations can be trusted is never guessed");
    }
    Some(Interposer { engine: engine?, delegate, handler, profile: profile.map(str::to_owned) })
}
