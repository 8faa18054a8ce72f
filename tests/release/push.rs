//! An image is pushed to a real registry, as it is and once.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::layout::archive;
use crate::provision::components;
use crate::tree::said;
use crate::wait::within;
use crate::workflow::root;

const ADDRESS: &str = "127.0.0.1:5719";

/// A registry in a network namespace of its own.
struct Registry {
    process: Child,
    _storage: TempDir,
}

impl Registry {
    fn start() -> Self {
        let program = components(&["registry"])["BERTH_RELEASE_REGISTRY"].clone();
        let storage = TempDir::new().unwrap();
        let config = storage.path().join("config.yml");
        let root = storage.path().display();
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}/images}}}}\nhttp: {{addr: \"{ADDRESS}\"}}\n"
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(storage.path().join("log")).unwrap();
        let process = Command::new("unshare")
            .args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", &program, "serve"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self { process, _storage: storage };
        let own = || fs::read_link(format!("/proc/{}/ns/net", registry.process.id())).ok();
        let inside = || (own()? != fs::read_link("/proc/self/ns/net").unwrap()).then_some(());
        let listens =
            || registry.inside("bash", &["-c", &format!("</dev/tcp/{}", ADDRESS.replace(':', "/"))]).status.success();
        let ready = within(Duration::from_secs(20), || inside().filter(|()| listens()));
        assert!(ready.is_some(), "{}", fs::read_to_string(registry._storage.path().join("log")).unwrap());
        registry
    }

    /// Runs a program where the registry can be reached.
    fn inside(&self, program: &str, args: &[&str]) -> Output {
        let namespace = format!("--net=/proc/{}/ns/net", self.process.id());
        let mut command = Command::new("nsenter");
        command.args([&namespace, "--", program]).args(args).env("BERTH_PLAIN_HTTP", "1").output().unwrap()
    }

    fn push(&self, archive: &Path, image: &str) -> Output {
        let script = root().join("scripts/release/push");
        self.inside(script.to_str().unwrap(), &[archive.to_str().unwrap(), image])
    }

    fn raw(&self, image: &str) -> String {
        let done = self.inside("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{image}")]);
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn it_arrives_with_all_platforms_under_the_digest_that_was_known_before_and_a_version_stays_what_it_is() {
    let registry = Registry::start();
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (path, digest) = archive(first.path(), "first");
    let (other, other_digest) = archive(second.path(), "second");
    let tagged = format!("{ADDRESS}/owner/name:0.1.0");

    let done = registry.push(&path, &format!("{tagged}@{digest}"));
    assert!(done.status.success(), "{}", said(&done));
    let index: serde_json::Value =
        serde_json::from_str(&registry.raw(&format!("{ADDRESS}/owner/name@{digest}"))).unwrap();
    let platforms: Vec<_> =
        index["manifests"].as_array().unwrap().iter().map(|m| m["platform"]["architecture"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    for manifest in index["manifests"].as_array().unwrap() {
        registry.raw(&format!("{ADDRESS}/owner/name@{}", manifest["digest"].as_str().unwrap()));
    }

    let again = registry.push(&path, &format!("{tagged}@{digest}"));
    assert!(again.status.success() && said(&again).contains("is there already"), "{}", said(&again));
    let changed = registry.push(&other, &format!("{tagged}@{other_digest}"));
    assert!(!changed.status.success() && said(&changed).contains("does not change"), "{}", said(&changed));
    let lied = registry.push(&other, &format!("{ADDRESS}/owner/name:0.2.0@{digest}"));
    assert!(!lied.status.success() && said(&lied).contains(&other_digest), "{}", said(&lied));
    assert!(registry.raw(&tagged).contains(&index["manifests"][0]["digest"].to_string()));
}

#[test]
fn an_archive_that_is_not_what_it_says_has_no_digest() {
    let dir = TempDir::new().unwrap();
    let (path, digest) = archive(dir.path(), "it");
    let tell = || Command::new(root().join("scripts/release/digest")).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8(tell().stdout).unwrap().trim(), digest);
    let blob = dir.path().join("layout/blobs").join(digest.replace(':', "/"));
    fs::write(&blob, fs::read_to_string(&blob).unwrap() + " ").unwrap();
    let tar =
        Command::new("tar").arg("-cf").arg(&path).arg("-C").arg(dir.path().join("layout")).arg(".").status().unwrap();
    assert!(tar.success());
    assert!(!tell().status.success());
}
