//! What the text of a specification may look like, what an edit leaves of it, and how the file is replaced.

mod bundle;
mod edit;
mod properties;
mod scan;

use super::Changes;

/// A specification as containerd writes it: no white space, its own keys, a few that no model knows.
pub(super) const COMPACT: &str = r#"{"ociVersion":"1.2.0","process":{"args":["/pause"],"cwd":"/","user":{"uid":0,"gid":0},"rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1e3}]},"root":{"path":"rootfs"},"annotations":{"io.kubernetes.cri.container-type":"sandbox","note":"caf\u00e9 \ud83d\ude80 \"<\u003e/"},"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/cni-1"}],"resources":{"memory":{"limit":9007199254740993}}},"x-unknown":{"b":1.0,"a":-0}}"#;

/// One as a person writes it.
pub(super) const PRETTY: &str = "{\r\n  \"ociVersion\" : \"1.2.0\",\n\t\"annotations\": {\n    \"a\": \"1\",\n    \"b\":  \"2\" ,\n    \"c\": \"3\"\n  },\n  \"linux\": {\"namespaces\": [ { \"type\": \"network\" } , {\"path\":\"\",\"type\":\"user\"} ]}\n}\n";

pub(super) fn changes(set: &[(&str, &str)], remove: &[&str], network: Option<&str>) -> Changes {
    Changes {
        set: set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        remove: remove.iter().map(|key| (*key).to_owned()).collect(),
        network_path: network.map(str::to_owned),
    }
}
