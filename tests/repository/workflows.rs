//! Rules that every workflow keeps to, and that what it names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use crate::workflow::{Job, Value, all_steps, files, job, jobs, read, root, workflows};

/// Who may write what. All other jobs read the contents at most.
const WRITES: [(&str, &str); 4] = [
    ("release/image", "attestations"),
    ("release/image", "id-token"),
    ("release/image", "packages"),
    ("release/release", "contents"),
];

fn used_actions() -> Vec<(String, String, String)> {
    let sources = files(".github/workflows").into_iter();
    let sources = sources.chain(files(".github/actions").into_iter().map(|directory| directory.join("action.yml")));
    let mut found = Vec::new();
    for source in sources {
        for line in read(&source).lines() {
            let line = line.trim().trim_start_matches("- ");
            if let Some(used) = line.strip_prefix("uses: ") {
                let (used, comment) = used.split_once(" # ").unwrap_or((used, ""));
                found.push((source.display().to_string(), used.trim().to_owned(), comment.to_owned()));
            }
        }
    }
    assert!(found.len() > 20, "the actions were found");
    found
}

#[test]
fn every_action_is_of_this_repository_or_pinned_by_commit_with_its_version_beside_it() {
    let mut pinned = BTreeMap::new();
    for (source, used, comment) in used_actions() {
        if let Some(local) = used.strip_prefix("./") {
            assert!(root().join(local).exists(), "{source}: {used}");
            continue;
        }
        let (name, commit) = used.split_once('@').unwrap_or_else(|| panic!("{source}: {used} says no commit"));
        let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        assert!(is_commit, "{source}: {used} is not pinned by a commit");
        let numbers = comment.strip_prefix('v').map(|version| version.split('.').all(|n| n.parse::<u32>().is_ok()));
        assert_eq!(numbers, Some(true), "{source}: {used}: its version is not beside it: {comment:?}");
        let first = pinned.entry(name.to_owned()).or_insert((commit.to_owned(), comment.clone())).clone();
        assert_eq!(first, (commit.to_owned(), comment), "{source}: {name} is used in two versions");
    }
}

#[test]
fn steps_leave_no_credentials_behind_and_are_told_nothing_that_others_choose() {
    for (name, step) in all_steps() {
        if step["uses"].as_str().is_some_and(|used| used.starts_with("actions/checkout@")) {
            assert_eq!(step["with"]["persist-credentials"].as_bool(), Some(false), "{name}");
        }
        let script = step["run"].as_str().unwrap_or_default();
        for (at, _) in script.match_indices("${{") {
            // A branch's or a title's text would be run as a part of the script; it goes by an environment variable.
            assert!(script[at..].starts_with("${{ matrix."), "{name}: {script}");
        }
    }
    for (name, workflow) in workflows() {
        assert!(workflow["on"]["pull_request_target"].is_null(), "{name}: it would run others' changes with our token");
        let text = read(format!(".github/workflows/{name}.yml"));
        assert!(!text.contains("secrets."), "{name}: there is no secret but the job's own token");
    }
}

#[test]
fn jobs_may_do_what_they_are_listed_with_and_nothing_else() {
    for (name, workflow) in workflows() {
        let default = workflow["permissions"].as_mapping().unwrap_or_else(|| panic!("{name} has no permissions"));
        for (key, value) in default {
            assert_eq!((key.as_str(), value.as_str()), (Some("contents"), Some("read")), "{name}");
        }
    }
    let mut writes = BTreeSet::new();
    for job in jobs() {
        for (key, value) in job.value["permissions"].as_mapping().into_iter().flatten() {
            if value != "read" {
                writes.insert((job.name.clone(), key.as_str().unwrap().to_owned()));
            }
        }
    }
    let known = WRITES.map(|(job, key)| (job.to_owned(), key.to_owned()));
    assert_eq!(writes, known.into_iter().collect());
}

#[test]
fn every_job_ends() {
    for job in jobs().iter().filter(|job| job.value["uses"].is_null()) {
        let minutes = job.value["timeout-minutes"].as_u64().unwrap_or_else(|| panic!("{} has no timeout", job.name));
        assert!((1..=120).contains(&minutes), "{}: {minutes}", job.name);
    }
}

