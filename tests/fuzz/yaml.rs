//! The configuration: a mistake has a line, and what is accepted can be written out and read again.
//!
//! Input: the text.

use berth::config::{Config, ConfigError};
use berth::decide::policy::{NetnsPolicy, OnContradiction, OnFailure, Patterns, Profile};
use berth::decide::template::{Fields, Template};
use berth::identity::{PodRef, Role, SandboxId};
use berth::logging::Line;
use serde_json::{Map, Value, json};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, "fuzz.yaml") {
        Ok(config) => accepted(text, &config),
        Err(ConfigError::Invalid { path, problems }) => {
            assert_eq!(path, "fuzz.yaml");
            assert!(!problems.is_empty());
            for problem in problems {
                let told = problem.to_string();
                if told == SEVERAL {
                    continue;
                }
                let line = problem.line.or_else(|| line_in(&told));
                let line = line.unwrap_or_else(|| panic!("no line in {told:?}"));
                assert!((1..=text.split(['\n', '\r']).count() + 1).contains(&line), "{told:?}");
            }
        }
        Err(other) => panic!("{other}"),
    }
}

/// A mistake that is on no line.
const SEVERAL: &str = "deserializing from YAML containing more than one document is not supported";

/// The parser tells the line in its own words.
fn line_in(told: &str) -> Option<usize> {
    let digits = told.rsplit_once(" line ")?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn accepted(text: &str, config: &Config) {
    assert_eq!(config.text, text);
    let line = Line::message("connected").with("profiles", config).to_string();
    assert!(!line.contains(char::is_control), "{line}");
    let policy = &config.policy;
    for profile in &policy.profiles {
        for name in ["", "kata", "default", "kube-system", profile.name.as_str()] {
            let chosen = policy.select(name, name).map(|chosen| &chosen.name);
            let first = policy.profiles.iter().find(|one| one.handlers.matches(name) && one.namespaces.matches(name));
            assert_eq!(chosen, first.map(|first| &first.name));
        }
    }
    for interposer in config.interposers.values() {
        assert!(interposer.delegate.as_ref().is_none_or(|path| path.is_absolute()));
        let profile = interposer.profile.as_ref();
        assert!(profile.is_none_or(|name| policy.profiles.iter().any(|profile| profile.name == *name)));
    }
    if let Some(written) = written(config) {
        let again = Config::parse(&written, "again.yaml").unwrap_or_else(|error| panic!("{error}: {written}"));
        assert_eq!(again.policy, config.policy, "{written}");
        assert_eq!(again.interposers, config.interposers, "{written}");
        assert_eq!(again.listen, config.listen, "{written}");
    }
}

/// The whole of it in YAML again, which JSON is a part of. `None` where a template cannot be told from outside.
fn written(config: &Config) -> Option<String> {
    let profiles: Option<Vec<Value>> = config.policy.profiles.iter().map(profile).collect();
    let interposers = config.interposers.iter().map(|(name, interposer)| {
        let mut entry = Map::new();
        entry.insert("engine".to_owned(), interposer.engine.as_str().into());
        let delegate = interposer.delegate.as_ref().map(|path| path.display().to_string());
        for (key, value) in
            [("delegate", &delegate), ("handler", &interposer.handler), ("profile", &interposer.profile)]
        {
            entry.extend(value.as_ref().map(|value| (key.to_owned(), value.as_str().into())));
        }
        (name.clone(), Value::Object(entry))
    });
    let mut file = json!({"profiles": profiles?, "interposers": interposers.collect::<Map<_, _>>()});
    if let Some(address) = &config.listen {
        file["listen"] = address.to_string().into();
    }
    Some(file.to_string())
}

fn profile(profile: &Profile) -> Option<Value> {
    let texts = |patterns: &Patterns| patterns.texts().collect::<Vec<_>>();
    let annotations: Option<Map<_, _>> =
        profile.annotations.iter().map(|(key, template)| Some((key.clone(), constant(template)?.into()))).collect();
    Some(json!({
        "name": profile.name,
        "match": {"runtimeHandlers": texts(&profile.handlers), "namespaces": texts(&profile.namespaces)},
        "dialects": profile.dialects.iter().map(|dialect| dialect.as_str()).collect::<Vec<_>>(),
        "annotations": annotations?,
        "dropAnnotations": texts(&profile.drop_annotations),
        "netns": match profile.netns {
            NetnsPolicy::Swap => "swap",
            NetnsPolicy::Create => "create",
            NetnsPolicy::Leave => "leave",
        },
        "onFailure": if profile.on_failure == OnFailure::Fail { "Fail" } else { "Ignore" },
        "onContradiction": if profile.on_contradiction == OnContradiction::Correct { "Correct" } else { "Refuse" },
    }))
}

/// The text of a template without placeholders: whatever the facts are, it comes to the same.
fn constant(template: &Template) -> Option<String> {
    let render = |word: &str, role| {
        let sandbox = SandboxId::try_from(word).expect("an id");
        let pod = PodRef { namespace: word.to_owned(), name: word.to_owned(), uid: word.to_owned() };
        template.render(&Fields { sandbox: &sandbox, pod: &pod, role, handler: Some(word), netns: Some(word) })
    };
    let one = render("one", Role::Sandbox)?;
    (render("other", Role::Member)? == one).then(|| one.replace('{', "{{").replace('}', "}}"))
}
