mod drop;

use super::policy::{OnFailure, Patterns, Policy};
use super::template::Template;
use super::*;
use crate::identity::{PodRef, SandboxId};
use std::collections::BTreeMap;

const PIN: &str = "/run/netns/berth-s1";

fn profile() -> Profile {
    Profile {
        name: "test".into(),
        handlers: Patterns::parse(["?*"]).expect("pattern"),
        namespaces: Patterns::parse(["*", "!kube-system"]).expect("pattern"),
        dialects: vec![Dialect::Ocid, Dialect::Containerd],
        annotations: BTreeMap::new(),
        drop_annotations: Patterns::default(),
        netns: NetnsPolicy::Swap,
        on_failure: OnFailure::Fail,
        on_contradiction: OnContradiction::Correct,
    }
}

/// One container as a door would describe it; tests change what they are about.
struct Case {
    door: Door,
    engine: Engine,
    role: Role,
    handler: &'static str,
    namespace: &'static str,
    annotations: BTreeMap<String, String>,
    network: Network,
    swap: Swap,
    group: Option<&'static str>,
    profile: Profile,
}

impl Case {
    /// A member of pod ns/web as containerd's NRI shows it: containerd's own keys are there and right.
    fn member() -> Self {
        let right = [
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.sandbox-id", "s1"),
            ("io.kubernetes.cri.sandbox-name", "web"),
            ("io.kubernetes.cri.sandbox-namespace", "ns"),
            ("io.kubernetes.cri.sandbox-uid", "u1"),
        ];
        Self {
            door: Door::Nri,
            engine: Engine::Containerd,
            role: Role::Member,
            handler: "kata",
            namespace: "ns",
            annotations: right.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            network: Network::Own { lead: Lead::Own },
            swap: Swap::Possible,
            group: None,
            profile: profile(),
        }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    fn decide(&self) -> Verdict {
        let sandbox = SandboxId::try_from("s1").expect("id");
        let pod = PodRef { namespace: self.namespace.into(), name: "web".into(), uid: "u1".into() };
        let facts = Facts {
            door: self.door,
            engine: self.engine,
            role: self.role,
            sandbox: &sandbox,
            pod: &pod,
            handler: Some(self.handler),
            group: self.group,
            annotations: &self.annotations,
            network: self.network.clone(),
            swap: self.swap,
            pin_path: PIN,
        };
        let policy = Policy { profiles: vec![self.profile.clone()] };
        let verdict = decide(&facts, policy.select(self.handler, self.namespace));
        if let Verdict::Adjust(plan) = &verdict {
            assert!(plan.set.keys().all(|key| !plan.remove.contains(key)), "{plan:?}");
            assert!(plan.set.iter().all(|(key, value)| self.annotations.get(key) != Some(value)), "{plan:?}");
        }
        verdict
    }

    fn plan(&self) -> Plan {
        match self.decide() {
            Verdict::Adjust(plan) => plan,
            other => panic!("{other:?}"),
        }
    }
}

fn keys(plan: &Plan) -> Vec<&str> {
    plan.set.keys().map(String::as_str).collect()
}

#[test]
fn a_member_gets_the_set_it_lacks_and_the_pin() {
    let plan = Case::member().plan();
    let expected = [("ocid/container_type", "container"), ("ocid/sandbox_id", "s1"), ("ocid/sandbox_name", "web")];
    assert_eq!(plan.set, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!((plan.netns, plan.remove.len(), plan.contradictions.len()), (Netns::Swap, 0, 0));
}

#[test]
fn a_sandbox_is_told_that_it_is_one() {
    let mut case = Case::member();
    case.role = Role::Sandbox;
    case.annotations.clear();
    let plan = case.plan();
    assert_eq!(plan.set["ocid/container_type"], "sandbox");
    assert_eq!(plan.set["io.kubernetes.cri.container-type"], "sandbox");
    assert_eq!(plan.set["io.kubernetes.cri.sandbox-id"], "s1");
}

#[test]
fn pods_of_the_default_handler_and_of_excluded_namespaces_are_left() {
    let mut case = Case::member().with("ocid/container_type", "sandbox");
    case.handler = "";
    assert_eq!(case.decide(), Verdict::Leave(Reason::NotSelected));
    case.handler = "kata";
    case.namespace = "kube-system";
    assert_eq!(case.decide(), Verdict::Leave(Reason::NotSelected));
}

#[test]
fn the_path_stays_for_each_reason_there_is_while_identity_is_written() {
    let rows: [(Network, Swap, NetnsPolicy, Netns); 13] = [
        (Network::Host, Swap::Possible, NetnsPolicy::Swap, Netns::Keep(Reason::HostNetwork)),
        (Network::Unknown, Swap::Possible, NetnsPolicy::Swap, Netns::Keep(Reason::NoNetns)),
        (Network::New, Swap::Possible, NetnsPolicy::Swap, Netns::Keep(Reason::NoNetns)),
        (Network::New, Swap::Possible, NetnsPolicy::Create, Netns::Create),
        (Network::Unknown, Swap::Possible, NetnsPolicy::Create, Netns::Keep(Reason::NoNetns)),
        (Network::Own { lead: Lead::Own }, Swap::Possible, NetnsPolicy::Create, Netns::Swap),
        (Network::Own { lead: Lead::Own }, Swap::Possible, NetnsPolicy::Leave, Netns::Keep(Reason::ProfileLeavesNetns)),
        (
            Network::Own { lead: Lead::Own },
            Swap::RuntimeCannot,
            NetnsPolicy::Swap,
            Netns::Keep(Reason::RuntimeCannotSwap),
        ),
        (
            Network::Own { lead: Lead::Own },
            Swap::PinsDoNotReach,
            NetnsPolicy::Swap,
            Netns::Keep(Reason::PinsDoNotReach),
        ),
        (
            Network::Own { lead: Lead::Own },
            Swap::HostNotVisible,
            NetnsPolicy::Swap,
            Netns::Keep(Reason::HostNotVisible),
        ),
        (Network::Own { lead: Lead::Own }, Swap::NotPinned, NetnsPolicy::Swap, Netns::Keep(Reason::NotPinned)),
        (Network::Own { lead: Lead::Unknown }, Swap::Possible, NetnsPolicy::Swap, Netns::Swap),
        (Network::Own { lead: Lead::Nowhere }, Swap::Possible, NetnsPolicy::Swap, Netns::Swap),
    ];
    for (network, swap, policy, expected) in rows {
        let mut case = Case::member();
        (case.network, case.swap, case.profile.netns) = (network, swap, policy);
        let plan = case.plan();
        assert_eq!(plan.netns, expected);
        assert_eq!(keys(&plan), ["ocid/container_type", "ocid/sandbox_id", "ocid/sandbox_name"]);
    }
}

#[test]
fn a_container_that_leads_to_another_pods_pin_is_refused_whatever_the_policy() {
    let other = SandboxId::try_from("s2").expect("id");
    let mut case = Case::member();
    case.network = Network::Own { lead: Lead::Other(other.clone()) };
    for (role, netns) in [
        (Role::Member, NetnsPolicy::Swap),
        (Role::Member, NetnsPolicy::Leave),
        (Role::Sandbox, NetnsPolicy::Swap),
        (Role::Sandbox, NetnsPolicy::Leave),
    ] {
        (case.role, case.profile.netns) = (role, netns);
        assert_eq!(case.decide(), Verdict::Refuse(Refusal::ForeignNetns(other.clone())));
    }
}

#[test]
fn a_forged_type_in_a_dialect_that_was_not_asked_for_is_removed_and_named() {
    let plan = Case::member().with("io.kubernetes.cri-o.ContainerType", "sandbox").plan();
    assert!(plan.remove.contains("io.kubernetes.cri-o.ContainerType"));
    assert_eq!(plan.contradictions, ["io.kubernetes.cri-o.ContainerType"]);
}

#[test]
fn a_forged_key_of_the_engines_own_dialect_is_put_right_though_the_profile_does_not_ask_for_it() {
    for (engine, key, right) in [
        (Engine::CriO, "io.kubernetes.cri-o.ContainerType", "container"),
        (Engine::CriO, "io.kubernetes.cri-o.SandboxID", "s1"),
        (Engine::Containerd, "io.kubernetes.cri.sandbox-id", "s1"),
    ] {
        let mut case = Case::member().with(key, "forged");
        (case.engine, case.profile.dialects) = (engine, vec![Dialect::Ocid]);
        let plan = case.plan();
        assert_eq!(plan.set.get(key).map(String::as_str), Some(right));
        assert!(plan.remove.is_empty(), "{plan:?}");
        assert_eq!(plan.contradictions, [key]);
    }
}

#[test]
fn an_engines_own_agreeing_keys_stay() {
    let plan = Case::member()
        .with("io.kubernetes.cri-o.ContainerType", "container")
        .with("io.kubernetes.cri-o.SandboxID", "s1")
        .with("io.kubernetes.cri-o.SandboxName", "k8s_web_ns_u1_0")
        .plan();
    assert!(plan.remove.is_empty() && plan.contradictions.is_empty(), "{plan:?}");
}

#[test]
fn every_identity_key_with_a_foreign_value_is_overwritten_or_removed() {
    for dialect in Dialect::ALL {
        for key in dialect.keys() {
            let plan = Case::member().with(key.name, "forged").plan();
            assert!(plan.set.contains_key(key.name) ^ plan.remove.contains(key.name), "{}", key.name);
            assert_eq!(plan.contradictions, [key.name]);
        }
    }
}

#[test]
fn dockershims_keys_go_even_when_they_agree() {
    let plan = Case::member().with("io.kubernetes.docker.type", "container").plan();
    assert!(plan.remove.contains("io.kubernetes.docker.type"));
    assert!(plan.contradictions.is_empty());
}

#[test]
fn contradictions_are_refused_where_the_profile_says_so() {
    let mut case = Case::member().with("ocid/sandbox_id", "s2");
    case.profile.on_contradiction = OnContradiction::Refuse;
    assert_eq!(case.decide(), Verdict::Refuse(Refusal::Contradiction(vec!["ocid/sandbox_id".into()])));
    assert!(matches!(Case { annotations: BTreeMap::new(), ..case }.decide(), Verdict::Adjust(_)));
}

#[test]
fn on_cri_o_the_nri_door_leaves_the_containerd_set_out_and_an_interposer_writes_it() {
    let mut case = Case::member();
    case.annotations.clear();
    case.engine = Engine::CriO;
    assert_eq!(keys(&case.plan()), ["ocid/container_type", "ocid/sandbox_id", "ocid/sandbox_name"]);
    case.door = Door::Runtime;
    assert!(case.plan().set.contains_key("io.kubernetes.cri.container-type"));
}

#[test]
fn half_a_set_left_by_an_author_on_cri_o_is_removed_when_it_lies() {
    let mut case = Case::member().with("io.kubernetes.cri.sandbox-id", "s2");
    case.engine = Engine::CriO;
    assert!(case.plan().remove.contains("io.kubernetes.cri.sandbox-id"));
}

#[test]
fn a_pod_fact_that_is_not_known_is_not_written_as_an_empty_one() {
    let sandbox = SandboxId::try_from("s1").expect("id");
    let pod = PodRef::default();
    let identity = Identity { role: Role::Member, sandbox: &sandbox, pod: &pod };
    assert_eq!(Dialect::Ocid.value(Field::PodName, &identity), None);
}

#[test]
fn a_standalone_container_is_cleaned_and_never_stamped() {
    let mut case = Case::member();
    case.role = Role::Standalone;
    let plan = case.plan();
    assert_eq!((plan.set.len(), plan.remove.len()), (0, 5));
    assert_eq!(plan.netns, Netns::Keep(Reason::Standalone));
    case.annotations.clear();
    assert_eq!(case.decide(), Verdict::Leave(Reason::Standalone));
}

#[test]
fn what_the_engine_itself_tells_a_standalone_container_of_a_group_is_put_right_and_never_removed() {
    const KEY: &str = "io.kubernetes.cri-o.SandboxID";
    let mut case = Case::member();
    (case.role, case.engine, case.group) = (Role::Standalone, Engine::Podman, Some("pod"));
    case.annotations = BTreeMap::from([(KEY.to_owned(), "pod".to_owned())]);
    assert_eq!(case.decide(), Verdict::Leave(Reason::Standalone));
    let plan = case.with(KEY, "victim").with("io.kubernetes.cri.sandbox-id", "pod").plan();
    assert_eq!(plan.set, BTreeMap::from([(KEY.to_owned(), "pod".to_owned())]));
    assert!(plan.remove.contains("io.kubernetes.cri.sandbox-id"));
}

#[test]
fn extra_annotations_are_rendered_and_left_out_without_their_facts() {
    let mut case = Case::member();
    for (key, text) in [("a/id", "{sandbox.id}@{pod.namespace}"), ("a/path", "{netns.path}")] {
        case.profile.annotations.insert(key.into(), Template::parse(text).expect(text));
    }
    let plan = case.plan();
    assert_eq!((plan.set["a/id"].as_str(), plan.set["a/path"].as_str()), ("s1@ns", PIN));
    case.network = Network::Host;
    assert!(!case.plan().set.contains_key("a/path"));
}

#[test]
fn an_authors_value_under_the_profiles_key_goes_even_where_the_profile_has_none() {
    let mut case = Case::member().with("a/path", "/run/netns/berth-victim");
    case.profile.annotations.insert("a/path".into(), Template::parse("{netns.path}").expect("template"));
    assert_eq!(case.plan().set["a/path"], PIN);
    case.network = Network::Host;
    let plan = case.plan();
    assert!(plan.remove.contains("a/path"));
    assert_eq!(plan.contradictions, ["a/path"]);
}

#[test]
fn a_path_that_leads_to_the_host_or_nowhere_is_noted_whatever_becomes_of_it() {
    for (lead, stray) in [(Lead::Own, false), (Lead::Unknown, false), (Lead::Host, true), (Lead::Nowhere, true)] {
        for netns in [NetnsPolicy::Swap, NetnsPolicy::Leave] {
            let mut case = Case::member();
            (case.network, case.profile.netns) = (Network::Own { lead: lead.clone() }, netns);
            assert_eq!(case.plan().stray, stray, "{lead:?}");
        }
    }
}

#[test]
fn a_container_that_is_right_already_is_not_adjusted_again() {
    let mut case = Case::member();
    case.profile.netns = NetnsPolicy::Leave;
    let plan = case.plan();
    case.annotations.extend(plan.set);
    assert_eq!(case.decide(), Verdict::Leave(Reason::ProfileLeavesNetns));
}