/// The words after `make` in a script.
fn make_targets(script: &str) -> Vec<String> {
    let words: Vec<_> = script.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "make").map(|pair| pair[1].to_owned()).collect()
}

/// Paths below `scripts/` in a text.
fn script_paths(text: &str) -> Vec<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
    let starts = text.match_indices("scripts/").filter(|(at, _)| !text[..*at].ends_with(is_path)).map(|(at, _)| at);
    let path = |at: usize| text[at..].split(|c| !is_path(c)).next().unwrap().trim_end_matches('.').to_owned();
    starts.map(path).collect()
}

fn makefile_has(target: &str) -> bool {
    let makefile = read("Makefile");
    let engine =
        target.strip_prefix("test-engine-").is_some_and(|engine| engines().iter().any(|known| known == engine));
    engine || makefile.lines().any(|line| line.starts_with(&format!("{target}:")))
}

/// The engines of the Makefile.
fn engines() -> Vec<String> {
    let makefile = read("Makefile").replace("\\\n", " ");
    let line = makefile.lines().find_map(|line| line.strip_prefix("engines := ")).expect("engines").to_owned();
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_workflows_make_and_run_is_there() {
    let scripts: Vec<(String, String)> =
        jobs().iter().flat_map(|job: &Job| job.scripts().into_iter().map(|text| (job.name.clone(), text))).collect();
    let targets: Vec<_> =
        scripts.iter().flat_map(|(job, text)| make_targets(text).into_iter().map(move |t| (job, t))).collect();
    assert!(targets.len() > 15, "{targets:?}");
    for (job, target) in targets {
        assert!(makefile_has(&target), "{job}: make {target}");
    }
    let paths: Vec<_> =
        scripts.iter().flat_map(|(job, text)| script_paths(text).into_iter().map(move |path| (job, path))).collect();
    assert!(paths.len() > 5, "{paths:?}");
    for (job, path) in paths {
        let mode = root().join(&path).metadata().unwrap_or_else(|e| panic!("{job}: {path}: {e}")).permissions().mode();
        assert!(mode & 0o111 != 0, "{job}: {path} cannot be executed");
    }
}

#[test]
fn every_engine_of_the_makefile_has_its_job() {
    assert_eq!(job("ci/engines").matrix()["engine"], engines());
}

#[test]
fn the_job_to_require_waits_for_all_others() {
    let waits: BTreeSet<_> = sequence(&job("ci/passed").value["needs"]).into_iter().collect();
    let others = jobs().into_iter().filter_map(|job| job.name.strip_prefix("ci/").map(str::to_owned));
    assert_eq!(waits, others.filter(|name| name != "passed").collect());
}

fn sequence(value: &Value) -> Vec<String> {
    value.as_sequence().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_rust_of_the_jobs_is_the_oldest_promised_and_the_one_that_releases_are_built_with() {
    let oldest = read("Cargo.toml").lines().find_map(|line| Some(line.strip_prefix("rust-version = \"")?.to_owned()));
    let oldest = format!("rust:{}-bookworm", oldest.unwrap().trim_end_matches('"'));
    let builder = read("Dockerfile").lines().find_map(|line| Some(line.strip_prefix("ARG BUILDER=")?.to_owned()));
    let builder = builder.unwrap().replace("docker.io/library/", "").replace("-slim-", "-");
    for job in jobs() {
        let container = &job.value["container"];
        let Some(image) = container.as_str().or_else(|| container["image"].as_str()) else { continue };
        assert_eq!(image, if job.name == "ci/msrv" { &oldest } else { &builder }, "{}", job.name);
    }
    assert!(job("ci/msrv").value["container"].as_str().is_some());
}

#[test]
fn the_readers_of_scripts_see_targets_and_paths() {
    let script =
        "sudo env A=b make test-kind && x=$(scripts/release/notes \"$A\") >f; benches/scripts/no scripts/deny.";
    assert_eq!(make_targets(script), ["test-kind"]);
    assert_eq!(script_paths(script), ["scripts/release/notes", "scripts/deny"]);
}
