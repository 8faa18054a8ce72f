use super::*;

/// What a runtime says, and the level to be read from it.
type Row = (&'static str, &'static str, &'static str, Level);

const ROWS: &[Row] = &[
    // The library version decides, whatever the runtime is.
    ("containerd", "v2.3.4", "v0.12.0", Level::DedicatedRpcs),
    ("containerd", "v2.4.0-beta.0", "v0.12.2", Level::DedicatedRpcs),
    ("moby", "", "0.12.1", Level::DedicatedRpcs),
    ("moby", "30.0", "v0.13.0-rc.1", Level::DedicatedRpcs),
    ("moby", "30.0", "v1.0.0", Level::DedicatedRpcs),
    ("cri-o", "1.37.0", "v0.12.0", Level::DedicatedRpcs),
    ("cri-o", "1.37.0", "v0.12.0-rc.1", Level::Namespaces),
    ("cri-o", "1.37.0", "v0.12.1-0.20260501101010-8ec8b285eae3", Level::DedicatedRpcs),
    ("cri-o", "1.37.0", "v0.12.0-0.20260301101010-8ec8b285eae3", Level::Namespaces),
    ("x", "", "v0.11.0", Level::Namespaces),
    ("x", "", "v0.10.0-beta", Level::SplitSync),
    ("x", "", "v0.9.1-0.20250219101010-8ec8b285eae3", Level::SplitSync),
    ("x", "", "v0.8.0", Level::SplitSync),
    ("x", "", "v0.6.1", Level::Basic),
    // It says nothing: the release decides, but not below what has the field at all.
    ("containerd", "v2.3.4", "0.0.0-unknown", Level::DedicatedRpcs),
    ("containerd", "v2.3.4", "(devel)", Level::DedicatedRpcs),
    ("containerd", "v2.1.0", "(devel)", Level::Namespaces),
    ("moby", "", "(devel)", Level::Namespaces),
    ("moby", "", "unknown", Level::Namespaces),
    // It is absent.
    ("containerd", "v2.3.0", "", Level::DedicatedRpcs),
    ("containerd", "2.3.4+unknown", "", Level::DedicatedRpcs),
    ("containerd", "2.4.0-beta.0", "", Level::DedicatedRpcs),
    ("containerd", "v2.3.0-rc.0", "", Level::Namespaces),
    ("containerd", "v2.3.0-15-gabcdef0", "", Level::DedicatedRpcs),
    ("containerd", "v2.2.0", "", Level::Namespaces),
    ("containerd", "v2.2.7-k3s1", "", Level::Namespaces),
    ("containerd", "2.2.1-0ubuntu1~24.04.1", "", Level::Namespaces),
    ("containerd", "v2.2.0-beta.1", "", Level::SplitSync),
    ("containerd", "v2.2.0~rc.1+ds1", "", Level::SplitSync),
    ("containerd", "v2.1.9", "", Level::SplitSync),
    ("containerd", "v2.0.5", "", Level::SplitSync),
    ("containerd", "1.7.34~ds1", "", Level::SplitSync),
    ("containerd", "1.7.26", "", Level::SplitSync),
    ("containerd", "v3.0.0", "", Level::DedicatedRpcs),
    ("cri-o", "1.36.3", "", Level::Namespaces),
    ("cri-o", "1.34.0", "", Level::Namespaces),
    ("cri-o", "1.34.0-dev", "", Level::PodUpdates),
    ("cri-o", "1.33.0", "", Level::PodUpdates),
    ("cri-o", "1.32.4", "", Level::SplitSync),
    ("cri-o", "2.0.0", "", Level::Namespaces),
    // Nothing to go by but the timeouts.
    ("containerd", "", "", Level::SplitSync),
    ("containerd", "(devel)", "", Level::SplitSync),
    ("containerd", "0.0.0-unknown", "", Level::SplitSync),
    ("containerd", "2.3", "", Level::SplitSync),
    ("containerd", "v2.x.1", "", Level::SplitSync),
    ("containerd", "99999999999999999999.0.0", "", Level::SplitSync),
    ("crio", "1.36.3", "", Level::SplitSync),
    ("Containerd", "v2.3.4", "", Level::SplitSync),
    ("", "", "", Level::SplitSync),
];

fn request(row: &Row) -> ConfigureRequest {
    ConfigureRequest {
        runtime_name: row.0.to_owned(),
        runtime_version: row.1.to_owned(),
        NRI_version: row.2.to_owned(),
        registration_timeout: 5000,
        request_timeout: 2000,
        ..Default::default()
    }
}

#[test]
fn the_level_follows_from_what_the_runtime_says() {
    for row in ROWS {
        assert_eq!(Capabilities::of(&request(row)).level, row.3, "{row:?}");
    }
}

#[test]
fn a_runtime_that_sends_no_timeouts_is_older_than_it_says() {
    for (name, version) in [("containerd", "v2.3.4"), ("containerd", "1.7.10"), ("cri-o", "1.36.3")] {
        let request = ConfigureRequest {
            registration_timeout: 0,
            request_timeout: 0,
            ..request(&(name, version, "", Level::Basic))
        };
        assert_eq!(Capabilities::of(&request).level, Level::Basic, "{name} {version}");
    }
}

#[test]
fn what_each_level_can_do() {
    let can = |level| {
        let found = Capabilities::from(level);
        (found.namespaces, found.validates, found.dedicated_pod_rpcs, found.valid_events.bits())
    };
    assert_eq!(can(Level::Basic), (false, false, false, 0x7ff));
    assert_eq!(can(Level::SplitSync), (false, false, false, 0x7ff));
    assert_eq!(can(Level::PodUpdates), (false, false, false, 0x1fff));
    assert_eq!(can(Level::Namespaces), (true, true, false, 0x3fff));
    assert_eq!(can(Level::DedicatedRpcs), (true, true, true, 0x3fff));
}
