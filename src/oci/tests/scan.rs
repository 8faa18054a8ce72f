use super::{COMPACT, PRETTY};
use crate::exit::chain;
use crate::oci::scan;

fn error(text: &str) -> String {
    chain(&scan(text.as_bytes()).expect_err(text))
}

#[test]
fn what_matters_is_found() {
    let spec = scan(COMPACT.as_bytes()).expect("compact");
    assert_eq!(spec.values["io.kubernetes.cri.container-type"], "sandbox");
    assert_eq!(spec.values["note"], "café 🚀 \"<>/");
    assert_eq!(spec.network.expect("entry").path.as_deref(), Some("/run/netns/cni-1"));
    assert!(!spec.user_namespace);
    let spec = scan(PRETTY.as_bytes()).expect("pretty");
    assert_eq!(spec.values.len(), 3);
    assert_eq!(spec.network.expect("entry").path, None);
    assert!(spec.user_namespace);
}

#[test]
fn what_need_not_be_there_need_not_be_there() {
    for text in ["{}", r#"{"annotations":null,"linux":null}"#, r#"{"linux":{}}"#, r#"{"linux":{"namespaces":null}}"#] {
        let spec = scan(text.as_bytes()).expect(text);
        assert!(spec.values.is_empty() && spec.network.is_none() && !spec.user_namespace, "{text}");
        assert!(spec.cgroups_path.is_none() && spec.joined.is_empty(), "{text}");
    }
    for path in ["", r#","path":"""#, r#","path":null"#] {
        let text = format!(r#"{{"linux":{{"namespaces":[{{"type":"network"{path}}}]}}}}"#);
        assert_eq!(scan(text.as_bytes()).expect(&text).network.expect("entry").path, None);
    }
}

#[test]
fn what_is_joined_is_found_whatever_its_type() {
    let text = r#"{"linux":{"namespaces":[{"type":"ipc","path":"/proc/7/ns/ipc"},{"type":"mount"},
        {"type":"new-kind","path":"/x"},{"type":"network","path":""},{"type":"uts","path":null}]}}"#;
    assert_eq!(scan(text.as_bytes()).expect(text).joined, ["/proc/7/ns/ipc", "/x"]);
}

#[test]
fn the_cgroup_is_where_the_specification_says() {
    let path = |linux: &str| scan(format!(r#"{{"linux":{linux}}}"#).as_bytes()).expect(linux).cgroups_path;
    assert_eq!(path(r#"{"cgroupsPath":"/a\/b"}"#).as_deref(), Some("/a/b"));
    assert_eq!(path(r#"{"cgroupsPath":"a.slice:b:c","namespaces":[]}"#).as_deref(), Some("a.slice:b:c"));
    assert_eq!((path(r#"{"cgroupsPath":""}"#), path(r#"{"cgroupsPath":null}"#)), (None, None));
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let namespaces = |list: &str| format!(r#"{{"linux":{{"namespaces":{list}}}}}"#);
    let cases = [
        (String::new(), "is empty"),
        (" \n".to_owned(), "is empty"),
        ("[]".to_owned(), "config.json: expected an object, found a list"),
        ("7".to_owned(), "config.json: expected an object, found a number"),
        ("\u{feff}{}".to_owned(), "is not JSON: expected value at line 1 column 1"),
        ("{\"a\":1".to_owned(), "is not JSON: EOF"),
        ("{}{}".to_owned(), "is not JSON: trailing characters"),
        ("[]{}".to_owned(), "is not JSON: trailing characters"),
        (" \u{c}{}".to_owned(), "is not JSON: expected value"),
        ("{}\u{c}".to_owned(), "is not JSON: trailing characters"),
        (r#"{"annotations":[]}"#.to_owned(), "annotations: expected an object, found a list"),
        (r#"{"annotations":{"k":5}}"#.to_owned(), r#"annotations["k"]: expected a text, found a number"#),
        (r#"{"annotations":{"k":null}}"#.to_owned(), r#"annotations["k"]: expected a text, found null"#),
        (r#"{"annotations":{"k":"\ud800"}}"#.to_owned(), r#"annotations["k"]: is not a text: "#),
        (r#"{"annotations":{"a":"1","\u0061":"2"}}"#.to_owned(), r#"annotations: key "a" occurs twice"#),
        (r#"{"annotations":{},"annotations":{}}"#.to_owned(), r#"config.json: key "annotations" occurs twice"#),
        (r#"{"Annotations":{}}"#.to_owned(), r#"config.json: key "Annotations" is taken for "annotations""#),
        (r#"{"linux":{"nameſpaces":[]}}"#.to_owned(), r#"linux: key "nameſpaces" is taken for "namespaces""#),
        (r#"{"linux":"x"}"#.to_owned(), "linux: expected an object, found a text"),
        (r#"{"linux":{"cgroupsPath":1}}"#.to_owned(), "linux.cgroupsPath: expected a text, found a number"),
        (r#"{"linux":{"cgroupspath":""}}"#.to_owned(), r#"linux: key "cgroupspath" is taken for "cgroupsPath""#),
        (namespaces("{}"), "linux.namespaces: expected a list, found an object"),
        (namespaces("[true]"), "linux.namespaces[0]: expected an object, found a truth value"),
        (namespaces(r#"[{"path":"/x"}]"#), "linux.namespaces[0].type: expected a text, found nothing"),
        (namespaces(r#"[{"type":"network","path":1}]"#), "linux.namespaces[0].path: expected a text, found a number"),
        (namespaces(r#"[{"type":"network","PATH":""}]"#), r#"linux.namespaces[0]: key "PATH" is taken for "path""#),
        (namespaces(r#"[{"type":"network"},{"type":"network"}]"#), "linux.namespaces: has 2 entries of type"),
    ];
    for (text, start) in cases {
        assert!(error(&text).starts_with(start), "{text}: {}", error(&text));
    }
    assert_eq!(chain(&scan(b"{\"a\":\"\xff\"}").expect_err("bytes")), "is not UTF-8 from byte 6 on");
}

#[test]
fn values_are_not_in_messages() {
    assert!(!error(r#"{"annotations":{"k":"s3cret\ud800"}}"#).contains("s3cret"));
}

#[test]
fn depth_costs_no_stack() {
    let deep = |n: usize| format!(r#"{{"hooks":{}{},"linux":{{}}}}"#, "[".repeat(n), "]".repeat(n));
    assert!(scan(deep(1_000_000).as_bytes()).is_ok());
    assert!(error(&"[".repeat(1_000_000)).starts_with("is not JSON: EOF"));
}
