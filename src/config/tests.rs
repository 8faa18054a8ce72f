use super::*;
use crate::decide::policy::{NetnsPolicy, OnFailure};
use crate::dialect::Dialect;

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text, "test.yaml") {
        Err(ConfigError::Invalid { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_printed_default_is_what_holds_without_a_file() {
    let printed = Config::parse(DEFAULT_TEXT, BUILT_IN).expect("default");
    assert_eq!(printed, Config::built_in());
    assert_eq!(printed.policy, Config::parse("{}", "empty").expect("empty").policy);
    assert_eq!(printed.policy, Config::parse("", "nothing").expect("nothing").policy);
}

#[test]
fn the_default_selects_every_named_handler_and_never_the_default_one() {
    let policy = Config::parse(DEFAULT_TEXT, "default").expect("default").policy;
    assert!(policy.select("", "default").is_none());
    let profile = policy.select("kata-qemu", "kube-system").expect("named");
    assert_eq!(profile.dialects, [Dialect::Ocid, Dialect::Containerd]);
    assert_eq!((profile.netns, profile.on_failure), (NetnsPolicy::Swap, OnFailure::Fail));
}

#[test]
fn all_mistakes_are_told_in_one_go_each_with_path_and_expectation() {
    let text = r#"
profile: []
listen: nowhere
profiles:
  - name: a
    netns: swp
    onFailure: fail
    match: {runtimeHandlers: kata, namespace: ["*"]}
  - name: a
    dialects: [ocid, dockershim]
    annotations:
      ocid/sandbox_id: "x"
      "-a": "x"
      ok: "{pod.nmae}"
      number: 5
  - match: {namespaces: ["a***", ok, "b***"]}
  - 7
"#;
    let found = problems(text);
    let expected = [
        "profile: unknown key, expected one of profiles, interposers, listen",
        "listen: expected an address like 127.0.0.1:9464, [::1]:9464, :9464 or unix:/run/berth/http.sock, got \"nowhere\"",
        "profiles[0].netns: expected swap or create or leave, got \"swp\"",
        "profiles[0].onFailure: expected Fail or Ignore, got \"fail\"",
        "profiles[0].match.namespace: unknown key, expected one of runtimeHandlers, namespaces",
        "profiles[0].match.runtimeHandlers: expected a list, got \"kata\"",
        "profiles[1].dialects[1]: expected ocid or containerd or cri-o, got \"dockershim\"",
        "profiles[1].annotations.ocid/sandbox_id: an identity key of the ocid dialect: use `dialects`",
        "profiles[1].annotations.ok: unknown placeholder {pod.nmae}",
        "profiles[1].annotations.number: expected text with placeholders, got 5",
        "profiles[1].annotations.-a: expected an annotation key",
        "profiles[1].name: \"a\" is the name of profiles[0] too",
        "profiles[2]: expected a profile with a name",
        "profiles[2].match.namespaces[0]: expected a shell pattern, got \"a***\"",
        "profiles[2].match.namespaces[2]: expected a shell pattern, got \"b***\"",
        "profiles[3]: expected a mapping, got 7",
    ];
    for start in expected {
        assert!(found.iter().any(|problem| problem.starts_with(start)), "{start}\nin {found:#?}");
    }
}

#[test]
fn a_mistake_is_told_with_its_line() {
    assert_eq!(
        problems("listen: :1\nprofiles:\n- name: a\n  netns: swp\n"),
        ["profiles[0].netns: expected swap or create or leave, got \"swp\" (line 4)"]
    );
    let unknown = &problems("\nprofils:\n- name: a\n")[0];
    assert!(unknown.starts_with("profils: unknown key") && unknown.ends_with("(line 2)"), "{unknown}");
}

#[test]
fn of_profiles_without_a_name_that_alone_is_told() {
    let found = problems("profiles:\n- {}\n- netns: swap\n- name: 5\n- name: default\n");
    let expected =
        ["profiles[0]: expected a profile with a name", "profiles[1]: expected a profile", "profiles[2].name: "];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(|(problem, start)| problem.starts_with(start)), "{found:?}");
}

#[test]
fn text_that_is_no_yaml_is_told_with_its_line() {
    assert!(problems("profiles: [")[0].contains("line 2"), "{:?}", problems("profiles: ["));
    for (text, line) in [("a: 1\nb: \u{1}\n", 2), ("\u{7f}", 1), ("]", 1), ("\"\u{feff}\n\n\u{9f}", 1)] {
        let found = problems(text);
        assert!(found[0].contains(&format!("line {line}")), "{text:?}: {found:?}");
    }
    assert_eq!(problems("a: 1\na: 2").len(), 1);
    assert_eq!(problems("just text"), ["expected a mapping, got \"just text\" (line 1)"]);
}

#[test]
fn an_empty_list_of_profiles_selects_nothing() {
    let policy = Config::parse("profiles: []", "t").expect("valid").policy;
    assert!(policy.select("kata", "default").is_none());
}

#[test]
fn a_named_file_must_exist_and_be_small() {
    let absent = Config::load(Some(Path::new("/nonexistent/berth.yaml"))).expect_err("absent");
    assert_eq!(absent.to_string(), "config /nonexistent/berth.yaml: open");
    let large = Config::load(Some(Path::new("/dev/zero"))).expect_err("endless");
    assert!(matches!(large, ConfigError::TooLarge { .. }), "{large}");
}

#[test]
fn the_hash_names_the_text() {
    let hash = |text| Config::parse(text, "t").expect("valid").hash;
    assert_eq!(hash("{}"), hash("{}"));
    assert_ne!(hash("{}"), hash("{} "));
}

#[test]
fn interposers_are_read_with_what_may_be_left_out() {
    let text = r#"
profiles: [{name: vm, dropAnnotations: ["run.oci.handler", "io.katacontainers.*", "!*.ok"]}]
interposers:
  berth-runc: {engine: containerd}
  wrapped: {engine: cri-o, delegate: /usr/bin/crun, handler: kata, profile: vm}
  p: {engine: podman}
  n: {engine: none}
"#;
    let config = Config::parse(text, "t").expect("valid");
    let engines: Vec<_> = config.interposers.values().map(|interposer| interposer.engine).collect();
    assert_eq!(engines, [Engine::Containerd, Engine::Other, Engine::Podman, Engine::CriO]);
    let wrapped = &config.interposers["wrapped"];
    assert_eq!(wrapped.delegate.as_deref(), Some(Path::new("/usr/bin/crun")));
    assert_eq!(wrapped.profile.as_deref(), Some("vm"));
    assert_eq!(wrapped.handler.as_deref(), Some("kata"));
    let bare = Interposer { engine: Engine::Podman, delegate: None, handler: None, profile: None };
    assert_eq!(config.interposers["p"], bare);
    let drops = &config.policy.profiles[0].drop_annotations;
    assert!(drops.matches("io.katacontainers.config.hypervisor.x") && !drops.matches("io.katacontainers.ok"));
}

#[test]
fn every_mistake_in_an_interposer_is_told() {
    let text = r#"
profiles: [{name: vm, dropAnnotations: ["!keep"]}, {name: w, dropAnnotations: ["a***", 5]}]
interposers:
  berth: {engine: none}
  a/b: {engine: none}
  x: {engine: docker, delegate: runc, profile: wm, grammar: shim}
  y: {}
  z: 7
"#;
    let expected = [
        "profiles[0].dropAnnotations: expected a pattern without !",
        "profiles[1].dropAnnotations[0]: expected a shell pattern, got \"a***\"",
        "profiles[1].dropAnnotations[1]: expected a shell pattern, got 5",
        "interposers.berth: expected the file name under which berth is run, other than berth",
        "interposers.a/b: expected the file name",
        "interposers.x.engine: expected containerd or cri-o or podman or none, got \"docker\"",
        "interposers.x.delegate: expected an absolute path, got \"runc\"",
        "interposers.x.profile: no profile has the name \"wm\"",
        "interposers.x.grammar: unknown key, expected one of engine, delegate, handler, profile",
        "interposers.y: expected an engine",
        "interposers.z: expected a mapping, got 7",
    ];
    let found = problems(text);
    for start in expected {
        assert!(found.iter().any(|problem| problem.starts_with(start)), "{start}\nin {found:#?}");
    }
}

#[test]
fn what_is_published_is_what_was_read_and_nothing_where_nothing_was() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join(PUBLISHED);
    let text = "profiles: [] # as it was written\n";
    Config::parse(text, "/etc/x.yaml").expect("valid").publish(dir.path()).expect("publish");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), text);
    Config::parse(DEFAULT_TEXT, BUILT_IN).expect("default").publish(dir.path()).expect("publish");
    assert!(!path.exists());
}

