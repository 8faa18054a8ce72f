//! The workflows' own steps, as they stand there, run one after the other: what GitHub would do with their texts, with
//! buildx, the signing and the publishing left out or recorded.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::layout::archive;
use crate::tree::{BERTH, HERE, header};
use crate::workflow::{Value, job, root};

/// A runner: the directory for temporary files, and what steps have put out.
struct Runner {
    temp: TempDir,
    known: BTreeMap<String, String>,
}

impl Runner {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let mut known = BTreeMap::new();
        known.insert("runner.temp".into(), temp.path().to_str().unwrap().to_owned());
        known.insert("github.sha".into(), "0".repeat(40));
        known.insert("github.token".into(), "a token".into());
        Self { temp, known }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A text with its expressions evaluated; every one must be known.
    fn evaluated(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once("}}").unwrap();
            let value = self.known.get(name.trim()).unwrap_or_else(|| panic!("nobody has put out {name}"));
            out.push_str(value);
            out.push_str(rest);
        }
        out
    }

    fn environment(&self, values: &Value) -> Vec<(String, String)> {
        let pairs = values.as_mapping().into_iter().flatten();
        pairs.map(|(key, value)| (key.as_str().unwrap().to_owned(), self.evaluated(value.as_str().unwrap()))).collect()
    }

    /// Runs a step's script, as its job would; takes up what it puts out.
    fn run(&mut self, job: &Value, step: &Value) {
        let output = self.path("output");
        fs::write(&output, "").unwrap();
        let directory = step["working-directory"].as_str().map_or(root().to_owned(), |dir| self.evaluated(dir).into());
        let script = self.evaluated(step["run"].as_str().unwrap());
        let done = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script])
            .current_dir(directory)
            .envs([("GITHUB_REPOSITORY", "Owner/Name"), ("GITHUB_REF_NAME", concat!("v", env!("CARGO_PKG_VERSION")))])
            .env("GITHUB_OUTPUT", &output)
            .env("RUNNER_TEMP", self.temp.path())
            .env("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap()))
            .envs(self.environment(&job["env"]))
            .envs(self.environment(&step["env"]))
            .output()
            .unwrap();
        assert!(done.status.success(), "{script}\n{}", String::from_utf8_lossy(&done.stderr));
        for line in fs::read_to_string(output).unwrap().lines() {
            let (key, value) = line.split_once('=').unwrap();
            self.known.insert(format!("steps.{}.outputs.{key}", step["id"].as_str().unwrap()), value.to_owned());
        }
    }

    /// A program that writes down its arguments, one on each line.
    fn record(&self, program: &str) {
        let path = self.path("bin").join(program);
        fs::create_dir_all(self.path("bin")).unwrap();
        let log = self.path(program);
        fs::write(&path, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >>{}\n", log.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn recorded(&self, program: &str) -> Vec<String> {
        fs::read_to_string(self.path(program)).unwrap().lines().map(str::to_owned).collect()
    }

    /// The parameters of an action, evaluated.
    fn told(&self, step: &Value, key: &str) -> String {
        self.evaluated(step["with"][key].as_str().unwrap_or_else(|| panic!("{key} is not said")))
    }
}

fn uses(step: &Value, action: &str) -> bool {
    step["uses"].as_str().is_some_and(|used| used.starts_with(&format!("{action}@")))
}

/// What buildx leaves behind of the build: the image's archive, and its files by platform.
fn built(runner: &Runner, step: &Value) {
    let outputs = runner.told(step, "outputs");
    let destination = |kind: &str| -> PathBuf {
        let line = outputs.lines().find(|line| line.starts_with(&format!("type={kind},"))).expect(kind);
        line.split(',').find_map(|part| part.strip_prefix("dest=")).unwrap().into()
    };
    let (made, _) = archive(runner.temp.path(), "built");
    if made != destination("oci") {
        fs::rename(made, destination("oci")).unwrap();
    }
    for (arch, machine) in [("amd64", 62), ("arm64", 183)] {
        let dir = destination("local").join(format!("linux_{arch}"));
        header(&dir, machine);
        if machine == HERE.1 {
            fs::copy(BERTH, dir.join("berth")).unwrap();
        }
    }
}

