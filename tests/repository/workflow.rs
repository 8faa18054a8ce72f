//! Workflows as data.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use serde_yaml::Value;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub(crate) fn yaml(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    serde_yaml::from_str(&read(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files of a directory of this repository, as paths in it.
pub(crate) fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap_or_else(|e| panic!("{directory}: {e}"));
    let mut found: Vec<_> = entries.map(|entry| Path::new(directory).join(entry.unwrap().file_name())).collect();
    found.sort();
    assert!(!found.is_empty(), "{directory} is empty");
    found
}

/// A job, under the name `<workflow>/<job>`.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl Job {
    pub(crate) fn steps(&self) -> &[Value] {
        self.value["steps"].as_sequence().map_or(&[], Vec::as_slice)
    }

    /// The texts of its steps, with each value of the matrix in the place of its expression.
    pub(crate) fn scripts(&self) -> Vec<String> {
        let mut scripts: Vec<String> = Vec::new();
        for text in self.steps().iter().filter_map(|step| step["run"].as_str()) {
            let Some((key, values)) = self.matrix().into_iter().find(|(key, _)| text.contains(&expression(key))) else {
                scripts.push(text.to_owned());
                continue;
            };
            scripts.extend(values.iter().map(|value| text.replace(&expression(&key), value)));
        }
        scripts
    }

    /// The lists of its matrix.
    pub(crate) fn matrix(&self) -> BTreeMap<String, Vec<String>> {
        let matrix = self.value["strategy"]["matrix"].as_mapping().cloned().unwrap_or_default();
        let words = |list: &Value| -> Option<Vec<String>> {
            list.as_sequence()?.iter().map(|value| Some(value.as_str()?.to_owned())).collect()
        };
        matrix.iter().filter_map(|(key, list)| Some((key.as_str()?.to_owned(), words(list)?))).collect()
    }
}

fn expression(key: &str) -> String {
    format!("${{{{ matrix.{key} }}}}")
}

pub(crate) fn workflows() -> BTreeMap<String, Value> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    files(".github/workflows").iter().map(|path| (stem(path), yaml(path))).collect()
}

pub(crate) fn jobs() -> Vec<Job> {
    let mut found = Vec::new();
    for (workflow, value) in workflows() {
        for (name, job) in value["jobs"].as_mapping().unwrap() {
            found.push(Job { name: format!("{workflow}/{}", name.as_str().unwrap()), value: job.clone() });
        }
    }
    assert!(found.len() > 10, "the jobs were found");
    found
}

pub(crate) fn job(name: &str) -> Job {
    jobs().into_iter().find(|job| job.name == name).unwrap_or_else(|| panic!("there is no job {name}"))
}

/// The steps of all jobs and of the actions of this repository.
pub(crate) fn all_steps() -> Vec<(String, Value)> {
    let of = |name: &str, steps: &[Value]| steps.iter().map(|step| (name.to_owned(), step.clone())).collect::<Vec<_>>();
    let mut found: Vec<_> = jobs().iter().flat_map(|job| of(&job.name, job.steps())).collect();
    for directory in files(".github/actions") {
        let action = yaml(directory.join("action.yml"));
        found.extend(of(&directory.to_string_lossy(), action["runs"]["steps"].as_sequence().unwrap()));
    }
    found
}
