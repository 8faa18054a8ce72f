//! The lifecycle rule in a model of a node in which everything happens in any order: pods come and go, engines delete
//! files, tasks start and end, pins are unmounted behind berth's back, time passes, and the numbers of dead network
//! namespaces are given to new ones at once, of which there are fewer than pods.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot run fails")]

use berth::lifecycle::{DRAIN_LIMIT, Facts, Fate, Pin, Source, Tasks, evaluate};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const PODS: usize = 4;
const NUMBERS: u32 = 3;

/// A network namespace: its number, and how many tasks are in it. It lives while anything holds it.
#[derive(Debug, Clone)]
struct Namespace {
    number: u32,
    tasks: usize,
}

/// One pod as the kernel, the engine and berth's ledger have it; namespaces by identity, not by number.
#[derive(Debug, Clone, Default)]
struct Pod {
    engine_file: Option<usize>,
    pin: Option<usize>,
    record: Option<Record>,
}

#[derive(Debug, Clone)]
struct Record {
    number: u32,
    gone_since: Option<u64>,
}

#[derive(Debug, Default)]
struct Node {
    namespaces: BTreeMap<usize, Namespace>,
    next: usize,
    pods: [Pod; PODS],
    now: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Run(usize),
    EngineDeletes(usize),
    TaskStarts(usize),
    TasksEnd(usize),
    SomebodyUnmounts(usize),
    Wait(u64),
    Settle(usize),
}

impl Node {
    fn collect(&mut self) {
        let pods = &self.pods;
        let held = |id: usize| pods.iter().any(|pod| pod.engine_file == Some(id) || pod.pin == Some(id));
        self.namespaces.retain(|id, namespace| namespace.tasks > 0 || held(*id));
    }

    /// The lowest number that no living namespace has: reused as early as can be.
    fn new_namespace(&mut self) -> Option<usize> {
        let taken = |number: &u32| self.namespaces.values().any(|namespace| namespace.number == *number);
        let number = (0..NUMBERS).find(|number| !taken(number))?;
        self.next += 1;
        self.namespaces.insert(self.next, Namespace { number, tasks: 1 });
        Some(self.next)
    }

    fn number(&self, id: Option<usize>) -> Option<u32> {
        id.and_then(|id| self.namespaces.get(&id)).map(|namespace| namespace.number)
    }

    /// What berth can see of a pod: numbers and paths, never identities.
    fn facts(&self, pod: &Pod, record: &Record) -> Facts {
        let (pin, source) = (self.number(pod.pin), self.number(pod.engine_file));
        let pin = match pin {
            None => Pin::Missing,
            Some(number) if number == record.number => Pin::Held,
            Some(_) => Pin::Foreign,
        };
        let source = match source {
            None => Source::Gone,
            Some(number) if pin == Pin::Held && number != record.number => Source::Gone,
            Some(_) => Source::Present,
        };
        let tasks: usize =
            self.namespaces.values().filter(|namespace| namespace.number == record.number).map(|ns| ns.tasks).sum();
        Facts {
            pin,
            source,
            tasks: if tasks == 0 { Tasks::None } else { Tasks::Some(tasks) },
            gone_for: record.gone_since.map(|since| Duration::from_secs(self.now - since)),
            removed_for: None,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Run(pod) if self.pods[pod].record.is_none() && self.pods[pod].engine_file.is_none() => {
                if let Some(id) = self.new_namespace() {
                    let number = self.number(Some(id)).unwrap();
                    let record = Record { number, gone_since: None };
                    self.pods[pod] = Pod { engine_file: Some(id), pin: Some(id), record: Some(record) };
                }
            }
            Step::Run(_) => {}
            Step::EngineDeletes(pod) => self.pods[pod].engine_file = None,
            Step::TaskStarts(pod) => self.tasks(pod, 1),
            Step::TasksEnd(pod) => self.tasks(pod, 0),
            Step::SomebodyUnmounts(pod) => self.pods[pod].pin = None,
            Step::Wait(seconds) => self.now += seconds,
            Step::Settle(pod) => self.settle(pod),
        }
        self.collect();
    }

    fn tasks(&mut self, pod: usize, tasks: usize) {
        let id = self.pods[pod].pin.or(self.pods[pod].engine_file);
        if let Some(namespace) = id.and_then(|id| self.namespaces.get_mut(&id)) {
            namespace.tasks = tasks;
        }
    }

    /// What `apply` does with the rule's answer, and the property: a live pin is never released.
    fn settle(&mut self, at: usize) {
        let pod = self.pods[at].clone();
        let Some(record) = pod.record.clone() else { return };
        let facts = self.facts(&pod, &record);
        let fate = evaluate(&facts);
        if let Fate::Release(why) = fate {
            let tasks = pod.pin.and_then(|id| self.namespaces.get(&id)).map_or(0, |namespace| namespace.tasks);
            assert!(pod.engine_file.is_none() || pod.engine_file != pod.pin, "the engine holds it: {why:?} {facts:?}");
            assert!(tasks == 0 || facts.gone_for >= Some(DRAIN_LIMIT), "in use: {why:?} {facts:?}");
        }
        let pod = &mut self.pods[at];
        match fate {
            Fate::Keep(_) => pod.record = Some(Record { gone_since: None, ..record }),
            Fate::Heal => {
                pod.pin = pod.engine_file;
                let number = self.number(self.pods[at].engine_file).unwrap();
                self.pods[at].record = Some(Record { number, gone_since: None });
            }
            Fate::Drain(_) => {
                let gone_since = record.gone_since.or(Some(self.now));
                pod.record = Some(Record { gone_since, ..record });
            }
            Fate::Release(_) => (pod.pin, pod.record) = (None, None),
        }
    }

    /// After everything has ended and enough time has passed, nothing may be left.
    fn end(&mut self) {
        for pod in 0..PODS {
            self.step(&Step::EngineDeletes(pod));
            self.step(&Step::TasksEnd(pod));
        }
        for namespace in self.namespaces.values_mut() {
            namespace.tasks = 0;
        }
        self.collect();
        for _ in 0..2 {
            (0..PODS).for_each(|pod| self.step(&Step::Settle(pod)));
            self.step(&Step::Wait(DRAIN_LIMIT.as_secs()));
        }
        let left = self.pods.iter().filter(|pod| pod.pin.is_some() || pod.record.is_some()).count();
        assert_eq!(left, 0, "{self:?}");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pod = || 0..PODS;
    let step = prop_oneof![
        3 => pod().prop_map(Step::Run),
        2 => pod().prop_map(Step::EngineDeletes),
        1 => pod().prop_map(Step::TaskStarts),
        2 => pod().prop_map(Step::TasksEnd),
        1 => pod().prop_map(Step::SomebodyUnmounts),
        1 => (1u64..400).prop_map(Step::Wait),
        5 => pod().prop_map(Step::Settle),
    ];
    proptest::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_live_pin_is_released_and_no_dead_one_stays(steps in steps()) {
        let mut node = Node::default();
        for step in &steps {
            node.step(step);
        }
        node.end();
    }
}
