//! Each check on a good node, and turned to the worst that it can find.

mod scenarios;
mod stage;

use super::*;
use crate::finding::Grade;
use scenarios::Scenario;
use stage::Stage;
use std::collections::BTreeSet;

/// Checks of things that never keep berth from its work.
const WARN_AT_WORST: [&str; 3] = [nri::LEVEL, state::LEFTOVERS, daemon::DAEMON];

fn look(name: &str, stage: &Stage) -> Vec<Finding> {
    let check = CHECKS.iter().find(|check| check.name == name).expect("a check of that name");
    (check.look)(&stage.node())
}

#[test]
fn a_good_node_passes() {
    for stage in [Stage::containerd(), Stage::crio()] {
        let found = run(&stage.node());
        let bad: Vec<_> = found.iter().filter(|finding| finding.grade > Grade::Skip).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        let report = Report::new(&stage.node(), found);
        assert!(report.is_good(true));
    }
}

type Case = (&'static str, fn(&mut Stage));

/// Nodes that are as good as those above, and could be taken for worse.
#[test]
fn what_is_in_order_is_not_complained_of() {
    let cases: [Case; 6] = [
        (drop_ins::DROP_INS, |stage| {
            // A root file that says no version leaves it to the others, as `berth install` writes them.
            stage.write("/etc/containerd/config.toml", "imports = ['/etc/containerd/conf.d/50-berth*.toml']\n");
        }),
        (drop_ins::DROP_INS, |stage| {
            stage.write("/etc/containerd/config.toml", "version = 4\nimports = ['./more/../a.toml']\n");
            stage.write("/etc/containerd/a.toml", "version = 4\nimports = ['conf.d/*.toml']\n");
        }),
        (nri::SOCKET, |stage| {
            // Then the engine makes none; it starts berth itself.
            stage.dump = stage.dump.replace("disable_connections = false", "disable_connections = true");
            stage.remove("/run/nri/nri.sock").host.link("/opt/nri/plugins/90-berth", "/usr/local/bin/berth");
        }),
        (nri::VALIDATOR, |stage| {
            stage.dump.push_str(
                "[plugins.'io.containerd.nri.v1.nri'.default_validator]\nenable = true\nreject_namespace_adjustment = true\n",
            );
            stage.config = "profiles: [{name: all, netns: leave}]\n".to_owned();
        }),
        (nri::SOCKET, |stage| stage.version = ""),
        // runc's shim looks for a bare name in its PATH.
        (handlers::PROGRAMS, |stage| {
            stage.dump = stage.dump.replace("'/usr/local/bin/berth-crun'", "'berth-crun'");
        }),
    ];
    for (check, change) in cases {
        let mut stage = Stage::containerd();
        change(&mut stage);
        let found = look(check, &stage);
        let bad: Vec<_> = found.iter().filter(|finding| finding.grade > Grade::Skip).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
    // Nor is what NRI would do there taken for nothing.
    let mut stage = Stage::containerd();
    stage.version = "";
    assert!(look(nri::SOCKET, &stage).iter().all(|finding| finding.grade == Grade::Pass));
    assert!(
        look(doors::DOORS, &stage)
            .iter()
            .any(|finding| finding.message.contains("gvisor: sandbox: the engine's own identity; containers: NRI"))
    );
}

#[test]
fn every_check_says_something_under_its_name_and_once_in_the_list() {
    let node = Stage::containerd().node();
    for check in CHECKS {
        let found = (check.look)(&node);
        assert!(!found.is_empty(), "{} says nothing", check.name);
        assert!(found.iter().all(|finding| finding.check == check.name), "{}: {found:?}", check.name);
    }
    assert_eq!(CHECKS.iter().map(|check| check.name).collect::<BTreeSet<_>>().len(), CHECKS.len());
}

#[test]
fn every_scenario_turns_its_check() {
    for Scenario { check, grade, says, hints, stage } in scenarios::all() {
        let found = look(check, &stage());
        let wanted = found.iter().find(|finding| finding.grade == *grade && finding.message.contains(says));
        let wanted = wanted.unwrap_or_else(|| panic!("{check}: no {grade} with {says:?}: {found:#?}"));
        let hint = wanted.hint.as_deref().unwrap_or_else(|| panic!("{check}: {grade} without a hint: {wanted:?}"));
        assert!(hint.contains(hints), "{check}: {hint}");
        let report = Report::new(&stage().node(), found);
        assert_eq!(report.is_good(false), *grade == Grade::Warn, "{check}");
        assert!(!report.is_good(true), "{check}");
    }
}

#[test]
fn every_check_has_a_scenario_of_the_worst_that_it_finds() {
    for check in CHECKS {
        let worst = if WARN_AT_WORST.contains(&check.name) { Grade::Warn } else { Grade::Fail };
        let shown =
            scenarios::all().filter(|scenario| scenario.check == check.name).map(|scenario| scenario.grade).max();
        assert_eq!(shown, Some(worst), "{}", check.name);
    }
}

#[test]
fn without_an_engine_or_the_right_to_look_nothing_but_the_engine_fails() {
    let mut stage = Stage::empty();
    stage.privileges.root = false;
    let found = run(&stage.node());
    let failed: Vec<_> =
        found.iter().filter(|finding| finding.grade == Grade::Fail).map(|finding| finding.check).collect();
    assert_eq!(failed, [engine::ENGINE], "{found:#?}");
}

/// Times, versions and places of the machine apart.
fn shown(stage: &Stage, form: Form) -> String {
    let node = stage.node();
    let mut out = Vec::new();
    Report::new(&node, run(&node)).write(form, &mut out).expect("write");
    let text = String::from_utf8(out).expect("text");
    let root = stage.root();
    text.replace(&root, "")
        .replace(&privileges::kernel(), "KERNEL")
        .replace(crate::COMMIT, "COMMIT")
        .replace(crate::VERSION, "VERSION")
}

#[test]
fn the_answer_for_people() {
    let stage = Stage::containerd();
    insta::assert_snapshot!("containerd", shown(&stage, Form::Table { headers: true }));
    insta::assert_snapshot!("crio", shown(&Stage::crio(), Form::Table { headers: false }));
    insta::assert_snapshot!("broken", shown(&scenarios::broken(), Form::Table { headers: true }));
}

#[test]
fn the_answer_for_programs() {
    let stage = scenarios::broken();
    insta::assert_snapshot!("json", shown(&stage, Form::Json));
    let yaml = shown(&stage, Form::Yaml);
    let read: serde_yaml::Value = serde_yaml::from_str(&yaml).expect("YAML");
    let json: serde_yaml::Value = serde_yaml::from_str(&shown(&stage, Form::Json)).expect("JSON");
    assert_eq!(read, json);
}

#[test]
fn what_an_engine_says_of_registries_is_not_repeated() {
    let mut stage = Stage::containerd();
    stage.dump.push_str(
        "\n[plugins.'io.containerd.grpc.v1.cri'.registry.configs.'r.example'.auth]\n  password = 'hunter2'\n",
    );
    let sane = stage.dump.clone();
    // Also where it is the line that cannot be read.
    for dump in [sane.clone(), sane.replace("'hunter2'", "hunter2'")] {
        stage.dump = dump;
        for form in [Form::Json, Form::Table { headers: true }] {
            assert!(!shown(&stage, form).contains("hunter2"));
        }
    }
}
