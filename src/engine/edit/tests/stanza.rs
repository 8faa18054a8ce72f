//! Distributions that write their own configuration.

use super::super::stanza;
use super::{containerd_1, containerd_2, kata};
use crate::engine::Distribution;
use std::path::{Path, PathBuf};

const K3S: &str = "/var/lib/rancher/k3s/agent/etc/containerd";

#[test]
fn k3s_takes_a_template_or_a_drop_in_if_it_reads_them() {
    let mut input = containerd_2(Some("version = 3\n"));
    input.root.path = Path::new(K3S).join("config.toml");
    let told = stanza(Distribution::K3s, &input, &[kata()]).unwrap().unwrap();
    assert_eq!(told.path, Path::new(K3S).join("config-v3.toml.tmpl"));
    insta::assert_snapshot!(format!("{}\n\n{}", told.how, told.text));

    let imports = format!("version = 3\nimports = ['{K3S}/config-v3.toml.d/*.toml']\n");
    input.root.text = Some(imports);
    let told = stanza(Distribution::K3s, &input, &[kata()]).unwrap().unwrap();
    assert_eq!(told.path, Path::new(K3S).join("config-v3.toml.d/50-berth.toml"));
    assert!(told.text.starts_with("version = 3\n\n"), "{}", told.text);

    let mut input = containerd_1(Some("version = 2\n"));
    input.root.path = "/var/lib/rancher/rke2/agent/etc/containerd/config.toml".into();
    let told = stanza(Distribution::Rke2, &input, &[kata()]).unwrap().unwrap();
    assert_eq!(told.path, PathBuf::from("/var/lib/rancher/rke2/agent/etc/containerd/config.toml.tmpl"));
    assert!(told.how.contains("rke2-agent") && told.text.contains("io.containerd.grpc.v1.cri"), "{told:?}");
}

#[test]
fn the_others_take_a_file_or_a_template() {
    let input = containerd_2(None);
    let told = stanza(Distribution::K0s, &input, &[kata()]).unwrap().unwrap();
    assert_eq!(told.path, PathBuf::from("/etc/k0s/containerd.d/50-berth.toml"));
    assert!(told.text.starts_with("version = 3\n\n# All settings of kata"), "{}", told.text);
    assert!(told.how.ends_with("look into /run/k0s/containerd-cri.toml"), "{}", told.how);
    let by_hand = stanza(Distribution::K0s, &containerd_2(Some("version = 3\n")), &[kata()]).unwrap().unwrap();
    assert!(by_hand.how.contains("lacks the comment k0s_managed=true"), "{}", by_hand.how);
    let told = stanza(Distribution::MicroK8s, &input, &[kata()]).unwrap().unwrap();
    assert_eq!(told.path, PathBuf::from("/var/snap/microk8s/current/args/containerd-template.toml"));
    assert!(told.text.starts_with("# All settings of kata"), "{}", told.text);
    assert_eq!(stanza(Distribution::Plain, &input, &[kata()]).unwrap(), None);
}