/// The build of a release, up to its artifact: the paths that are uploaded.
fn build(runner: &mut Runner) -> Vec<PathBuf> {
    let job = job("ci/build").value;
    let mut uploaded = Vec::new();
    for step in job["steps"].as_sequence().unwrap() {
        if uses(step, "docker/build-push-action") {
            let arguments = runner.told(step, "build-args");
            assert!(arguments.contains(concat!("BERTH_VERSION=", env!("CARGO_PKG_VERSION"), "\n")), "{arguments}");
            built(runner, step);
        } else if uses(step, "actions/upload-artifact") {
            uploaded = runner.told(step, "path").lines().map(PathBuf::from).collect();
        } else if step["run"].as_str().is_some_and(|script| !script.starts_with("sudo ")) {
            runner.run(&job, step);
        }
    }
    for key in ["name", "digest", "image"] {
        let value = runner.evaluated(job["outputs"][key].as_str().unwrap());
        runner.known.insert(format!("needs.ci.outputs.{key}"), value);
    }
    uploaded
}

/// Puts the artifact where a job downloads it to.
fn download(runner: &Runner, step: &Value, artifact: &[PathBuf]) {
    let directory = PathBuf::from(runner.told(step, "path"));
    fs::create_dir_all(&directory).unwrap();
    for path in artifact {
        assert!(Command::new("cp").arg("-R").arg(path).arg(&directory).status().unwrap().success());
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

#[test]
fn a_release_from_its_build_to_its_page() {
    let mut runner = Runner::new();
    let artifact = build(&mut runner);
    let image = runner.known["needs.ci.outputs.image"].clone();
    assert!(image.starts_with(concat!("ghcr.io/owner/name:", env!("CARGO_PKG_VERSION"), "@sha256:")), "{image}");
    let files = names(&runner.path("dist"));
    let version = env!("CARGO_PKG_VERSION");
    for name in ["SHA256SUMS", "berth-plugin.yaml", &format!("berth-{version}.cdx.json")] {
        assert!(files.contains(&name.to_owned()), "{files:?}");
    }
    for arch in ["amd64", "arm64"] {
        assert!(files.contains(&format!("berth-{version}-linux-{arch}.tar.gz")), "{files:?}");
    }

    for program in ["cosign", "gh"] {
        runner.record(program);
    }
    let signing = job("release/image").value;
    let mut attested = 0;
    for step in signing["steps"].as_sequence().unwrap() {
        if uses(step, "actions/download-artifact") {
            download(&runner, step, &artifact);
        } else if uses(step, "actions/attest") {
            // What it is about exists by then.
            for key in ["sbom-path", "subject-checksums"].into_iter().filter(|key| !step["with"][*key].is_null()) {
                assert!(Path::new(&runner.told(step, key)).is_file(), "{key}");
            }
            attested += 1;
        } else if step["run"].as_str().is_some_and(|script| !script.contains("scripts/release/push")) {
            runner.run(&signing, step);
        }
    }
    assert_eq!(attested, 3, "provenance and crates of the image, provenance of the files");
    let signed = runner.recorded("cosign");
    assert_eq!(
        signed,
        [
            "sign",
            "--yes",
            "--recursive",
            &image,
            "sign-blob",
            "--yes",
            "--bundle",
            "SHA256SUMS.sigstore.json",
            "SHA256SUMS"
        ]
    );

    let publishing = job("release/release").value;
    for step in publishing["steps"].as_sequence().unwrap().iter().filter(|step| !step["run"].is_null()) {
        runner.run(&publishing, step);
    }
    let told = runner.recorded("gh");
    let end = told.iter().rposition(|word| word == "release").unwrap();
    let (created, published) = told.split_at(end);
    assert_eq!(published[1..], ["edit", concat!("v", env!("CARGO_PKG_VERSION")), "--draft=false"]);
    assert!(created.contains(&"--draft".to_owned()) && !created.contains(&"--prerelease".to_owned()), "{created:?}");
    let attached = created.iter().filter(|word| word.contains("/release/dist/")).count();
    assert_eq!(attached, files.len(), "{created:?}");
    let notes = fs::read_to_string(runner.path("notes.md")).unwrap();
    assert!(notes.contains(&image) && notes.contains("### Added"), "{notes}");
}

#[test]
fn one_job_that_did_not_succeed_fails_the_one_to_require() {
    let passed = job("ci/passed").value;
    let script = passed["steps"][0]["run"].as_str().unwrap();
    for (results, ok) in [
        ("success success", true),
        ("success skipped success", false),
        ("failure success", false),
        ("success cancelled", false),
    ] {
        let done =
            Command::new("bash").args(["-eo", "pipefail", "-c", script]).env("RESULTS", results).output().unwrap();
        assert_eq!(done.status.success(), ok, "{results}");
    }
}