#[test]
fn of_what_is_published_interposers_read_their_own_whatever_else_a_daemon_of_another_version_knows() {
    let dir = tempfile::tempdir().expect("dir");
    let read = |text: &str| {
        std::fs::write(dir.path().join(PUBLISHED), text).expect("write");
        Config::load_published(dir.path())
    };
    let of_the_daemon = read("hostProc: /host/proc\nlisten: [\":1\", \":2\"]\nprofiles: []\n").expect("valid");
    assert!(of_the_daemon.policy.profiles.is_empty());
    assert_eq!(of_the_daemon.listen, None);
    let own = read("listen: 5\nprofiles:\n- name: a\n  netns: later\n").expect_err("what profiles mean is theirs");
    assert!(own.to_string().contains("profiles[0].netns: expected"), "{own}");
}

#[test]
fn a_name_is_mentioned_however_it_is_written() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("c.yaml");
    let mentioned = |text: &str| {
        std::fs::write(&path, text).expect("write");
        mentions(&path, "berth-runc")
    };
    for entry in
        ["berth-runc: {engine: none}", "\"berth-\\x72unc\": {engine: none}", "? berth-runc\n  : {engine: none}"]
    {
        let text = format!("interposers:\n  {entry}\n");
        assert!(Config::parse(&text, "t").expect("valid").interposers.contains_key("berth-runc"), "{text}");
        assert!(mentioned(&text), "{text}");
    }
    assert!(!mentioned("interposers: {berth-crun: {engine: none}}"));
    assert!(!mentions(&dir.path().join("absent"), "berth-runc"));
}
