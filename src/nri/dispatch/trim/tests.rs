#![allow(clippy::unwrap_used, reason = "tests")]

use protobuf::{Message, MessageField};

use super::{Unread, without};
use crate::nri::api;

const UNREAD: Unread = Unread { pod: &[5, 6], container: &[7, 8, 9] };

fn pod() -> api::PodSandbox {
    let mut pod = api::PodSandbox { id: "p".repeat(300), name: "web".into(), pid: 7, ..Default::default() };
    pod.labels.insert("app".into(), "web".into());
    pod.annotations.insert("key".into(), "value".into());
    pod.linux.mut_or_insert_default().cgroup_parent = "/kubepods".into();
    pod
}

fn container() -> api::Container {
    let mut container = api::Container { id: "c".into(), created_at: -1, ..Default::default() };
    container.annotations.insert("key".into(), "value".into());
    container.args = vec!["run".into()];
    container.env = vec!["A=1".into(), String::new()];
    container.mounts = vec![api::Mount { destination: "/proc".into(), ..Default::default() }];
    container.linux.mut_or_insert_default().cgroups_path = "/kubepods/c".into();
    container
}

fn lean(pod: &mut api::PodSandbox, container: &mut api::Container) {
    (pod.labels, pod.annotations) = Default::default();
    (container.args, container.env, container.mounts) = Default::default();
}

#[test]
fn what_is_unread_is_left_out_and_all_else_is_there() {
    let mut request = api::CreateContainerRequest::new();
    request.pod = MessageField::some(pod());
    request.container = MessageField::some(container());
    let rest = without(&request.write_to_bytes().unwrap(), UNREAD).unwrap();
    lean(request.pod.as_mut().unwrap(), request.container.as_mut().unwrap());
    assert_eq!(api::CreateContainerRequest::parse_from_bytes(&rest).unwrap(), request);
}

#[test]
fn every_pod_and_container_of_a_list_is_trimmed() {
    let mut request = api::SynchronizeRequest { more: true, ..Default::default() };
    request.pods = vec![pod(), api::PodSandbox::new(), pod()];
    request.containers = vec![container(), container()];
    let rest = without(&request.write_to_bytes().unwrap(), UNREAD).unwrap();
    let pods = request.pods.iter_mut();
    pods.for_each(|pod| lean(pod, &mut api::Container::new()));
    request.containers.iter_mut().for_each(|container| lean(&mut api::PodSandbox::new(), container));
    assert_eq!(api::SynchronizeRequest::parse_from_bytes(&rest).unwrap(), request);
}

#[test]
fn a_plugin_that_reads_everything_gets_everything() {
    let mut request = api::CreateContainerRequest::new();
    request.container = MessageField::some(container());
    let bytes = request.write_to_bytes().unwrap();
    assert_eq!(without(&bytes, Unread::default()).unwrap(), bytes);
}

#[test]
fn fields_of_every_form_that_nobody_knows_yet_stay() {
    let mut pod = pod().write_to_bytes().unwrap();
    let unknown =
        [&[0xf8, 0x01, 0x96, 0x01][..], &[0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8], &[0xfd, 0x01, 1, 2, 3, 4]].concat();
    pod.extend_from_slice(&unknown);
    let bytes =
        [&[0x0a, u8::try_from(pod.len() & 0x7f).unwrap() | 0x80, u8::try_from(pod.len() >> 7).unwrap()], &pod[..]]
            .concat();
    let rest = without(&bytes, UNREAD).unwrap();
    assert!(rest.len() < bytes.len() && rest.ends_with(&unknown), "{rest:?}");
    assert!(without(&bytes[..bytes.len() - 1], UNREAD).is_none());
}

#[test]
fn a_message_that_ends_early_is_none() {
    let mut request = api::CreateContainerRequest::new();
    request.pod = MessageField::some(pod());
    let bytes = request.write_to_bytes().unwrap();
    for length in 1..bytes.len() {
        assert_eq!(without(&bytes[..length], UNREAD), None, "{length} bytes");
    }
    assert_eq!(without(&[0x0b], UNREAD), None, "a group");
    assert_eq!(without(&[0xff; 11], UNREAD), None, "a number without end");
}
