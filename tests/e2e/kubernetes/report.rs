//! What a failing test leaves for who looks into it.

use std::path::Path;

use super::berth::NAMESPACE;
use super::cluster::Cluster;
use super::kubectl::Object;

/// Where reports go, one directory for each failed test.
const REPORTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kubernetes");
/// How many lines of each text are shown at once; the directory has all of them.
const SHOWN: usize = 25;

impl Cluster {
    /// What is known of an object: `kubectl describe`, the events of its namespace, the logs of its pods.
    pub(crate) fn about(&self, object: &Object) -> String {
        let described = self.said(&object.after(&["describe"]));
        let events = object.namespace().map(|namespace| {
            let events = self.said(&["get", "events", "--namespace", namespace, "--sort-by=.lastTimestamp"]);
            let logs =
                self.logs_of_pods(namespace).into_iter().map(|(pod, log)| section(&format!("log of {pod}"), &log));
            section("events", &events) + &logs.collect::<String>()
        });
        section(&object.after(&["describe"]).join(" "), &described) + &events.unwrap_or_default()
    }

    /// Writes everything that is known of the cluster to a directory, says which, and shows the end of each text.
    pub(crate) fn report(&self, test: &str) {
        let directory = Path::new(REPORTS).join(test);
        let texts = self.texts();
        match write(&directory, &texts) {
            Ok(()) => eprintln!("---- all of what follows is in {}", directory.display()),
            Err(e) => eprintln!("---- the report cannot be kept in {}: {e}", directory.display()),
        }
        for (name, text) in &texts {
            eprint!("{}", section(name, &tail(text)));
        }
    }

    fn texts(&self) -> Vec<(String, String)> {
        let mut texts = vec![
            ("objects".to_owned(), self.said(&["get", "all", "--all-namespaces", "--output=wide"])),
            ("events".to_owned(), self.said(&["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"])),
            ("pods".to_owned(), self.said(&["describe", "pods", "--all-namespaces"])),
        ];
        if let Some((status, body)) = self.health("/readyz") {
            texts.push(("readyz".to_owned(), format!("{status}\n{body}")));
        }
        texts.extend(self.logs_of_pods(NAMESPACE));
        texts.extend(self.provider().logs());
        texts
    }

    /// The logs of all containers of a namespace's pods, by the pod's name; of those that ran before as well.
    fn logs_of_pods(&self, namespace: &str) -> Vec<(String, String)> {
        let pods = self.said(&["get", "pods", "--namespace", namespace, "--output=name"]);
        let pods = pods.lines().filter_map(|line| line.strip_prefix("pod/"));
        let log = |pod: &str, more: &[&str]| {
            let words = ["logs", "--namespace", namespace, pod, "--all-containers", "--prefix"];
            self.said(&[&words, more].concat())
        };
        pods.flat_map(|pod| {
            let before = format!("{pod}-before");
            [(pod.to_owned(), log(pod, &[])), (before, log(pod, &["--previous"]))]
        })
        .collect()
    }

    /// What kubectl says, whether or not it is what was asked for.
    fn said(&self, args: &[&str]) -> String {
        self.kubectl(args).unwrap_or_else(|e| e)
    }
}

fn write(directory: &Path, texts: &[(String, String)]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    texts.iter().try_for_each(|(name, text)| std::fs::write(directory.join(name), text))
}

fn section(name: &str, text: &str) -> String {
    format!("---- {name}\n{}\n", text.trim_end())
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN)..].join("\n")
}
