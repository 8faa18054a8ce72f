//! What berth calls things, against the specification's own types.

use super::gather::NETWORK;
use oci_spec::runtime::LinuxNamespaceType;

#[test]
fn the_type_of_a_network_namespace_is_the_specifications() {
    assert_eq!(serde_json::to_value(LinuxNamespaceType::Network).expect("encode"), NETWORK);
}
