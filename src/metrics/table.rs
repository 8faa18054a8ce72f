//! Every metric: name, kind, who moves it, labels, meaning, series. What a label can be is written out here.

use super::{Doors, Family, Kind, Series, Timing};

/// `NAME = kind by doors "name" [labels]: "help", [series];`
macro_rules! families {
    ($($name:ident = $kind:ident by $doors:ident $text:literal [$($label:literal),*]: $help:literal, [$([$($value:expr),*]),*];)*) => {
        $(
            #[doc = $help]
            pub static $name: Family = Family {
                name: $text,
                help: $help,
                kind: Kind::$kind,
                doors: Doors::$doors,
                labels: &[$($label),*],
                series: {
                    const VALUES: &[&[&str]] = &[$(&[$($value),*]),*];
                    static SERIES: [Series; VALUES.len()] = [$(Series::new(&[$($value),*])),*];
                    &SERIES
                },
            };
        )*

        /// All of them.
        pub static FAMILIES: &[&Family] = &[$(&$name),*];
    };
}

families! {
    REQUESTS = Counter by All "berth_requests_total" ["event", "result"]:
        "Requests by what became of them: answered as decided, refused by decision, or failed (whatever the failure policy then said).",
        [["Synchronize", "ok"], ["RunPodSandbox", "ok"], ["RunPodSandbox", "failed"],
         ["StopPodSandbox", "ok"], ["StopPodSandbox", "failed"], ["RemovePodSandbox", "ok"], ["RemovePodSandbox", "failed"],
         ["CreateContainer", "ok"], ["CreateContainer", "refused"], ["CreateContainer", "failed"],
         ["Create", "ok"], ["Create", "refused"], ["Create", "failed"]];
    DURATIONS = Histogram by All "berth_request_duration_seconds" ["event", "result"]:
        "How long requests took until they could be answered.",
        [];
    VERDICTS = Counter by All "berth_verdicts_total" ["verdict", "reason"]:
        "Containers by what was decided for them and why, in the words of the log.",
        [["leave", "not-selected"], ["leave", "host-network"], ["leave", "profile-leaves-netns"], ["leave", "no-netns"],
         ["leave", "runtime-cannot-swap"], ["leave", "pins-do-not-reach"], ["leave", "host-not-visible"],
         ["leave", "not-pinned"], ["leave", "standalone"], ["leave", "failed"],
         ["adjust", "identity-and-netns"], ["adjust", "netns-created"], ["adjust", "host-network"],
         ["adjust", "profile-leaves-netns"], ["adjust", "no-netns"], ["adjust", "runtime-cannot-swap"],
         ["adjust", "pins-do-not-reach"], ["adjust", "host-not-visible"], ["adjust", "not-pinned"],
         ["adjust", "standalone"],
         ["refuse", "foreign-netns"], ["refuse", "contradiction"], ["refuse", "failed"]];
    CONTRADICTIONS = Counter by All "berth_identity_contradictions_total" []:
        "Identity keys in annotations of containers that contradicted the engine.",
        [[]];
    DROPPED = Counter by All "berth_annotations_dropped_total" []:
        "Annotations removed because the profile drops them.",
        [[]];
    STRAY = Counter by All "berth_netns_stray_paths_total" []:
        "Members whose own network namespace path led to the host's namespace or nowhere.",
        [[]];
    PINS_MADE = Counter by All "berth_pins_made_total" ["origin"]:
        "Pins made, of namespaces adopted from the engine or created by berth.",
        [["adopted"], ["created"]];
    PIN_FAILURES = Counter by All "berth_pin_failures_total" ["step"]:
        "Pins that could not be made (or, as the step settle, not be kept or released), by the step that failed.",
        [["source"], ["create"], ["lock"], ["record"], ["mount"], ["settle"]];
    PINS_HEALED = Counter by All "berth_pins_healed_total" []:
        "Pins that were missing and were made again.",
        [[]];
    PINS_RELEASED = Counter by All "berth_pins_released_total" ["reason"]:
        "Pins released, by what proved that they may go; at the drain limit tasks were left in the namespace.",
        [["gone-and-empty"], ["gone-and-grace-passed"], ["removed-and-grace-passed"], ["drain-limit"]];
    ORPHANS_REMOVED = Counter by Daemon "berth_pin_orphans_removed_total" []:
        "Pins without a record that were removed.",
        [[]];
    SESSIONS = Counter by Daemon "berth_nri_sessions_total" []:
        "Sessions with the runtime that were synchronized; all after the first are reconnections.",
        [[]];
    SESSIONS_LOST = Counter by Daemon "berth_nri_sessions_lost_total" []:
        "Sessions with the runtime that ended after the plugin had registered.",
        [[]];
    CONNECTION_FAILURES = Counter by Daemon "berth_nri_connection_failures_total" []:
        "Attempts to meet the runtime that ended with an error.",
        [[]];
    REGISTERED = Gauge by Daemon "berth_nri_registered" []:
        "Whether the runtime knows the plugin, now.",
        [[]];
    SYNCHRONIZED = Gauge by Daemon "berth_nri_synchronized" []:
        "Whether the runtime has told all its pods in this session, from which on it sends events.",
        [[]];
    READY = Gauge by Daemon "berth_ready" []:
        "Whether berth is ready: registered, synchronized, and its pins reach the engine.",
        [[]];
    UNADJUSTED = Gauge by Daemon "berth_containers_unadjusted" []:
        "Containers of selected pods that were at the last Synchronize without the identity their profile writes, less those of pods gone since: they were created while berth was away. Those of pods whose containers all come by an interposer are not judged.",
        [[]];
    SWAPS_NOT_APPLIED = Gauge by Daemon "berth_swaps_not_applied" []:
        "Containers with identity that the runtime listed at the last Synchronize with another network namespace path than the pin of their pod, less those of pods gone since. Those of pods whose containers all come by an interposer are not judged.",
        [[]];
    RECORDS = Gauge by Daemon "berth_records" ["state"]:
        "Pins and records on this node by state, in the words of berth list; unreadable are records that cannot be read.",
        [["pinned"], ["draining"], ["orphan"], ["foreign"], ["half-made"], ["gone"], ["unreadable"]];
    BUILD = Gauge by Daemon "berth_build_info" ["version", "commit"]:
        "The version of berth and the commit that it was built from; always 1.",
        [[crate::VERSION, crate::COMMIT]];
    CONFIG_HASH = Gauge by Daemon "berth_config_hash" []:
        "The first 48 bits of the hash of the configuration in force, to compare nodes by, 0 while none is; the log and records have all of it.",
        [[]];
    CONFIG_GOOD = Gauge by Daemon "berth_config_last_reload_successful" []:
        "Whether the configuration was good when it was last read; if not, the one before it is in force.",
        [[]];
    CONFIG_RELOADS = Counter by Daemon "berth_config_reloads_total" ["result"]:
        "Configurations that were read while the daemon ran and were another, or could not be read or had mistakes.",
        [["ok"], ["failed"]];
    RECORDS_OTHER_CONFIG = Gauge by Daemon "berth_records_other_config" []:
        "Records that were made under a configuration other than the one in force.",
        [[]];
    CPU_SECONDS = CounterOfMicros by Daemon "process_cpu_seconds_total" []:
        "Total user and system CPU time spent in seconds.",
        [[]];
    RESIDENT_MEMORY = Gauge by Daemon "process_resident_memory_bytes" []:
        "Resident memory size in bytes.",
        [[]];
    OPEN_FDS = Gauge by Daemon "process_open_fds" []:
        "Number of open file descriptors.",
        [[]];
    MAX_FDS = Gauge by Daemon "process_max_fds" []:
        "Maximum number of open file descriptors.",
        [[]];
    START_TIME = Gauge by Daemon "process_start_time_seconds" []:
        "Start time of the process since unix epoch in seconds.",
        [[]];
}

/// The histogram's series, those of [`REQUESTS`] in the same order.
pub static TIMINGS: [Timing; REQUESTS.series.len()] = [
    Timing::new(&["Synchronize", "ok"]),
    Timing::new(&["RunPodSandbox", "ok"]),
    Timing::new(&["RunPodSandbox", "failed"]),
    Timing::new(&["StopPodSandbox", "ok"]),
    Timing::new(&["StopPodSandbox", "failed"]),
    Timing::new(&["RemovePodSandbox", "ok"]),
    Timing::new(&["RemovePodSandbox", "failed"]),
    Timing::new(&["CreateContainer", "ok"]),
    Timing::new(&["CreateContainer", "refused"]),
    Timing::new(&["CreateContainer", "failed"]),
    Timing::new(&["Create", "ok"]),
    Timing::new(&["Create", "refused"]),
    Timing::new(&["Create", "failed"]),
];

/// The event of the interposers; all others are the runtime's.
pub const CREATE: &str = "Create";
