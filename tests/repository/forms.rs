//! Issue forms: what GitHub asks of them, and what they ask of a reporter. A form that breaks a rule is not shown.

use std::collections::BTreeSet;

use crate::workflow::{Value, files, yaml};

/// Types of a form's parts, with the attribute that each must have.
const TYPES: [(&str, &str); 5] =
    [("markdown", "value"), ("input", "label"), ("textarea", "label"), ("dropdown", "label"), ("checkboxes", "label")];
const FORM_KEYS: [&str; 8] = ["name", "description", "title", "labels", "assignees", "projects", "type", "body"];
const ATTRIBUTES: [&str; 8] =
    ["label", "description", "placeholder", "value", "render", "options", "multiple", "default"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_mapping().unwrap().keys().map(|key| key.as_str().unwrap()).collect()
}

fn options(part: &Value, name: &str) {
    let options = part["attributes"]["options"].as_sequence().unwrap_or_else(|| panic!("{name} has no options"));
    // A bare yes or no is a boolean to YAML, and refused.
    let labels: BTreeSet<_> =
        options.iter().map(|option| option.as_str().or_else(|| option["label"].as_str()).unwrap()).collect();
    assert!(!labels.is_empty() && labels.len() == options.len(), "{name}: {options:?}");
}

fn part(part: &Value, ids: &mut BTreeSet<String>, form: &str) {
    let kind = part["type"].as_str().unwrap();
    let name = format!("{form}: {}", part["id"].as_str().unwrap_or(kind));
    let (_, required) = TYPES.into_iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("{name}: {kind}"));
    let text = part["attributes"][required].as_str();
    assert!(text.is_some_and(|text| !text.trim().is_empty()), "{name} has no {required}");
    for key in keys(part) {
        assert!(["type", "id", "attributes", "validations"].contains(&key), "{name}: {key}");
    }
    for key in keys(&part["attributes"]) {
        assert!(ATTRIBUTES.contains(&key), "{name}: {key}");
    }
    if kind == "markdown" {
        return;
    }
    let id = part["id"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
    assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{name}");
    assert!(ids.insert(id.to_owned()), "{name} is there twice");
    if ["dropdown", "checkboxes"].contains(&kind) {
        options(part, &name);
    }
    if !part["validations"].is_null() {
        assert_eq!(keys(&part["validations"]), ["required"], "{name}");
        assert!(part["validations"]["required"].as_bool().is_some(), "{name}");
    }
}

#[test]
fn every_form_is_one_that_github_shows() {
    let mut forms = 0;
    for path in files(".github/ISSUE_TEMPLATE").iter().filter(|path| !path.ends_with("config.yml")) {
        let form = yaml(path);
        let name = path.display().to_string();
        for key in ["name", "description"] {
            assert!(form[key].as_str().is_some_and(|text| text.trim().len() >= 3), "{name} has no {key}");
        }
        for key in keys(&form) {
            assert!(FORM_KEYS.contains(&key), "{name}: {key}");
        }
        let mut ids = BTreeSet::new();
        form["body"].as_sequence().unwrap().iter().for_each(|value| part(value, &mut ids, &name));
        assert!(!ids.is_empty(), "{name} asks nothing");
        forms += 1;
    }
    assert!(forms >= 2);
}

#[test]
fn a_report_of_a_bug_says_what_it_takes_to_look_into_it() {
    let form = yaml(".github/ISSUE_TEMPLATE/bug_report.yml");
    let required: Vec<_> =
        form["body"].as_sequence().unwrap().iter().filter(|part| part["validations"]["required"] == true).collect();
    let asked = serde_yaml::to_string(&required).unwrap();
    for word in ["berth check -o json", "berth --version", "containerd --version", "RuntimeClass", "expected"] {
        assert!(asked.contains(word), "{word} is not asked for");
    }
}

#[test]
fn who_found_a_hole_is_sent_away_from_public_issues() {
    let config = yaml(".github/ISSUE_TEMPLATE/config.yml");
    assert_eq!(config["blank_issues_enabled"].as_bool(), Some(false));
    let bug = serde_yaml::to_string(&yaml(".github/ISSUE_TEMPLATE/bug_report.yml")).unwrap();
    assert!(bug.contains("SECURITY.md"));
}
