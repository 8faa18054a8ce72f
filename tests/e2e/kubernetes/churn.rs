//! Pods that come and go all the time, while something happens to berth.

use serde_json::Value;

use super::kubectl::Object;
use super::scene::Scene;
use crate::rig::containerd::VM;
use crate::rig::provision::provision;

const JOB: &str = "churn";

/// A Job that makes pods of a selected class, three at a time, each of which lives for a second. It forgives nothing: a
/// pod that fails is not made again, nor is a container started twice.
#[derive(Debug)]
pub(crate) struct Churn<'scene> {
    scene: &'scene Scene<'scene>,
}

impl<'scene> Churn<'scene> {
    /// Starts it; returns when its first pods have come and gone.
    #[track_caller]
    pub(crate) fn start(scene: &'scene Scene<'_>) -> Self {
        let image = &provision().image_busybox;
        scene.apply(&format!(
            r#"apiVersion: batch/v1
kind: Job
metadata: {{name: {JOB}}}
spec:
  completions: 100000
  parallelism: 3
  backoffLimit: 0
  template:
    spec:
      runtimeClassName: {VM}
      restartPolicy: Never
      containers:
      - name: main
        image: {image}
        command: [sleep, "1"]
"#
        ));
        let churn = Self { scene };
        churn.await_more(3);
        churn
    }

    /// How many pods have come and gone by now; none has failed.
    #[track_caller]
    pub(crate) fn gone(&self) -> u64 {
        self.scene.await_object("the Job has pods that have ended", "job", JOB, succeeded)
    }

    /// Waits until this many more have come and gone.
    #[track_caller]
    pub(crate) fn await_more(&self, number: u64) {
        let before = self.gone();
        let more = |job: &Value| succeeded(job).filter(|now| *now >= before + number);
        self.scene.await_object(&format!("{number} more pods come and go"), "job", JOB, more);
    }

    /// Ends it. All pods have run to their end with one start each, and no step of making one was refused. How many they
    /// were.
    #[track_caller]
    pub(crate) fn end(self) -> usize {
        // Before the last ones are called off in the midst of being made.
        assert_eq!(self.complaints(), Vec::<String>::new());
        let stop = ["patch", "--patch", r#"{"spec": {"parallelism": 0}}"#];
        self.scene.cluster.kubectl(&self.scene.object("job", JOB).after(&stop)).unwrap_or_else(|e| panic!("{e}"));
        let idle = |job: &Value| {
            let of = |field: &str| job["status"][field].as_u64().unwrap_or_default();
            (of("active") + of("terminating") == 0).then(|| succeeded(job))
        };
        self.scene.await_object("the Job stands still", "job", JOB, idle);
        let pods = Object::labelled(&self.scene.namespace, "pods", &format!("job-name={JOB}"));
        let pods = self.scene.cluster.items(&pods);
        for pod in &pods {
            assert_eq!(pod["status"]["phase"], "Succeeded", "{pod:#}");
            assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0, "{pod:#}");
        }
        pods.len()
    }

    /// What the kubelet says of steps that failed, even if it came through later.
    fn complaints(&self) -> Vec<String> {
        let events = Object::labelled(&self.scene.namespace, "events", "");
        let events = self.scene.cluster.items(&events).into_iter();
        let failed = events.filter(|event| {
            let reason = event["reason"].as_str().unwrap_or_default();
            event["type"] == "Warning" && (reason.starts_with("Failed") || reason == "BackOff")
        });
        failed.map(|event| format!("{}: {}", event["involvedObject"]["name"], event["message"])).collect()
    }
}

/// How many pods of the Job have succeeded; panics as soon as one has failed.
#[track_caller]
fn succeeded(job: &Value) -> Option<u64> {
    assert_eq!(job["status"]["failed"].as_u64().unwrap_or_default(), 0, "a pod has failed: {job:#}");
    job["status"].is_object().then(|| job["status"]["succeeded"].as_u64().unwrap_or_default())
}
